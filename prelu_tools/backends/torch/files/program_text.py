"""Search the graph of a `.pt2` file, as text, for code that is not arithmetic.

torch evaluates a good part of it as Python while it loads and runs a program: expressions of sizes
(`sympy.sympify`), guards (`exec`), names that end up in generated code, enumerations that are
imported by name, and targets that are looked up in the module `torch`, which also contains `os`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_TARGET: Final = re.compile(
    r"torch\.ops\.(aten|prims|quantized|quantized_decomposed|torchvision|onnx|onnx_symbolic)"
    r"\.(?!from_file\b)(__i?(and|or|xor|[lr]shift)__|(?!_?_?(save|load))[A-Za-z_]\w*)\.\w+"
    r"|torch\.ops\.higher_order\.[A-Za-z]\w*"
    r"|torch\.(_?sym_\w+|_check\w*)|math\.[a-z]\w*"
    r"|torch\._C\._set_grad_enabled|torch\.amp\.autocast_mode\._(enter|exit)_autocast"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|getitem|eq|ne|lt|le|gt|ge|and_|or_"
    r"|not_|abs|index|lshift|rshift|xor|invert|inv)"
)
_NAME: Final = re.compile(r"[\w.\-/:+ <>@$|]*")
_FREE: Final = {"metadata", "as_string", "as_strings", "stack_trace", "torch_version"}
_TARGETS: Final = {"target", "as_operator"}
_CALLS: Final = {
    "Symbol", "Integer", "Float", "Rational", "Max", "Min", "Mod", "Abs", "Pow", "And", "Or",
    "Not", "Xor", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "LessThan",
    "StrictLessThan", "GreaterThan", "StrictGreaterThan", "floor", "ceiling", "sqrt", "Piecewise",
    "FloorDiv", "ModularIndexing", "CeilDiv", "CleanDiv", "CeilToInt", "FloorToInt", "RoundToInt",
    "RoundDecimal", "TruncToInt", "TruncToFloat", "ToFloat", "IntTrueDiv", "FloatTrueDiv",
    "FloatPow", "PowByNatural", "PythonMod", "Where", "LShift", "RShift", "Identity",
    "BitwiseFn_bitwise_and", "BitwiseFn_bitwise_or", "OpaqueUnaryFn_sqrt",
    "IsNonOverlappingAndDenseIndicator", "size", "stride", "storage_offset", "numel", "dim",
}  # fmt: skip
_POWERS: Final = {"Pow", "PowByNatural", "FloatPow", "LShift"}
_LONGEST: Final = 5000
_LARGEST: Final = 64
_PLAIN: Final = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Name, ast.Load,
    ast.Constant, ast.Subscript, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.keyword,
    ast.Slice, ast.Tuple,
)  # fmt: skip


def code_in(document: Any) -> Iterator[str]:
    """What a program has torch evaluate that is neither arithmetic nor a name of an operator."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if not _NAME.fullmatch(name):
                    yield name
                if name not in _FREE:
                    waiting.append((name, inner))
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in value]
        elif isinstance(value, str):
            yield from _text(key, value)


def _text(key: str, text: str) -> Iterator[str]:
    if key in _TARGETS:
        if not _TARGET.fullmatch(text):
            yield text
    elif key in ("expr_str", "guards_code"):
        if not is_arithmetic(text):
            yield text
    elif text[:1] in ("[", "{"):
        yield from _nested(text)
    elif not _NAME.fullmatch(text):
        yield text


def _nested(text: str) -> Iterator[str]:
    """A document in a text: how arguments are nested. Its own texts may be documents again."""
    try:
        inner = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    waiting = [inner]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            if "__enum__" in value or "default_factory_module" in value:
                yield str(value.get("fqn") or value.get("default_factory_module"))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and value[:1] in ("[", "{"):
            yield from _nested(value)


def is_arithmetic(text: str) -> bool:
    """Whether an expression does no more than compute with sizes, and ends soon."""
    if len(text) > _LONGEST:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    nodes = list(ast.walk(tree))
    powers = [node for node in nodes if _is_power(node)]
    return (
        all(_is_allowed(node) for node in nodes)
        and not any(_is_power(inner) for p in powers for inner in ast.walk(p) if inner is not p)
        and all(_has_small_exponent(node) for node in powers)
    )


def _is_allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        target = node.func
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        is_method = isinstance(target, ast.Attribute)
        return name in _CALLS and not (is_method and (node.args or node.keywords))
    if isinstance(node, ast.Attribute):
        return node.attr in _CALLS
    if isinstance(node, ast.Name):
        return not node.id.startswith("__")
    if isinstance(node, ast.Constant):
        value = node.value
        small = isinstance(value, int | float) and abs(value) < 2**64
        return small or (isinstance(value, str) and bool(re.fullmatch(r"[\w.]*", value)))
    return isinstance(node, _PLAIN)


def _is_power(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Pow | ast.LShift)
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in _POWERS


def _has_small_exponent(node: ast.AST) -> bool:
    exponent: ast.AST | None = None
    if isinstance(node, ast.BinOp):
        exponent = node.right
    elif isinstance(node, ast.Call) and len(node.args) == 2:
        exponent = node.args[1]
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    return isinstance(value, int | float) and abs(value) <= _LARGEST
