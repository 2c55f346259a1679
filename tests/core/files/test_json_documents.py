"""Dataclasses as JSON with their arrays beside it: there and back, and what is not of its type."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.files.documents import Stored, WrongDocumentError, flatten, rebuild


@dataclass(frozen=True)
class Inner:
    """A part."""

    name: str
    values: Array
    later: Stored | None = None


@dataclass(frozen=True)
class Whole:
    """All kinds of fields."""

    count: int
    share: float
    kind: Literal["a", "b"]
    pair: tuple[int, str]
    parts: tuple[Inner, ...]
    by_name: Mapping[str, Inner]
    names: frozenset[str]
    flag: bool = False
    size: int | str | None = None
    more: Mapping[str, int] = field(default_factory=dict)


def _whole(**other: Any) -> Whole:
    part = Inner("x", np.arange(3.0), Stored(lambda: np.ones(2)))
    known: dict[str, Any] = {
        "count": 2,
        "share": 0.5,
        "kind": "a",
        "pair": (1, "b"),
        "parts": (part,),
        "by_name": {"odd/name": part},
        "names": frozenset({"z", "y"}),
    }
    return Whole(**{**known, **other})


def _document(value: Whole) -> tuple[Any, dict[str, Array]]:
    arrays: dict[str, Stored] = {}
    tree = flatten(value, arrays)
    return json.loads(json.dumps(tree)), {name: one.load() for name, one in arrays.items()}


def test_what_goes_out_comes_back() -> None:
    tree, arrays = _document(_whole(size="n", flag=True))
    assert list(arrays) == [
        "parts/0/values",
        "parts/0/later",
        "by_name/0/values",
        "by_name/0/later",
    ]
    assert tree["names"] == ["y", "z"]
    found: Whole = rebuild(Whole, tree, arrays.__getitem__)
    assert (found.count, found.share, found.kind, found.pair) == (2, 0.5, "a", (1, "b"))
    assert (found.size, found.flag, found.names) == ("n", True, frozenset({"y", "z"}))
    (part,) = found.parts
    assert not part.values.flags.writeable
    assert found.by_name["odd/name"].later is not None
    np.testing.assert_array_equal(part.values, [0, 1, 2])


def test_a_stored_array_is_loaded_when_it_is_needed() -> None:
    tree, arrays = _document(_whole())
    asked: list[str] = []

    def load(name: str) -> Array:
        asked.append(name)
        return arrays[name]

    found: Whole = rebuild(Whole, tree, load)
    assert asked == ["parts/0/values", "by_name/0/values"]
    later = found.parts[0].later
    assert later is not None
    assert later.load().tolist() == [1, 1]
    assert asked[-1] == "parts/0/later"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_words(value: float) -> None:
    tree, arrays = _document(_whole(share=value))
    assert isinstance(tree["share"], str)
    found: Whole = rebuild(Whole, tree, arrays.__getitem__)
    assert found.share == value or math.isnan(found.share) == math.isnan(value)


def test_a_whole_number_is_a_number() -> None:
    tree, arrays = _document(_whole())
    found: Whole = rebuild(Whole, {**tree, "share": 3}, arrays.__getitem__)
    assert isinstance(found.share, float)


def test_keys_that_nobody_knows_are_passed_over() -> None:
    tree, arrays = _document(_whole())
    rebuild(Whole, {**tree, "later": [1]}, arrays.__getitem__)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("count", "2", "count is '2'; expected a whole number"),
        ("count", True, "count is True; expected a whole number"),
        ("count", 2.0, "count is 2.0; expected a whole number"),
        ("count", 2**60, "expected a whole number"),
        ("share", "a half", "share is 'a half'; expected a number"),
        ("kind", "c", "kind is 'c'; expected one of a, b"),
        ("kind", ["a"], "expected one of a, b"),
        ("pair", [1], "pair is [1]; expected 2 items"),
        ("pair", ["b", 1], "pair/0 is 'b'; expected a whole number"),
        ("parts", {}, "parts is {}; expected a list"),
        ("parts", [3], "parts/0 is 3; expected an object"),
        ("by_name", [], "by_name is []; expected an object"),
        ("by_name", {"k": {"name": "x"}}, "by_name/k has no 'values'"),
        ("names", [1], "names/0 is 1; expected a text"),
        ("flag", 1, "flag is 1; expected true or false"),
        ("size", [], "size is []; expected a text"),
        ("more", {"a": None}, "more/a is None; expected a whole number"),
    ],
)
def test_what_is_not_of_its_type_is_said(key: str, value: Any, expected: str) -> None:
    tree, arrays = _document(_whole())
    with pytest.raises(WrongDocumentError) as caught:
        rebuild(Whole, {**tree, key: value}, arrays.__getitem__)
    assert expected in str(caught.value)


def test_what_is_missing_is_said() -> None:
    tree, arrays = _document(_whole())
    del tree["kind"]
    with pytest.raises(WrongDocumentError, match="it has no 'kind'"):
        rebuild(Whole, tree, arrays.__getitem__)


def test_long_values_are_cut() -> None:
    with pytest.raises(WrongDocumentError) as caught:
        rebuild(int, "x" * 1000, lambda _name: np.zeros(1), "n")
    assert len(str(caught.value)) < 120
