"""Look at a Keras file before Keras loads it: in its own process, and without running it.

Keras loads a file within this process, with the same HDF5 library that crashes on damaged files,
and older versions of it import and call what a configuration names. So everything that Keras would
read is first read where a crash does no harm, and the configuration is searched for code.
"""

from __future__ import annotations

import builtins
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prelu_tools.backends.files.isolated import run_isolated
from prelu_tools.backends.files.keras.archive import open_weights, read_config, read_version
from prelu_tools.backends.files.keras.defining import how_to_name
from prelu_tools.backends.files.keras.hdf5 import Hdf5, opened
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.limits import allowed_memory

_LAMBDAS = ("Lambda", "__lambda__")
_LOADERS = ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_PLAIN_BUILTINS = ("slice", "range", "tuple", "list", "dict", "set", "float", "int", "bool", "str")
# Modules that models consist of; keras.utils, keras.config, keras.saving and others are not.
_PARTS = (
    "", "activations", "constraints", "dtype_policies", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers",
)  # fmt: skip
_ONLY_CLASSES = ("", "layers", "models")  # their functions load files; classes are not functions
_OF_KERAS_2 = tuple(
    (f"{package}.src.engine.{kind.lower()}", kind)
    for package in ("keras", "tf_keras")
    for kind in ("Functional", "Sequential")
)
_SIZES = ("units", "filters", "input_dim", "output_dim")
_MOST = 5


@dataclass(frozen=True)
class Wanted:
    """What a file wants to run when it is loaded."""

    lambdas: tuple[str, ...] = ()
    """The names of its Lambda layers."""
    classes: tuple[tuple[str, str], ...] = ()
    """Modules that are not Keras' own, and what to take from them."""
    version: str = ""
    """The version of Keras that wrote it, as far as it says."""

    @property
    def is_of_keras_2(self) -> bool:
        """Whether Keras 2 wrote it."""
        return self.version.partition(".")[0] == "2"


def refuse_unsafe(path: Path, known: Mapping[str, object], allow_unsafe: bool) -> Wanted:
    """Reject a file that Keras should not be given.

    Args:
        path: `.keras`, `.h5` or `.weights.h5`.
        known: the user's classes and functions by name.
        allow_unsafe: whether the file may run code.

    Returns:
        What it says of itself.

    Raises:
        PReLUToolsError: it is damaged, declares more than it holds, or would run code.
    """
    wanted = refuse_damaged(path)
    if allow_unsafe:
        return wanted
    if wanted.lambdas:
        raise PReLUToolsError(
            f"{path} contains the Lambda layer {wanted.lambdas[0]!r}, and loading it would run "
            "code from the file: use --allow-unsafe-load if you trust it"
        )
    names = {name.rpartition(">")[2] for name in known}
    for module, name in wanted.classes:
        if wanted.is_of_keras_2 and (module, name) in _OF_KERAS_2:
            continue
        if name.rpartition(">")[2] not in names:
            advice = how_to_name(name.rpartition(">")[2], module, path)
            raise PReLUToolsError(
                f"{path} cannot be loaded: it uses the custom class {name!r} of {module}; {advice}"
            )
    return wanted


def refuse_damaged(path: Path) -> Wanted:
    """Reject a file that is damaged; its classes do not matter where only its weights are loaded.

    Raises:
        PReLUToolsError: it is damaged, or declares more than it holds.
    """
    found: Wanted = run_isolated(f"{__name__}:rehearse", path, (Wanted,))
    return found


def rehearse(path: Path) -> Wanted:
    """Read all that Keras would read; returns what the file would run.

    Raises:
        PReLUToolsError: it is damaged, reaches outside itself, or declares more than it holds.
    """
    size = path.stat().st_size
    if path.suffix == ".keras":  # as Keras itself tells the two formats apart
        if not zipfile.is_zipfile(path):
            raise PReLUToolsError(
                f"{path} cannot be loaded: a Keras archive is a zip file, but this is not one"
            )
        config = read_config(path)
        with open_weights(path) as (weights, held), opened(weights, str(path), held) as file:
            _read_all(file, held)
        return replace(_wanted(config, size), version=read_version(path))
    with opened(path, str(path), size) as file:
        _read_all(file, size)
        text, version = (file.attribute("/", key) for key in ("model_config", "keras_version"))
        wanted = Wanted() if text is None else _wanted(json.loads(text), size)
        return replace(wanted, version=str(version or ""))


def _read_all(file: Hdf5, size: int) -> None:
    """Every variable, as `Hdf5.read` lets it be read; together no more than a file may take."""
    total, allowed = 0, allowed_memory(size)
    for variable in file.variables():
        total += int(file.read(variable).nbytes)
        if total > allowed:
            raise ValueError("its variables declare more than the file contains")


def _wanted(config: Any, size: int) -> Wanted:
    """What a configuration names that is not Keras' own.

    Raises:
        PReLUToolsError: a layer is larger than the file.
    """
    lambdas: dict[str, None] = {}
    classes: dict[tuple[str, str], None] = {}
    for entry in _entries(config):
        kind, inner = str(entry["class_name"]), entry.get("config")
        settings = inner if isinstance(inner, Mapping) else {}
        _refuse_large(kind, settings, size)
        _refuse_reaching(kind, settings)
        if _plain(kind) in _LAMBDAS:
            lambdas[str(settings.get("name") or kind)] = None
        module = str(entry.get("module") or "")
        name = str(inner) if kind == "function" and isinstance(inner, str) else kind
        if module and not _is_of_keras(module, name, kind):
            classes[(module, name)] = None
    return Wanted(tuple(lambdas)[:_MOST], tuple(classes))


def _plain(kind: str) -> str:
    """The name of a class without the package or module that it may be spelled with."""
    return re.split(r"[>.]", kind)[-1]


def _is_of_keras(module: str, name: str, kind: str) -> bool:
    """Whether a name can be part of a model, rather than a tool of Keras or Python."""
    own = f"{module}.".removeprefix("keras.src.").removeprefix("keras.")
    if module == "builtins":
        return not hasattr(builtins, name) or name in _PLAIN_BUILTINS
    if module.partition(".")[0] != "keras" or "." in name:
        return False
    part = own.partition(".")[0]
    if part in _ONLY_CLASSES:
        return kind != "function" and _plain(name)[:1].isupper()
    return part in _PARTS


def _refuse_reaching(kind: str, settings: Mapping[str, Any]) -> None:
    """Reject a layer that reads what is outside the file.

    Raises:
        PReLUToolsError: it does.
    """
    name = settings.get("name", kind)
    if _plain(kind) in _LOADERS:
        raise PReLUToolsError(
            f"the file is rejected: its layer {name!r} is a {_plain(kind)}, which loads another "
            "model"
        )
    for key in ("vocabulary", "idf_weights"):
        if isinstance(settings.get(key), str):
            raise PReLUToolsError(
                f"the file is rejected: its layer {name!r} reads its {key} from the file "
                f"{settings[key]!r}"
            )


def _refuse_large(kind: str, settings: Mapping[str, Any], size: int) -> None:
    for key in _SIZES:
        value = settings.get(key)
        if isinstance(value, int) and value > size:
            raise PReLUToolsError(
                f"the file is damaged: its layer {settings.get('name', kind)!r} has {key} "
                f"{value:,}, more than the file has bytes"
            )


def _entries(value: Any) -> Iterator[Mapping[str, Any]]:
    """Everything with a class in a configuration, however deep."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            if isinstance(found.get("class_name"), str):
                yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
