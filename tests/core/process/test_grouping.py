"""A long list is done a few at a time: in order, everything once, within the budget."""

from __future__ import annotations

import pytest

from prelu_tools.core.process.grouping import BUDGET, grouped


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([3], ["a"], id="one"),
        pytest.param([5, 5, 1], ["ab", "c"], id="exactly full"),
        pytest.param([5, 6, 4, 1], ["a", "bc", "d"], id="not together what does not fit"),
        pytest.param([1, 99, 1, 1], ["a", "b", "cd"], id="larger than the budget"),
        pytest.param([99, 99], ["a", "b"], id="nothing before the first"),
        pytest.param([0, 0, 0], ["abc"], id="empty tensors"),
    ],
)
def test_neighbours_share_a_group_until_it_is_full(sizes: list[int], groups: list[str]) -> None:
    items = "abcdef"[: len(sizes)]
    assert ["".join(group) for group in grouped(items, sizes, budget=10)] == groups


def test_groups_are_not_changed_once_they_are_given() -> None:
    first, second = grouped("ab", [9, 9], budget=10)
    assert (first, second) == (["a"], ["b"])


def test_a_budget_is_given_without_asking() -> None:
    assert BUDGET == 268_435_456
    half = BUDGET // 2
    assert [len(group) for group in grouped("abc", [half, half, 1])] == [2, 1]


def test_each_item_needs_a_size() -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(grouped("ab", [1]))
