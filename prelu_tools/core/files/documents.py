"""Dataclasses as JSON, with their arrays next to it; read back by the types of their fields."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from prelu_tools.core.arrays import Array, frozen

_LARGEST: Final = 2**53  # the largest integer that every JSON reader keeps exactly
_NOT_FINITE: Final = ("NaN", "Infinity", "-Infinity")


class WrongDocumentError(ValueError):
    """A document that is not of the type that was expected; the message says where, and why."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array that is loaded when it is needed; in JSON the name that it is stored under."""

    load: Callable[[], Array]
    """Gives the array."""


def flatten(value: Any, arrays: dict[str, Stored], place: str = "") -> Any:
    """A value as in JSON.

    Args:
        value: dataclasses, tuples, mappings with texts as keys, texts, numbers, arrays, which may
            be `Stored`.
        arrays: takes the arrays, each named by its place in the document: `runs/0/counts/1`.
        place: where the value is.
    """
    within = f"{place}/" if place else ""
    if isinstance(value, np.ndarray):
        return flatten(Stored(lambda: value), arrays, place)
    if isinstance(value, Stored):
        arrays[place] = value
        return place
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: flatten(getattr(value, name), arrays, within + name) for name in names}
    if isinstance(value, Mapping):
        items = enumerate(value.items())
        return {key: flatten(item, arrays, f"{within}{i}") for i, (key, item) in items}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [flatten(item, arrays, f"{within}{i}") for i, item in enumerate(value)]
    return value


def rebuild(kind: Any, value: Any, load: Callable[[str], Array], place: str = "") -> Any:
    """Rebuild a value of a type from the result of `flatten`; unknown keys are skipped.

    Arrays in the type that are not `Stored` are loaded at once.

    Args:
        kind: the type, as an annotation has it.
        value: the JSON.
        load: returns an array by name.
        place: where the value is.

    Raises:
        WrongDocumentError: it is not of this type.
    """
    if kind is Stored:
        name = _checked(str, value, place)
        return Stored(lambda: load(name))
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, load, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is np.ndarray:
        return frozen(load(_checked(str, value, place)))
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, load, place)
    if origin is Literal:
        if value not in arguments or isinstance(value, (list, dict)):
            raise _wrong(value, place, f"one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return tuple(_items(arguments, value, load, place))
    if origin is frozenset:
        return frozenset(_items((*arguments, ...), value, load, place))
    if origin is not None and issubclass(origin, Mapping):
        found = _checked(dict, value, place)
        return {
            key: rebuild(arguments[1], item, load, f"{place}/{key}") for key, item in found.items()
        }
    return _checked(kind, value, place)


def _object(kind: Any, value: Any, load: Callable[[str], Array], place: str) -> Any:
    found, hints, given = _checked(dict, value, place), _hints(kind), {}
    for field in dataclasses.fields(kind):
        if field.name in found:
            inner = f"{place}/{field.name}" if place else field.name
            given[field.name] = rebuild(hints[field.name], found[field.name], load, inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise WrongDocumentError(f"{place or 'it'} has no {field.name!r}")
    return kind(**given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _one_of(kinds: Sequence[Any], value: Any, load: Callable[[str], Array], place: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    error = None
    for kind in kinds:
        try:
            if kind is not types.NoneType:
                return rebuild(kind, value, load, place)
        except WrongDocumentError as found:
            error = found
    raise error or _wrong(value, place, "null")


def _items(
    kinds: Sequence[Any], value: Any, load: Callable[[str], Array], place: str
) -> Iterator[Any]:
    found = _checked(list, value, place)
    wanted = [kinds[0]] * len(found) if kinds[-1:] == (...,) else list(kinds)
    if len(found) != len(wanted):
        raise _wrong(value, place, f"{len(wanted)} items")
    for number, (kind, item) in enumerate(zip(wanted, found, strict=True)):
        yield rebuild(kind, item, load, f"{place}/{number}")


def _checked(kind: Any, value: Any, place: str) -> Any:
    if kind is float and value in _NOT_FINITE:
        return float(value)
    fits = isinstance(value, (int, float) if kind is float else kind)
    fits = fits and not (isinstance(value, int) and abs(value) > _LARGEST)
    if not fits or (isinstance(value, bool) and kind is not bool):
        names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
        raise _wrong(value, place, names.get(kind, "a list" if kind is list else "an object"))
    return float(value) if kind is float else value


def _wrong(value: Any, place: str, expected: str) -> WrongDocumentError:
    shown = repr(value)
    shown = shown if len(shown) < 60 else f"{shown[:60]}..."
    return WrongDocumentError(f"{place or 'it'} is {shown}; expected {expected}")
