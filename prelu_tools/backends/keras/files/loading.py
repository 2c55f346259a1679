"""Load a Keras archive, with the user's classes."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from prelu_tools.backends.files.keras.defining import how_to_name
from prelu_tools.backends.files.keras.vetting import refuse_damaged, refuse_unsafe
from prelu_tools.backends.keras.layers import is_leaf
from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.preflight.names import defined_in, no_such_name
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.source_spec import import_named
from prelu_tools.core.errors import MisfitError, PReLUToolsError, UsageError, one_line
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.suggestions import no_such_file

_NO_KWARGS = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_MISFITS = re.compile(
    r"A total of (\d+) objects could not be loaded\. Example error message for object "
    r"<\w+ name=([^,>]+)[^>]*>: (.*?)(?: List of objects|$)"
)
_SHAPES = re.compile(
    r"variable\.shape=(\([\d, ]*\)), Received: value\.shape=(\([\d, ]*\))\. Target variable: "
    r"<\w+ path=([^,>]+)"
)
_MODULE = re.compile(r"'module': '([\w.]+)'")
_LONGEST = 300  # characters of Keras' message
_UNKNOWN_CLASS = re.compile(r"Could not (?:locate|deserialize) class '(?:[^'>]*>)?(\w+)'")


class Keras2FileError(PReLUToolsError):
    """A file is of Keras 2, and only `tf_keras` can load it."""


def custom_objects(names: tuple[str, ...]) -> dict[str, Any]:
    """The custom classes and functions of modules or files, each `MODULE_OR_FILE[:NAME]`.

    Raises:
        UsageError: a module has no such name.
        PReLUToolsError: a module cannot be imported.
    """
    found: dict[str, Any] = {}
    for text in names:
        module_name, _, name = text.partition(":")
        module = import_named(module_name)
        if name and not hasattr(module, name):
            wrong = no_such_name(module_name, name, defined_in(module), vars(module))
            raise UsageError(f"--custom-objects {text}: {wrong}")
        public = [name] if name else [n for n in vars(module) if not n.startswith("_")]
        found |= {n: getattr(module, n) for n in public if callable(getattr(module, n))}
    return found


def load_archive(path: Path, options: SourceOptions) -> Any:
    """Load a `.keras` file.

    Raises:
        PReLUToolsError: it cannot be loaded; the message says what to do.
    """
    objects = custom_objects(options.custom_objects)
    known = {**keras.saving.get_custom_objects(), **objects}
    wanted = refuse_unsafe(path, known, options.allow_unsafe_load)
    try:
        with quiet(options.show_chatter):
            return keras.saving.load_model(
                path,
                custom_objects=objects,
                compile=False,
                safe_mode=not options.allow_unsafe_load,
            )
    except Exception as error:
        if wanted.is_of_keras_2:
            raise Keras2FileError(
                f"{path} is a Keras 2 file ({wanted.version}), which Keras {keras.__version__} "
                "cannot load: pip install tf_keras, or load it with tf_keras and save it with "
                "model.export(FOLDER), which is read as a SavedModel"
            ) from error
        raise PReLUToolsError(_explain(path, error)) from error


def load_weights(model: Any, path: Path, label: str) -> None:
    """Load the weights of a `.weights.h5`, `.keras` or `.h5` file into a model that is built.

    Keras reads weights alone: no class and no code of the file.

    Raises:
        PReLUToolsError: it cannot be read, or does not fit.
    """
    if not path.exists():
        raise PReLUToolsError(no_such_file(path))
    refuse_damaged(path)
    try:
        model.load_weights(path)
    except Exception as error:
        words, is_near = _misfit(model, error)
        text = f"the weights in {path} do not fit {label}: {words}"
        raise MisfitError(text, is_near, {}) from error


def _misfit(model: Any, error: Exception) -> tuple[str, bool]:
    """What Keras says of weights that do not fit, without the values and without the whole list.

    Returns:
        The sentence, and whether at least half of the layers fit.
    """
    text = one_line(error)
    if match := _MISFITS.search(text):
        count, name, why = match.groups()
        total = sum(bool(layer.weights) for layer in model._flatten_layers() if is_leaf(layer))
        wrong = min(int(count), total)
        begin = f"{wrong:,} of {total:,} layers with weights cannot be loaded"
        return f"{begin}; the first is {name}: {_without_values(why)}", 2 * wrong <= total
    return f"{type(error).__name__}: {_without_values(text)}", False


def _without_values(text: str) -> str:
    if match := _SHAPES.search(text):
        return f"{match[3]} has shape {match[1]} in the model and {match[2]} in the file"
    return textwrap.shorten(text, _LONGEST, placeholder=" ...")


def _explain(path: Path, error: Exception) -> str:
    text = str(error)
    if match := _NO_KWARGS.search(text):
        name, keyword = match.groups()
        return (
            f"{path} cannot be loaded: Keras passes {keyword!r} to {name}.__init__, which takes "
            "no **kwargs; write `def __init__(self, ..., **kwargs): super().__init__(**kwargs)`, "
            "or export the live model (nets.py:build) instead of the file"
        )
    if match := _UNKNOWN_CLASS.search(text):
        module = _MODULE.search(text)
        advice = how_to_name(match[1], module[1] if module else "", path)
        return f"{path} cannot be loaded: it uses the custom class {match[1]!r}; {advice}"
    if "lambda" in text.lower() and "unsafe" in text.lower():
        return (
            f"{path} contains a Lambda layer, and loading it would run code from the file: use "
            "--allow-unsafe-load if you trust it"
        )
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{path} cannot be loaded as a Keras model ({type(error).__name__}: {lines[0]})"
