"""Results that hold arrays and mappings compare by their values, and equal ones hash alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from prelu_tools.core.results.comparable import comparable

NAN = math.nan


def _kind() -> Any:
    """A class that is made comparable here, so that all of it is run by the test."""

    @comparable
    @dataclass(frozen=True, eq=False)
    class Held:
        name: str
        value: Any = None

    return Held


def _array(*values: float, dtype: str = "float32") -> Any:
    return np.array(values, dtype)


EQUAL: list[tuple[Any, Any]] = [
    (1, 1),
    (NAN, float("nan")),
    (None, None),
    (_array(1, NAN), _array(1, NAN)),
    ({"a": _array(1, NAN), "b": 2}, {"b": 2, "a": _array(1, NAN)}),
    ((1, [_array(2)]), (1, [_array(2)])),
    ([1, NAN], [1, NAN]),
    ([NAN], [float("-nan")]),
]
OTHERS: list[tuple[Any, Any]] = [
    (1, 2),
    (1, NAN),
    (NAN, 1),
    (_array(1, 2), _array(1, 3)),
    (_array(0.0), _array(-0.0)),
    (_array(1), _array(1, dtype="float64")),
    (_array(1, 2), 1),
    (1, _array(1, 2)),
    (_array(1, 2), [1, 3]),
    ({"a": 1}, {"a": 2}),
    ({"a": 1}, {"b": 1}),
    ({"a": 1}, {"a": 1, "b": 1}),
    ({"a": 1}, 1),
    (1, {"a": 1}),
    ({"a": 1}, ["a"]),
    ((1, 2), (1, 3)),
    ((1, 2), (1, 2, 3)),
    ((1, 2), 1),
    (1, (1, 2)),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_values_are_equal_and_hash_alike(left: Any, right: Any) -> None:
    held = _kind()
    assert (held("a", left) == held("a", right)) is True
    assert hash(held("a", left)) == hash(held("a", right))
    assert len({held("a", left), held("a", right)}) == 1


@pytest.mark.parametrize(("left", "right"), OTHERS)
def test_other_values_are_not(left: Any, right: Any) -> None:
    held = _kind()
    assert (held("a", left) == held("a", right)) is False
    assert held("a", left) != held("a", right)


def test_every_field_counts() -> None:
    held = _kind()
    assert held("a", 1) != held("b", 1)
    assert hash(held("a", 1)) != hash(held("b", 1))
    assert hash(held("a", 1)) != hash(held("a", 2))


def test_another_class_with_the_same_fields_is_another() -> None:
    held, other = _kind(), _kind()
    assert held("a") != other("a")
    assert other("a") != held("a")
    assert held.__eq__(held("a"), "a") is NotImplemented

    class Derived(held):  # type: ignore[misc]
        pass

    assert Derived("a") != held("a")
    assert held.__eq__(Derived("a"), held("a")) is NotImplemented
    assert held("a") != other("b")


def test_hashes_tell_shapes_keys_and_names_apart() -> None:
    held = _kind()
    values = [
        _array(1, 2), _array(1, 2, dtype="float64"), _array(1, 2, 3), {"a": 1}, {"b": 1},
        (1, 2), (1, 3), (1, (2, 3)), 1, NAN, None,
    ]  # fmt: skip
    hashes = [hash(held("a", value)) for value in values]
    assert len(set(hashes)) == len(values)


def test_an_object_is_equal_to_itself_whatever_it_says() -> None:
    class Stubborn:
        def __eq__(self, _other: object) -> bool:
            return False

        def __ne__(self, _other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    one = Stubborn()
    held = _kind()
    assert held("a", one) == held("a", one)
    assert held("a", one) != held("a", Stubborn())
