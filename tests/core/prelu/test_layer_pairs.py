"""Which layer of one model is which of another, and whose slopes a layer has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from made_layers import SLOPES, channels, layer_of

from prelu_tools.core.prelu.slopediff import (
    line_up,
    owner_of,
    pair_layers,
)
from prelu_tools.core.prelu.slopes import PReLULayer


def test_the_owner_of_exchanged_slopes_is_named_where_there_is_one() -> None:
    one, two = channels(SLOPES, "one"), channels(SLOPES + 1, "two")
    assert owner_of(channels(SLOPES + 1, "x"), [one, two]) == "two"
    assert (
        owner_of(layer_of((SLOPES + 1).reshape(1, 4, 1, 1), (None, 4, 9, 9)), [one, two]) == "two"
    )
    assert owner_of(channels(SLOPES + 2, "x"), [one, two]) is None
    assert owner_of(channels(SLOPES, "x"), [one, replace(one, name="three")]) is None


def _named(*names: str) -> list[PReLULayer]:
    return [channels(SLOPES, name) for name in names]


@pytest.mark.parametrize(
    ("left", "right", "pairs", "missing", "unexpected"),
    [
        pytest.param("ab", "ab", ["aa", "bb"], "", "", id="by name"),
        pytest.param("ab", "ba", ["aa", "bb"], "", "", id="by name, in another order"),
        pytest.param("abc", "axc", ["aa", "bx", "cc"], "", "", id="the rest by order"),
        pytest.param("abc", "xya", ["aa", "bx", "cy"], "", "", id="several by order"),
        pytest.param("abc", "ac", ["aa", "cc"], "b", "", id="one missing"),
        pytest.param("ac", "abc", ["aa", "cc"], "", "b", id="one too many"),
        pytest.param("abc", "ax", ["aa"], "bc", "x", id="numbers that differ are not guessed at"),
        pytest.param("", "", [], "", "", id="none"),
    ],
)
def test_line_up(left: str, right: str, pairs: list[str], missing: str, unexpected: str) -> None:
    found = line_up(_named(*left), _named(*right))
    assert [a.name + b.name for a, b in found.pairs] == pairs
    assert "".join(layer.name for layer in found.missing) == missing
    assert "".join(layer.name for layer in found.unexpected) == unexpected


def test_layers_of_other_names_and_numbers_are_paired_by_slopes_that_no_other_has() -> None:
    left = [channels(SLOPES + n, name) for n, name in enumerate("abcd")]
    half = channels((SLOPES + 1).astype(np.float16), "half")
    twice = [channels(SLOPES + 3, name) for name in ("e", "f")]
    found = line_up(left, [channels(SLOPES + 2, "x"), half, *twice, channels(-SLOPES, "y")])
    assert [a.name + b.name for a, b in found.pairs] == ["bhalf", "cx"]
    assert [layer.name for layer in found.missing] == ["a", "d"]
    assert [layer.name for layer in found.unexpected] == ["e", "f", "y"]


def _sharing(nodes: str, positions: tuple[int, ...] = (), same: bool = False) -> PReLULayer:
    layer = channels(SLOPES, "+".join(nodes))
    return replace(layer, nodes=tuple(nodes), positions=positions, same_instance=same)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        pytest.param([_sharing("xy"), _sharing("z")], "xyz", id="no positions"),
        pytest.param([_sharing("z"), _sharing("xy")], "zxy", id="no positions, the last two"),
        pytest.param([_sharing("xyz")], "xyz", id="all three"),
        pytest.param([_sharing("xy", (0, 2)), _sharing("z", (1,))], "xzy", id="in their places"),
        pytest.param([_sharing("xy", (1, 2)), _sharing("z", (0,))], "zxy", id="in front"),
        pytest.param([_sharing("xy", (0, 2)), _sharing("z")], "xyz", id="one place is unknown"),
        pytest.param(
            [_sharing("vw", (0, 3), same=True), _sharing("xy", (1, 2))],
            ["v+w", "x", "y"], id="one instance stays one",
        ),
    ],
)  # fmt: skip
def test_what_merely_shares_a_tensor_is_taken_apart(
    found: list[PReLULayer], names: Sequence[str]
) -> None:
    pairs = pair_layers(_named("a", "b", "c"), found)
    assert [(a.name, b.name) for a, b in pairs.pairs] == list(zip("abc", names, strict=True))
    assert (pairs.missing, pairs.unexpected) == ((), ())
    by_node = {node: (layer, i) for layer in found for i, node in enumerate(layer.nodes)}
    for _, layer in pairs.pairs:
        whole, number = by_node[layer.nodes[0]]
        assert layer.nodes == (whole.nodes if "+" in layer.name else (layer.name,))
        if whole.positions and "+" not in layer.name:
            assert layer.positions == (whole.positions[number],)


def test_a_layer_of_one_node_keeps_its_name_beside_those_that_are_taken_apart() -> None:
    alone = replace(_sharing("z"), name="alone")
    pairs = pair_layers(_named("a", "b", "c"), [alone, _sharing("xy")])
    assert [layer.name for _, layer in pairs.pairs] == ["alone", "x", "y"]


@pytest.mark.parametrize("count", [2, 4])
def test_what_gives_another_number_in_parts_is_left_whole(count: int) -> None:
    pairs = pair_layers(_named(*"abcd"[:count]), [_sharing("xyz")])
    assert [layer.name for layer in pairs.unexpected] == ["x+y+z"]
    assert len(pairs.missing) == count


def test_layers_of_as_many_are_not_taken_apart() -> None:
    left = _named("a", "b")
    shared = replace(_named("x")[0], nodes=("n1", "n2"), same_instance=False)
    found = pair_layers(left, [shared, *_named("b")])
    assert [a.name + b.name for a, b in found.pairs] == ["ax", "bb"]


@pytest.mark.parametrize("size", [1e38, 1e-40])
def test_slopes_beyond_float16_are_paired_without_a_warning(size: float) -> None:
    left = [channels(SLOPES * np.float32(size), "a"), *_named("b")]
    with np.errstate(all="raise"):
        found = line_up(left, [replace(left[0], name="x")])
    assert [a.name + b.name for a, b in found.pairs] == ["ax"]


def test_slopes_in_another_axis_order_are_paired_too() -> None:
    values = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 4, 2, 3)
    left = [layer_of(values, name="a"), *_named("b")]
    found = line_up(left, [layer_of(values.transpose(0, 2, 3, 1).copy(), name="x")])
    assert [a.name + b.name for a, b in found.pairs] == ["ax"]
