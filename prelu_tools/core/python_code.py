"""What a Python file defines, found by parsing it: nothing is imported or run."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

_BASES = ("Module", "LightningModule", "Model", "Sequential")
_MOST_BYTES = 1_000_000
_OPEN = ("globals", "locals", "vars", "setattr", "exec", "eval", "__dict__", "modules")
"""Statements that may define a name that is not visible in the code."""
Function = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Maker:
    """A class or a function at the top of a file."""

    name: str
    """Its name."""
    node: Definition
    """Its code; a class has the bases and methods of the classes above it in the file too."""
    is_model: bool
    """Whether it is a model's class, or says that it returns one."""
    needed: tuple[str, ...]
    """The arguments without which it cannot be called, as far as the file says."""
    is_plain: bool
    """Whether its parameters are certain: no decorator, metaclass or `__new__`."""


@dataclass(frozen=True)
class Code:
    """The definitions in a file."""

    makers: tuple[Maker, ...]
    """In the order of the file."""
    names: Mapping[str, int]
    """How often it binds each of its names, imported ones included."""
    is_open: bool
    """Whether it may have other names: a star import, `__getattr__`, `globals()`."""
    defines_examples: bool
    """Whether the file has a function `example_inputs`."""

    def maker(self, name: str) -> Maker | None:
        """The last one of this name, which is the one that counts."""
        return next((one for one in reversed(self.makers) if one.name == name), None)


def read_code(path: Path) -> Code | None:
    """Read a file; None if it is no Python of ours, or too much of it."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        tree = ast.parse(path.read_bytes())
        return Code(
            makers=tuple(_makers(tree)),
            names=Counter((*_bound(tree), *_submodules(path))),
            is_open=any(map(_opens, ast.walk(tree))),
            defines_examples=any(
                isinstance(n, Function) and n.name == "example_inputs" for n in tree.body
            ),
        )
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def code_file(module: str) -> Path | None:
    """The file of a module, by its path or its dotted name; None if only an import can find it."""
    if module.endswith(".py"):
        return Path(module)
    places: list[str] | None = [str(Path.cwd()), *sys.path]
    found = None
    parts = module.split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        try:
            found = PathFinder.find_spec(name, places)
            places = list(found.submodule_search_locations or ()) if found else None
        except (ImportError, KeyError, ValueError, AttributeError):
            return None
        if found is None:
            return None
    origin = found.origin if found is not None else None
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def call_to_complete(name: str, needed: Iterable[str], given: Iterable[str] = ()) -> str:
    """The call to type, with a word in capitals for each argument that is left to fill in."""
    arguments = ", ".join((*given, *(f"{one}={one.upper()}" for one in needed)))
    return f"{name}({arguments})" if arguments else name


def method_of(node: ast.ClassDef, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """A method of a class."""
    return next((n for n in node.body if isinstance(n, Function) and n.name == name), None)


def _makers(tree: ast.Module) -> Iterator[Maker]:
    for node in _inherited(tree):
        needed, is_plain = tuple(_needed(node)), _is_plain(node)
        yield Maker(node.name, node, _makes_a_model(node), needed, is_plain)


def _is_plain(node: Definition) -> bool:
    if node.decorator_list:
        return False
    if isinstance(node, ast.FunctionDef):
        return True
    made = method_of(node, "__init__")
    changed = node.keywords or method_of(node, "__new__") or (made and made.decorator_list)
    return not changed


def _inherited(tree: ast.Module) -> Iterator[Definition]:
    """Functions and classes; a class with its inherited members from the same file."""
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


def _makes_a_model(node: Definition) -> bool:
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


def _needed(node: Definition) -> list[str]:
    """The arguments without which it cannot be called."""
    made = method_of(node, "__init__") if isinstance(node, ast.ClassDef) else node
    if not isinstance(made, Function):
        return []
    given = made.args
    positional = [*given.posonlyargs, *given.args][int(isinstance(node, ast.ClassDef)) :]
    needed = positional[: len(positional) - min(len(given.defaults), len(positional))]
    pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return [arg.arg for arg in (*needed, *(arg for arg, default in pairs if default is None))]


def _bound(tree: ast.Module) -> Iterator[str]:
    """The names that a module binds at its top, or by `global` anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ClassDef, *Function)):
            yield node.name
            continue  # names bound inside are not the module's
        yield from _names_of(node)
        waiting += ast.iter_child_nodes(node)


def _names_of(node: ast.AST) -> Iterator[str]:
    """The names that a node binds, its children's apart."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            yield node.module.partition(".")[0]  # a package has the submodule as a name then
    else:  # except ... as, match
        for field in ("name", "rest"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def _opens(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    if isinstance(node, Function):
        return node.name == "__getattr__"
    if isinstance(node, ast.Attribute):
        return node.attr in _OPEN
    return isinstance(node, ast.Name) and node.id in _OPEN


def _submodules(path: Path) -> list[str]:
    """Names that a package may get when it is imported."""
    if path.name != "__init__.py":
        return []
    return [entry.name.partition(".")[0] for entry in path.parent.iterdir()]
