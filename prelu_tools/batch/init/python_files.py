"""Python files that define models, recognised without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prelu_tools.core.python_code import (
    Code,
    Definition,
    Maker,
    call_to_complete,
    method_of,
    read_code,
)

_FRAMEWORKS = ("torch", "keras", "tensorflow", "nn", "lightning", "tf")


@dataclass(frozen=True)
class PythonModel:
    """A class, or a function that says that it returns a model."""

    path: Path
    """The file."""
    name: str
    """The class or the function."""
    call: str
    """The text after the colon: the name, with placeholders for required arguments."""
    needed: tuple[str, ...]
    """The arguments that have to be filled in."""
    is_alone: bool
    """Whether it is the only one of its file."""
    arguments: tuple[str, ...] | None
    """The parameters of its call if shapes have to be given; None if it states them."""

    @property
    def label(self) -> str:
        """The source."""
        return f"{self.path.as_posix()}:{self.call}"

    def fits(self, stem: str) -> bool:
        """Whether an ONNX file of this stem is called after it, or after its file."""
        return _plain(stem) == _plain(self.name) or (
            self.is_alone and _plain(stem) == _plain(self.path.stem)
        )

    def shapes(self, of_onnx: tuple[str, ...] | None) -> tuple[str, ...]:
        """NAME:DIMS for each input that it does not state, as in the ONNX file, in order."""
        if self.arguments is None or of_onnx is None or len(self.arguments) != len(of_onnx):
            return ()
        dims = (text.rpartition(":")[2] for text in of_onnx)
        return tuple(f"{name}:{sizes}" for name, sizes in zip(self.arguments, dims, strict=True))


def _plain(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).lower()


def python_models(folder: Path, files: Sequence[Path]) -> list[PythonModel]:
    """The models that files define; of tests, none.

    Args:
        folder: what the files are relative to.
        files: to parse.
    """
    found: list[PythonModel] = []
    for path in files:
        if path.name.startswith("test_") or path.name == "conftest.py":
            continue
        code = read_code(folder / path)
        if code is not None:
            makers = [maker for maker in code.makers if maker.is_model]
            found += [_model(path, code, maker, len(makers) == 1) for maker in makers]
    return found


def model_named(folder: Path, path: Path, call: str) -> PythonModel | None:
    """The model that a call makes; None if the file has none of this name at its top.

    Args:
        folder: what the file is relative to.
        path: the file.
        call: `name` or `name(args)`.
    """
    code = read_code(folder / path)
    maker = code.maker(call.partition("(")[0]) if code is not None else None
    if code is None or maker is None:
        return None
    if not maker.is_model and not is_about_models(code):
        return None
    found = _model(path, code, maker, is_alone=True)
    return replace(found, call=call, needed=()) if "(" in call else found


def is_about_models(code: Code) -> bool:
    """Whether a file uses a framework."""
    return any(name in code.names for name in _FRAMEWORKS)


def _model(path: Path, code: Code, maker: Maker, is_alone: bool) -> PythonModel:
    arguments = None if code.defines_examples else _call_arguments(maker.node)
    call = call_to_complete(maker.name, maker.needed)
    return PythonModel(path, maker.name, call, maker.needed, is_alone, arguments)


def _call_arguments(node: Definition) -> tuple[str, ...] | None:
    """The parameters of `forward` or `call`; None for a function, or with `example_inputs`."""
    if not isinstance(node, ast.ClassDef) or method_of(node, "example_inputs"):
        return None
    made = method_of(node, "forward") or method_of(node, "call")
    if made is None:
        return None
    names = [argument.arg for argument in (*made.args.posonlyargs, *made.args.args)][1:]
    return tuple(names[: len(names) - len(made.args.defaults)])
