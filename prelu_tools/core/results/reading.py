"""Read results back from their JSON documents, whose fields have the same names."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from prelu_tools.core.results.reasons import Reason

T = TypeVar("T")


def from_document(kind: type[T], document: Any) -> T:
    """The result that a document was written from; `reason_codes` go back to their `reasons`.

    Raises:
        KeyError: a field that has no default is missing.
    """
    made: T = _made(kind, document)
    return made


def _made(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _instance(kind, value)
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (one for one in of if one is not type(None))
        return None if value is None else _made(inner, value)
    if origin is tuple:
        kinds = [of[0]] * len(value) if of[-1] is Ellipsis else of
        return tuple(_made(one, item) for one, item in zip(kinds, value, strict=True))
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {key: _made(of[1], item) for key, item in value.items()}
    return float(value) if kind is float else value  # "NaN" and "Infinity" too


def _instance(kind: type, value: Mapping[str, Any]) -> Any:
    given = {name: _made(of, value[name]) for name, of in _types(kind).items() if name in value}
    for name in given:
        codes = value.get(f"{name[:-1]}_codes")
        if codes is not None:
            given[name] = tuple(map(Reason, given[name], codes))
    missing = {item.name for item in dataclasses.fields(kind) if _is_needed(item)} - given.keys()
    if missing:
        raise KeyError(", ".join(sorted(missing)))
    return kind(**given)


def _is_needed(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


@cache
def _types(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}
