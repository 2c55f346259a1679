"""Which other sizes are tried."""

from __future__ import annotations

import math

import pytest

from prelu_tools.commands.verify.inputs.sizes import STEPS, coarser, in_words, other_sizes, tied


def test_nothing_is_tried_where_nothing_is_free() -> None:
    assert other_sizes({}) == []


@pytest.mark.parametrize("example", [1, 2, 8, 48, 100, 512])
def test_of_two_sizes_every_kind_is_tried(example: int) -> None:
    found = [(s["h"], s["w"]) for s in other_sizes({"h": example, "w": example})]
    assert {(h % 2, w % 2) for h, w in found} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert any(h == w for h, w in found)
    assert any(h != w for h, w in found)
    assert any(h % 4 == w % 4 == 2 for h, w in found)
    assert any(_is_prime(h) and _is_prime(w) and h > 2 for h, w in found)
    assert any(min(pair) > example for pair in found)
    assert min(map(min, found)) > 1
    if example > 3:
        assert any(max(pair) < example for pair in found)


def test_other_sizes_cost_no_more_than_a_few_of_the_examples() -> None:
    for example in (48, 224, 1024):
        found = other_sizes({"h": example, "w": example})
        assert sum(math.prod(s.values()) for s in found) < 8 * example**2


def test_a_single_size_is_odd_and_even_smaller_and_larger() -> None:
    found = [s["t"] for s in other_sizes({"t": 48})]
    assert {t % 2 for t in found} == {0, 1}
    assert min(found) < 48 < max(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("step", STEPS[1:])
def test_coarser_sizes_are_odd_multiples_near_by(step: int) -> None:
    for size in range(1, 200):
        found = coarser({"h": size}, step)["h"]
        assert found % step == 0
        assert found // step % 2 == 1
        assert abs(found - size) <= max(2 * step, step - size)


def test_a_step_of_one_leaves_sizes_as_they_are() -> None:
    assert coarser({"h": 53, "w": 6}, 1) == {"h": 53, "w": 6}


def test_tied_sizes_are_one() -> None:
    assert tied({"h": 53, "w": 59}) == {"h": 53, "w": 53}
    assert in_words({"h": 53, "w": 59}) == "h=53 w=59"


def _is_prime(number: int) -> bool:
    return all(number % other for other in range(2, number))
