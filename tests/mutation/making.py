"""Mutants of a module: mutmut's changes, and a few more, everywhere that code has an effect.

mutmut itself leaves out what it cannot reach through its trampolines: properties, in which the
verdicts are, module constants and the defaults of dataclasses. So only its operators are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan, MetadataWrapper
from mutmut.mutation import mutators

_LEFT_OUT = {mutators.operator_string}  # of its three changes one is enough: see `_string`


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    number: int
    """From 0, in the order of the file."""
    scope: str
    """The outermost function or method with the change, as in `Class.method`; "" for none."""
    line: int
    """Where, from 1."""
    before: str
    """The lines that changed, stripped and joined."""
    after: str
    """What they became; "" where they are gone."""
    source: str
    """The whole module."""

    @property
    def key(self) -> str:
        """What it is known by in a list: it stays the same when lines above move."""
        return f"{self.scope or '<module>'}: {self.before} -> {self.after}"


def make(source: str) -> list[Mutant]:
    """Every mutant of a module; of equal ones the first."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor()
    wrapper.visit(visitor)
    content, found = source.encode(), dict[str, Mutant]()
    for old, new, scope, span in visitor.changes:
        left, right = _bare(old, new)
        begin, end = span.start, span.start + span.length
        was, code = content[begin:end].decode(), wrapper.module.code_for_node(left)
        assert was.split() == code.split(), was  # but for indentation, and blanks around it
        changed = wrapper.module.code_for_node(right)
        changed = changed if was == code else changed.strip()
        text = (content[:begin] + changed.encode() + content[end:]).decode()
        if text != source and text not in found and _compiles(text):
            before, after = _lines(source, text)
            line = content.count(b"\n", 0, begin) + 1
            found[text] = Mutant(len(found), scope, line, before, after, text)
    return list(found.values())


def _bare(old: cst.CSTNode, new: cst.CSTNode) -> tuple[cst.CSTNode, cst.CSTNode]:
    """Without the parentheses that both have around them: they are outside of a node's span."""
    around = getattr(old, "lpar", ())
    if not around:
        return old, new
    if getattr(new, "lpar", ()) == around:
        new = new.with_changes(lpar=(), rpar=())
    return old.with_changes(lpar=(), rpar=()), new


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _lines(old: str, new: str) -> tuple[str, str]:
    """The lines that differ, between those that both begin and end with."""
    left = [line.strip() for line in old.splitlines()]
    right = [line.strip() for line in new.splitlines()]
    while left and right and left[0] == right[0]:
        del left[0], right[0]
    while left and right and left[-1] == right[-1]:
        del left[-1], right[-1]
    return " ".join(left), " ".join(right)


class _Visitor(cst.CSTVisitor):
    """Collects changes: not in annotations, decorators, imports and docstrings."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[cst.CSTNode, cst.CSTNode, str, CodeSpan]] = []
        self._conditions: set[cst.CSTNode] = set()
        self._names: list[tuple[str, bool]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)):
            return False
        if isinstance(node, cst.SimpleStatementLine) and (_is_docstring(node) or _is_type(node)):
            return False
        if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
            self._names.append((node.name.value, isinstance(node, cst.FunctionDef)))
        span = self.get_metadata(ByteSpanPositionProvider, node, None)
        if span is not None:
            self.changes += [(node, new, self._scope, span) for new in _changes(node)]
            if node in self._conditions:
                self.changes += [(node, new, self._scope, span) for new in _condition(node)]
        if isinstance(node, (cst.If, cst.While, cst.CompIf)):
            self._conditions.add(node.test)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.ClassDef, cst.FunctionDef)):
            self._names.pop()

    @property
    def _scope(self) -> str:
        """Down to the first function; "" outside of one."""
        path = []
        for name, is_function in self._names:
            path.append(name)
            if is_function:
                return ".".join(path)
        return ""


def _is_docstring(node: cst.SimpleStatementLine) -> bool:
    only = node.body[0] if len(node.body) == 1 else None
    return isinstance(only, cst.Expr) and isinstance(
        only.value, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)
    )


def _is_type(node: cst.SimpleStatementLine) -> bool:
    """Whether it gives a type a name: no tool but mypy looks at that."""
    only = node.body[0]
    return isinstance(only, cst.Assign) and isinstance(only.value, cst.Subscript)


def _changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in mutators.mutation_operators:
        if isinstance(node, kind) and operator not in _LEFT_OUT:
            yield from operator(node)
    for own in (_string, _result, _dropped):
        yield from own(node)


def _string(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """A string is another one."""
    if isinstance(node, cst.SimpleString) and '"""' not in node.value:
        yield next(iter(mutators.operator_string(node)))


def _condition(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """A condition the other way round, where mutmut has no operator of it to exchange."""
    if isinstance(node, (cst.Name, cst.Call, cst.Attribute, cst.NamedExpr)):
        yield cst.UnaryOperation(cst.Not(), node)


def _result(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """A function returns nothing."""
    if isinstance(node, cst.Return) and node.value is not None:
        yield node.with_changes(value=cst.Name("None"))


def _dropped(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """A call for its effect is not made; a yield gives nothing."""
    if isinstance(node, cst.Expr) and isinstance(node.value, (cst.Call, cst.Yield)):
        yield cst.Pass()
