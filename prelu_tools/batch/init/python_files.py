"""Python files that define models, as far as that can be told without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.core.python_code import Code, Definition, method_of, read_code
from prelu_tools.core.results.export import LeftOut


@dataclass(frozen=True)
class PythonModel:
    """A class, or a function that says that it returns a model."""

    path: Path
    """The file."""
    name: str
    """The class or the function."""
    is_alone: bool
    """Whether it is the only one of its file."""
    arguments: tuple[str, ...] | None
    """What its call takes, where shapes have to be given; None where it tells them."""

    @property
    def spelled(self) -> str:
        """The source."""
        return f"{self.path.as_posix()}:{self.name}"

    def fits(self, stem: str) -> bool:
        """Whether an ONNX file of this stem is called after it, or after its file."""
        return _plain(stem) == _plain(self.name) or (
            self.is_alone and _plain(stem) == _plain(self.path.stem)
        )

    def shapes(self, of_onnx: tuple[str, ...] | None) -> tuple[str, ...]:
        """NAME:DIMS for each input that it cannot tell, as the ONNX file has them, in order."""
        if self.arguments is None or of_onnx is None or len(self.arguments) != len(of_onnx):
            return ()
        dims = (text.rpartition(":")[2] for text in of_onnx)
        return tuple(f"{name}:{sizes}" for name, sizes in zip(self.arguments, dims, strict=True))


def _plain(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).lower()


def python_models(
    folder: Path, files: Sequence[Path], left_out: list[LeftOut]
) -> list[PythonModel]:
    """The models that files define and that need no arguments; of tests, none.

    Args:
        folder: what the files are relative to.
        files: to parse.
        left_out: is told of those that need arguments.
    """
    found: list[PythonModel] = []
    for path in files:
        if path.name.startswith("test_") or path.name == "conftest.py":
            continue
        whole = folder / path
        code = read_code(whole)
        if code is not None:
            found += _in_file(path, code, left_out)
    return found


def _in_file(path: Path, code: Code, left_out: list[LeftOut]) -> Iterator[PythonModel]:
    callable_ones = []
    for maker in code.makers:
        if not maker.is_model:
            continue
        if maker.needed:
            needed = ", ".join(maker.needed)
            why = f"it needs {needed}: write {path.as_posix()}:{maker.name}(...) yourself"
            left_out.append(LeftOut(f"{path.as_posix()}:{maker.name}", why))
        else:
            callable_ones.append(maker)
    for maker in callable_ones:
        arguments = None if code.defines_examples else _call_arguments(maker.node)
        yield PythonModel(path, maker.name, len(callable_ones) == 1, arguments)


def _call_arguments(node: Definition) -> tuple[str, ...] | None:
    """What `forward` or `call` takes; None for a function, and where `example_inputs` says more."""
    if not isinstance(node, ast.ClassDef) or method_of(node, "example_inputs"):
        return None
    made = method_of(node, "forward") or method_of(node, "call")
    if made is None:
        return None
    names = [argument.arg for argument in (*made.args.posonlyargs, *made.args.args)][1:]
    return tuple(names[: len(names) - len(made.args.defaults)])
