"""Mutants of a module: mutmut's changes, and a few more, everywhere that code has an effect.

mutmut itself leaves out what it cannot reach through its trampolines: properties, in which the
verdicts are, module constants and the defaults of dataclasses. So only its operators are taken.
Sentences outside of functions are left as they are: they are the help of options.
"""

from __future__ import annotations

import ast
import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan, MetadataWrapper
from mutmut.mutation import mutators

_LEFT_OUT = {mutators.operator_string}  # of its three changes one is enough: see `_string`


@dataclass(frozen=True)
class Mutant:
    """One change of a module."""

    scope: str
    """The outermost function or method with the change, as in `Class.method`; "" for none."""
    line: int
    """Where, from 1."""
    statement: tuple[int, int] | None
    """The first and last line of the statement in that function that has it; None for a default."""
    before: str
    """The lines that changed, stripped and joined."""
    after: str
    """What they became; "" where they are gone."""
    begin: int
    """Where the text that changes begins, in bytes of the module's source, and where it ends."""
    end: int
    text: str
    """What stands there instead."""
    digest: str
    """Of the function as it was and as it is, without its docstring and comments; of the module,
    if there is no function."""

    @property
    def key(self) -> str:
        """What it is known by in a list: it stays the same when lines above move."""
        return f"{self.scope or '<module>'}: {self.before} -> {self.after}"

    def applied(self, source: str) -> str:
        """The whole module with the change."""
        content = source.encode()
        return (content[: self.begin] + self.text.encode() + content[self.end :]).decode()


def make_or_recall(source: str, folder: Path) -> list[Mutant]:
    """The mutants of a module, kept in a folder by what they were made from."""
    made = hashlib.sha256(Path(__file__).read_bytes() + source.encode()).hexdigest()
    store = folder / f"made-{made[:24]}.json"
    if not store.exists():
        store.write_text(json.dumps([asdict(mutant) for mutant in make(source)]))
    return [
        Mutant(**{**found, "statement": found["statement"] and tuple(found["statement"])})
        for found in json.loads(store.read_text())
    ]


def make(source: str) -> list[Mutant]:
    """Every mutant of a module; of equal ones the first."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor()
    wrapper.visit(visitor)
    content, found = source.encode(), dict[str, Mutant]()
    starts = [0, *(i + 1 for i, byte in enumerate(content) if byte == ord("\n"))]
    for change in visitor.changes:
        left, right = _bare(change.old, change.new)
        begin, end = _ends(change.span)
        was, code = content[begin:end].decode(), wrapper.module.code_for_node(left)
        assert was.split() == code.split(), was  # but for indentation, and blanks around it
        changed = wrapper.module.code_for_node(right)
        changed = changed if was == code else changed.strip()
        text = (content[:begin] + changed.encode() + content[end:]).decode()
        if text != source and text not in found and _compiles(text):
            first, last = _ends(change.around) if change.around else (0, len(content))
            was_around = content[first:last].decode()
            is_around = (content[first:begin] + changed.encode() + content[end:last]).decode()
            column = first - starts[bisect_right(starts, first) - 1]
            meanings = [_meaning(around, column) for around in (was_around, is_around)]
            if meanings[0] == meanings[1]:
                continue
            inside = "\0".join((change.scope, *meanings))
            statement = change.statement and tuple(
                bisect_right(starts, place) for place in _ends(change.statement)
            )
            found[text] = Mutant(
                change.scope, bisect_right(starts, begin), statement, *_lines(source, text),
                begin, end, changed, hashlib.sha256(inside.encode()).hexdigest()[:24],
            )  # fmt: skip
    return list({mutant.digest: mutant for mutant in reversed(found.values())}.values())[::-1]


def _meaning(text: str, column: int) -> str:
    """What a function or a module does: without docstrings, comments and how it is laid out.

    Args:
        text: its source.
        column: where its first line begins.
    """
    tree = ast.parse(f"if 1:\n{' ' * column}{text}" if column else text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [each for each in body if not _says_only(each)]
    return ast.dump(tree)


def _says_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _ends(span: CodeSpan) -> tuple[int, int]:
    return span.start, span.start + span.length


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


@dataclass(frozen=True)
class _Change:
    old: cst.CSTNode
    new: cst.CSTNode
    span: CodeSpan
    scope: str
    around: CodeSpan | None
    """That function."""
    statement: CodeSpan | None


class _Visitor(cst.CSTVisitor):
    """Collects changes: not in annotations, decorators, imports and docstrings."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[_Change] = []
        self._conditions: set[cst.CSTNode] = set()
        self._names: list[tuple[str, CodeSpan | None]] = []
        self._statements: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)):
            return False
        if isinstance(node, cst.SimpleStatementLine) and (_is_docstring(node) or _is_type(node)):
            return False
        span = self.get_metadata(ByteSpanPositionProvider, node, None)
        if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
            own = span if isinstance(node, cst.FunctionDef) else None
            self._names.append((node.name.value, own))
        if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            self._statements.append(node)
        in_function = any(own is not None for _, own in self._names)
        if span is not None and (in_function or not _is_sentence(node)):
            every = [*_changes(node), *(_condition(node) if node in self._conditions else ())]
            self.changes += [self._change(node, new, span) for new in every]
        if isinstance(node, (cst.If, cst.While, cst.CompIf)):
            self._conditions.add(node.test)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.ClassDef, cst.FunctionDef)):
            self._names.pop()
        if self._statements and self._statements[-1] is original_node:
            self._statements.pop()

    def _change(self, old: cst.CSTNode, new: cst.CSTNode, span: CodeSpan) -> _Change:
        """A change in the outermost function here, and in the innermost statement."""
        path, around = [], None
        for name, own in self._names:
            path.append(name)
            if own is not None:
                around = own
                break
        if around is None or not self._statements:
            return _Change(old, new, span, "", None, None)
        place = self.get_metadata(ByteSpanPositionProvider, self._statements[-1])
        scope = ".".join(path)
        if place.start == around.start:  # a default, evaluated when the module is loaded
            return _Change(old, new, span, scope, around, None)
        if isinstance(self._statements[-1], cst.BaseCompoundStatement):  # not what is in its body
            place = CodeSpan(place.start, span.start + span.length - place.start)
        return _Change(old, new, span, scope, around, place)


def _is_docstring(node: cst.SimpleStatementLine) -> bool:
    only = node.body[0] if len(node.body) == 1 else None
    return isinstance(only, cst.Expr) and isinstance(
        only.value, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)
    )


def _is_sentence(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleString) and node.value.count(" ") >= 2


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
