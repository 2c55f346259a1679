"""Python files that define models, as far as that can be told without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.core.results.export import LeftOut

_BASES = ("Module", "LightningModule", "Model", "Sequential")
_MOST_BYTES = 1_000_000
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Maker = ast.ClassDef | ast.FunctionDef


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
        try:
            if whole.stat().st_size > _MOST_BYTES:
                continue
            tree = ast.parse(whole.read_bytes())
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # no Python of ours, or none at all
        found += _in_file(path, tree, left_out)
    return found


def _in_file(path: Path, tree: ast.Module, left_out: list[LeftOut]) -> Iterator[PythonModel]:
    told = any(isinstance(n, _Function) and n.name == "example_inputs" for n in tree.body)
    nodes = [node for node in _inherited(tree) if _makes_a_model(node)]
    callable_ones = []
    for node in nodes:
        needed = _needed(node)
        if needed:
            why = f"it needs {', '.join(needed)}: write {path.as_posix()}:{node.name}(...) yourself"
            left_out.append(LeftOut(f"{path.as_posix()}:{node.name}", why))
        else:
            callable_ones.append(node)
    for node in callable_ones:
        arguments = None if told else _call_arguments(node)
        yield PythonModel(path, node.name, len(callable_ones) == 1, arguments)


def _inherited(tree: ast.Module) -> Iterator[_Maker]:
    """Functions and classes; a class with what it has from classes above it in the same file."""
    known: dict[str, ast.ClassDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            above = [known[name] for base in node.bases if (name := _last_name(base)) in known]
            whole = ast.ClassDef(
                name=node.name,
                bases=[*node.bases, *(base for each in above for base in each.bases)],
                keywords=node.keywords,
                body=[*node.body, *(part for each in above for part in each.body)],
                decorator_list=node.decorator_list,
            )
            known[node.name] = whole
            yield whole


def _makes_a_model(node: _Maker) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(_last_name(base) in _BASES for base in node.bases)
    return not node.name.startswith("_") and _last_name(node.returns) in _BASES


def _last_name(node: ast.expr | None) -> str:
    """`Module` of `torch.nn.Module`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.rpartition(".")[2]
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _needed(node: _Maker) -> list[str]:
    """The arguments without which it cannot be called."""
    made = _method(node, "__init__") if isinstance(node, ast.ClassDef) else node
    if not isinstance(made, _Function):
        return []
    given = made.args
    positional = [*given.posonlyargs, *given.args][int(isinstance(node, ast.ClassDef)) :]
    needed = positional[: len(positional) - min(len(given.defaults), len(positional))]
    pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return [arg.arg for arg in (*needed, *(arg for arg, default in pairs if default is None))]


def _call_arguments(node: _Maker) -> tuple[str, ...] | None:
    """What `forward` or `call` takes; None for a function, and where `example_inputs` says more."""
    if not isinstance(node, ast.ClassDef) or _method(node, "example_inputs"):
        return None
    made = _method(node, "forward") or _method(node, "call")
    if made is None:
        return None
    names = [argument.arg for argument in (*made.args.posonlyargs, *made.args.args)][1:]
    return tuple(names[: len(names) - len(made.args.defaults)])


def _method(node: ast.ClassDef, name: str) -> _Function | None:
    return next((n for n in node.body if isinstance(n, _Function) and n.name == name), None)
