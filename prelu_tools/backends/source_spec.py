"""How a user names a source: a file, or a Python callable with literal arguments."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from prelu_tools.backends.llvm import load_triton_first
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.process.lazily import lazy_import_module
from prelu_tools.core.suggestions import no_such_file

if TYPE_CHECKING:
    from prelu_tools.backends import remote
    from prelu_tools.backends.preflight import names
else:
    names = lazy_import_module("prelu_tools.backends.preflight.names")
    remote = lazy_import_module("prelu_tools.backends.remote")

# A drive letter before a colon is part of the path; a name never has one.
_PYTHON = re.compile(
    r"^(?P<module>(?:[A-Za-z]:[\\/])?[^:]+):(?P<call>[A-Za-z_][\w.]*(?:\(.*\))?)$", re.DOTALL
)
_UNNAMED = re.compile(r"^(?P<module>.+?\.py):(?P<rest>.*)$", re.DOTALL)
_WEIGHTS = re.compile(
    r"^(?P<head>.*?(?:\.\w+|:[A-Za-z_][\w.]*(?:\(.*\))?))@(?P<weights>.*)$", re.DOTALL
)
_behind: set[str] = set()
"""The folders of modules that the user named, which are looked in last of all."""
_PYTHON_URL = re.compile(r"\.py(:[A-Za-z_]|$|[?#])")


class FileName(str):
    """The name of a file that a folder, a pattern or a program gave: never a Python source."""

    __slots__ = ()


def as_file(text: str) -> str:
    """The name of a file, or a URL: no Python source, whatever it looks like."""
    return text if _is_url(text) else FileName(text)


def _is_url(text: str) -> bool:
    return "://" in text and remote.is_url(text)


def is_literal(text: str) -> bool:
    """Whether a source means one file or URL as it stands: it exists, or was found by its name."""
    return isinstance(text, FileName) or exists(text)


class SourceSpec(NamedTuple):
    """A parsed source."""

    text: str
    """As the user typed it."""
    file: Path | None
    """The model file, or the copy of one at a URL; None for a Python source."""
    module: str | None
    """A module's name or a Python file; None for a model file."""
    call: str | None
    """`name` or `name(args)` in that module."""
    weights: Path | None
    """The file after the @."""


def parse_source_spec(text: str) -> SourceSpec:
    """Parse a source; whether its files exist is checked by their reader.

    Raises:
        UsageError: it is spelled like nothing that is known.
    """
    if isinstance(text, FileName):
        return SourceSpec(text, Path(text), None, None, None)
    if _is_url(text):
        return SourceSpec(text, _copied(text), None, None, None)
    if exists(text) and text and not text.endswith(".py"):
        return SourceSpec(text, Path(text), None, None, None)
    head, weights = _split_weights(text)
    match = _PYTHON.match(head)
    if match:
        return SourceSpec(text, None, match["module"], match["call"], weights)
    unnamed = _UNNAMED.match(text)
    if unnamed:
        raise names.nothing_named(unnamed["module"], unnamed["rest"])
    if head.endswith(".py"):
        raise names.nothing_named(head)
    if not head or head.startswith(("@", ":")) or head.endswith(":"):
        raise UsageError(
            f"{text!r} is not a model: expected a file, FILE.py:NAME or FILE.py:NAME(arguments)"
        )
    return SourceSpec(text, Path(head), None, None, weights)


def exists(text: str) -> bool:
    """Whether there is a file of that name; a link to nothing is one, and is read as one."""
    try:
        return os.path.lexists(text)
    except ValueError:  # it contains NUL
        return False


def base_name(label: str) -> str:
    """The source without its folders: the result must not depend on its place."""
    source_spec = parse_source_spec(label)
    name = Path(source_spec.module or source_spec.file or label).name
    call = f":{source_spec.call}" if source_spec.call else ""
    weights = f"@{source_spec.weights.name}" if source_spec.weights else ""
    return f"{name}{call}{weights}".encode("utf-8", "backslashreplace").decode()


def python_parts(text: str) -> tuple[str, str] | None:
    """A Python source as what is before the `@` of its weights and after it; None for a file."""
    if isinstance(text, FileName) or _is_url(text) or not text:
        return None
    match = _WEIGHTS.match(text)
    head, weights = (match["head"], match["weights"]) if match else (text, "")
    return (head, weights) if _PYTHON.match(head) else None


def path_spans(text: str) -> list[tuple[int, int]]:
    """The positions of file names in a source: a model or a Python file, and weights."""
    if isinstance(text, FileName) or _is_url(text):
        return [(0, len(text))]
    split = _WEIGHTS.match(text)
    head = split["head"] if split else text
    found = _PYTHON.match(head)
    spans = [(0, len(head) if found is None else found.end("module"))]
    if found is not None and not found["module"].endswith(".py"):
        spans = []
    return spans + ([split.span("weights")] if split and split["weights"] else [])


def _split_weights(text: str) -> tuple[str, Path | None]:
    """Split at the @ after a file or a call; one in a folder's name or an argument is none."""
    match = _WEIGHTS.match(text)
    if match is None:
        return text, None
    if not match["weights"]:
        raise UsageError(f"{text!r} ends in @: expected SOURCE@WEIGHTS, with a weights file")
    weights = match["weights"]
    return match["head"], remote.local_copy(weights) if _is_url(weights) else Path(weights)


def _copied(url: str) -> Path:
    """A copy of the model at a URL; a Python source there is refused before anything is read."""
    if _PYTHON_URL.search(url):
        raise UsageError(
            f"{url!r} is Python code at a URL, which is never run: download it, and use "
            "FILE.py:NAME"
        )
    return remote.local_copy(url)


def import_named(name: str) -> ModuleType:
    """Import a module by its dotted name, or a Python file by its path.

    Meanwhile its own folder comes first on `sys.path`, as when Python runs it.

    Raises:
        PReLUToolsError: it does not exist, or fails while it is imported.
    """
    load_triton_first()
    try:
        if not name.endswith(".py"):
            return _import_module(name)
        path = Path(name).resolve()
        if not path.is_file():
            raise PReLUToolsError(no_such_file(name))
        return _import_file(path)
    except PReLUToolsError:
        raise
    except (Exception, SystemExit) as error:  # a source that calls exit gives no verdict
        raise PReLUToolsError(
            f"importing {name} failed with {type(error).__name__}: {error}"
        ) from error


def _import_module(name: str) -> ModuleType:
    with _looking_in(Path.cwd()):
        return importlib.import_module(name)


@contextmanager
def _looking_in(folder: Path) -> Iterator[None]:
    """Look for modules in a folder: first within the block, and after all others from then on.

    So a module of the user's finds its neighbours, and no file there is taken for a module that a
    framework imports later.
    """
    place = str(folder)
    is_given = place in sys.path or ("" in sys.path and folder == Path.cwd())
    if is_given and place not in _behind:
        yield
        return
    _behind.add(place)
    _move(place, to_front=True)
    try:
        yield
    finally:
        _move(place, to_front=False)


def _move(place: str, to_front: bool) -> None:
    with suppress(ValueError):  # the module itself may have changed the path
        sys.path.remove(place)
    sys.path.insert(0 if to_front else len(sys.path), place)


def _folder_of(module: str) -> Path:
    return Path(module).resolve().parent if module.endswith(".py") else Path.cwd()


def _import_file(path: Path) -> ModuleType:
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PReLUToolsError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        with _looking_in(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(path.stem, None)
        raise
    return module


def build_object(source_spec: SourceSpec) -> object:
    """Import the module of a Python source and make the object that it names.

    A class is called without arguments where none are given, and so is a function; any other
    object is taken as it is. What the call draws at random, such as weights that nothing is loaded
    into, is the same every time, so that an export can be compared with its source later on.

    Raises:
        UsageError: there is no such name, or it does not take these arguments.
        PReLUToolsError: the call fails.
    """
    target, (label, args, kwargs) = named_object(source_spec)
    wants_call = isinstance(target, type) or not _is_model(target)
    if not (str(source_spec.call).endswith(")") or (wants_call and callable(target))):
        return target
    names.refuse_call(target, label, args, kwargs, source_spec.weights)
    try:
        with _seeded(), _looking_in(_folder_of(label.rpartition(":")[0])):
            return target(*args, **kwargs)
    except PReLUToolsError:
        raise
    except (Exception, SystemExit) as error:
        raise PReLUToolsError(
            f"calling {source_spec.text} failed with {type(error).__name__}: {error}"
        ) from error


def named_object(
    source_spec: SourceSpec,
) -> tuple[Any, tuple[str, list[Any], dict[str, Any]]]:
    """What a Python source names; and the source without arguments, and these.

    Raises:
        UsageError: the arguments are not literals.
        PReLUToolsError: there is no such name.
    """
    if source_spec.module is None or source_spec.call is None:
        raise AssertionError("not a Python source")
    name, args, kwargs = parse_call(source_spec.call)
    module = import_named(source_spec.module)
    target: Any = module
    for part in name.split("."):
        if not hasattr(target, part):
            offered = names.defined_in(module)
            raise names.no_such_name(source_spec.module, name, offered, vars(module))
        target = getattr(target, part)
    return target, (f"{source_spec.module}:{name}", args, kwargs)


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw from seed 0, and leave the generators as they were; Keras seeds by Python's own."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state = torch.get_rng_state() if torch else None
    random.seed(0)
    if numpy:
        numpy.random.seed(0)
    if torch:
        torch.manual_seed(0)
    try:
        yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
        if torch:
            torch.set_rng_state(torch_state)


def parse_call(call: str) -> tuple[str, list[Any], dict[str, Any]]:
    """The name and the arguments of a call as the user typed it.

    Raises:
        UsageError: an argument is not a literal.
    """
    expected = "expected NAME or NAME(arguments) with literal arguments such as 10, 'prelu' or None"
    try:
        tree = ast.parse(call, mode="eval").body
        if not isinstance(tree, ast.Call):
            return call, [], {}
        args = [ast.literal_eval(arg) for arg in tree.args]
        kwargs = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords if k.arg}
    except (SyntaxError, ValueError, TypeError) as error:
        raise UsageError(f"{call!r} cannot be read: {expected}") from error
    if len(kwargs) != len(tree.keywords):
        raise UsageError(f"{call!r} unpacks a dictionary: {expected}")
    return ast.unparse(tree.func), args, kwargs


def model_framework(model: object) -> str | None:
    """The framework of a live object, judged by its class alone: nothing is imported."""
    for base in type(model).__mro__:
        if base.__module__.startswith("torch.nn.modules.") and base.__name__ == "Module":
            return "torch"
        if base.__module__.startswith("keras.") and base.__name__ == "Model":
            return "keras"
    return None


def type_name(model: object) -> str:
    """What to call the type of an object in a sentence; Python's own types by their name alone."""
    kind = type(model)
    own = kind.__module__ == "builtins"
    return kind.__qualname__ if own else f"{kind.__module__}.{kind.__qualname__}"


def _is_model(target: object) -> bool:
    return model_framework(target) is not None
