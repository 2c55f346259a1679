"""Layers looked for by their values, in a candidate that is nothing but named arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from judge_rig import SLOPES, X, Y, bare, flat
from tensor_search import CAN, Search, Tensors, call

from prelu_tools.commands.verify.layers.finding import (
    Found,
    Place,
    _arranged,
    find_in_order,
    find_stated,
    in_words,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.facts.tensors import Maker

QUARTERS = np.full(3, 0.25, np.float32)


def _search(runs: Mapping[str, Array], *more: Mapping[str, Array], room: float = 0.0) -> Search:
    return Search(Tensors(runs, *more), [call()], room=room)


# Whether it is there


def test_the_tensors_before_and_after_it_prove_a_layer() -> None:
    search = _search({"c": X, "y": Y, "z": 2 * Y})
    assert search.one == Found(
        ("y",), (Maker("of_y", "Add"),), by_value=False, proven=True, where=CAN.format(3)
    )
    assert search.tensors.asked == [("cuda", ["c", "y", "z"], 0)]
    assert set(search.places) == {("a", (0, 0)), ("a", None)}


def test_what_it_was_given_may_be_an_input_of_the_model() -> None:
    search = _search({"y": Y}, room=0.1)
    assert not search.one.proven
    search.feeds[0]["x"] = X
    assert (search.one.proven, search.one.where) == (True, CAN.format(1))


def test_what_it_gave_is_none_of_the_inputs() -> None:
    search = _search({"c": X})
    search.feeds[0]["y"] = Y
    assert search.one == Found(where=CAN.format(1))


def test_integers_are_no_values_of_a_layer() -> None:
    whole = (8 * Y).astype(np.float32)
    search = Search(Tensors({"i": whole.astype(np.int64)}), [call(whole)])
    assert search.one == Found(where=CAN.format(1))
    search = Search(Tensors({"i": whole.astype(np.int64), "y": whole}), [call(whole)])
    assert search.one.tensors == ("y",)


@pytest.mark.parametrize("nothing", [np.zeros((0, 3), np.float32), Y[:1], np.float32(3) * Y])
def test_tensors_of_other_sizes_are_not_compared(nothing: Array) -> None:
    search = Search(Tensors({"y": nothing}), [call(nothing[:0] if not nothing.size else Y)])
    search.answer = lambda *_: True
    assert search.one == Found(where=CAN.format(1))


@pytest.mark.parametrize(
    ("factor", "found"), [(1.04, True), (0.96, True), (1.06, False), (0.94, False)]
)
def test_a_tensor_is_compared_if_its_largest_number_is_about_as_large(
    factor: float, found: bool
) -> None:
    search = _search({"y": Y * np.float32(factor)})
    search.answer = lambda *_: True
    assert bool(search.one.tensors) == found


def test_zeros_and_infinities_have_a_largest_number() -> None:
    for y in (np.zeros_like(Y), np.where(Y.max() == Y, np.inf, np.nan).astype(np.float32)):
        search = Search(Tensors({"y": y}), [call(y)])
        search.answer = lambda *_: True
        assert search.one.tensors == ("y",)


def _cube(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "values",
    [_cube(1, 3, 1), _cube(3), _cube(2, 3, 4), _cube(2, 2, 2, 3, 1, 2)],
)
def test_a_layer_is_found_with_its_axes_in_any_order(values: Array) -> None:
    turned = values.transpose(tuple(reversed(range(values.ndim)))).copy()
    layer = bare("a", np.full((1,) * values.ndim, 0.5, np.float32))
    search = Search(Tensors({"y": turned}), [call(values, values)], layer)
    assert search.one.tensors == ("y",)


def test_six_axes_have_too_many_orders() -> None:
    values = _cube(2, 2, 2, 2, 2, 2)
    layer = bare("a", np.full((1,) * 6, 0.5, np.float32))
    for given, found in ((values, True), (values.transpose(5, 1, 2, 3, 4, 0), False)):
        search = Search(Tensors({"y": given}), [call(values, values)], layer)
        assert bool(search.one.tensors) == found


def test_each_call_has_a_tensor_of_its_own() -> None:
    calls = [call(), call(2 * Y, 2 * X, 1)]
    search = Search(Tensors({"v": 2 * Y, "u": Y}), calls, flat(nodes=("one", "two")))
    assert search.one.tensors == ("u", "v")
    assert search.one.makers == (Maker("of_u", "Add"), Maker("of_v", "Add"))
    search = Search(Tensors({"u": Y}), calls, flat(nodes=("one", "two")))
    assert search.one == Found(where=CAN.format(1))


def test_layers_are_looked_for_together() -> None:
    search = Search(
        Tensors({"y": Y, "z": -Y}), [call(), call(-Y, -X, layer="b")], flat(), flat("b", -SLOPES)
    )
    assert {name: found.tensors for name, found in search().items()} == {"a": ("y",), "b": ("z",)}
    assert len(search.tensors.asked) == 1


# Where nothing can be said


def test_a_candidate_may_not_be_searchable() -> None:
    search = _search({"y": Y})
    search.tensors = cast(Any, None)
    assert search.one == Found(where="the tensors of this kind of candidate cannot be searched")


def test_a_search_that_fails_says_why() -> None:
    search = _search({"y": Y})
    search.tensors.error = "out of memory"
    assert search.one == Found(where="it could not be searched (out of memory)")


def test_a_reference_may_not_show_a_layer() -> None:
    search = Search(Tensors({"y": Y}), [call(layer="b")], flat(), flat("b"))
    found = search()
    assert found["a"] == Found(where="it cannot be observed in the reference")
    assert found["b"].tensors == ("y",)


def test_bodies_are_told_of() -> None:
    search = _search({"z": 2 * Y})
    search.tensors.has_bodies = True
    expected = f"{CAN.format(1)}; those in bodies of If, Loop and Scan cannot be"
    assert search.one == Found(where=expected)


# What is so in one run only


def _in_runs(*runs: Mapping[str, Array], looked_at: int = 0) -> Search:
    """Each run of the reference gives twice what the one before it gave."""
    y = Y * np.float32(2**looked_at)
    search = Search(Tensors(*runs), [call(y, X * np.float32(2**looked_at))])
    search.reference.looked_at = looked_at
    for run in range(len(runs)):
        if run != looked_at:
            search.rig.expect("a", Y * np.float32(2**run), run=run)
    return search


def test_a_coincidence_in_one_run_is_not_the_layer() -> None:
    both = {"u": Y, "y": Y, "c": X}
    search = _in_runs(both, {"u": 3 * Y, "y": 2 * Y, "c": 2 * X})
    assert search.one.tensors == ("y",)
    assert search.tensors.asked == [("cuda", ["u", "y", "c"], 0), ("cuda", ["u", "y"], 1)]
    assert set(search.places) == {("a", (0, 0)), ("a", (1, 0)), ("a", None)}


def test_any_run_may_be_the_one_that_is_looked_at() -> None:
    search = _in_runs({"u": 3 * Y, "y": Y}, {"u": 2 * Y, "y": 2 * Y}, looked_at=1)
    assert search.one.tensors == ("y",)
    assert [run for _, _, run in search.tensors.asked] == [1, 0]


def test_a_layer_that_no_tensor_is_in_every_run_is_not_found() -> None:
    search = _in_runs({"u": Y}, {"u": 3 * Y}, {"u": 4 * Y})
    assert search.one == Found(where=CAN.format(1))
    assert [run for _, _, run in search.tensors.asked] == [0, 1]


def test_a_run_in_which_it_was_not_seen_says_nothing() -> None:
    search = _search({"u": Y, "y": Y}, {"u": 5 * Y, "y": 5 * Y}, {"u": 5 * Y, "y": 4 * Y})
    search.rig.expect("a", 4 * Y, run=2)
    assert search.one.tensors == ("y",)
    assert [run for _, _, run in search.tensors.asked] == [0, 2]


# Slopes that a node states


def _stated(slopes: Array, *makers: Maker, x: Array = X) -> Found:
    """Of a layer with as many calls."""
    layer = flat("a", slopes, nodes=tuple(f"n{i}" for i in range(len(makers))))
    calls = [call((i + 1) * x, (i + 1) * x, i) for i in range(len(makers))]
    tensors = {f"y{i}": (i + 1) * x for i in range(len(makers))}
    known = {f"y{i}": maker for i, maker in enumerate(makers)}
    return Search(Tensors(tensors, **known), calls, layer).one


LEAKY, RELU = Maker("l", "LeakyRelu", 0.25), Maker("r", "Relu", 0.0)


@pytest.mark.parametrize(
    ("slopes", "maker"),
    [(QUARTERS, LEAKY), (0 * QUARTERS, RELU), (-0.0 * QUARTERS, RELU)],
)
def test_a_node_that_states_the_slopes_proves_them(slopes: Array, maker: Maker) -> None:
    assert _stated(slopes, maker, x=np.abs(X)) == Found(
        ("y0",), (maker,), by_value=True, proven=True, where=CAN.format(1)
    )
    assert _stated(slopes, maker, maker).by_value


@pytest.mark.parametrize(
    ("slopes", "maker", "text"),
    [
        (SLOPES, LEAKY, "0.25, expected 3 slopes (smallest -0.5, largest 0.25)"),
        (QUARTERS, replace(LEAKY, slope=0.250001), "0.250001, expected 0.25"),
        (QUARTERS, RELU, "0, expected 0.25"),
        (0 * QUARTERS, LEAKY, "0.25, expected 0"),
        (2.0**-100 * QUARTERS, RELU, "0, expected 1.97215226e-31"),
    ],
)
def test_a_node_that_states_other_slopes_is_wrong(slopes: Array, maker: Maker, text: str) -> None:
    expected = Found(
        ("y0",), (maker,), where=CAN.format(1), wrong=f"its slope is {text}", stated=True
    )
    assert _stated(slopes.astype(np.float32), maker) == expected


def test_every_call_that_states_a_slope_states_the_right_one() -> None:
    other = replace(LEAKY, slope=0.75)
    assert _stated(QUARTERS, LEAKY, other).wrong == ("its slope is 0.75, expected 0.25")
    mixed = _stated(QUARTERS, LEAKY, Maker("m", "Add"))
    assert (mixed.by_value, mixed.stated, mixed.makers[0]) == (False, False, LEAKY)


# Slopes that values show


def test_slopes_that_nothing_reached_are_not_proven() -> None:
    positive = np.array([[1, -2, -4]], np.float32)
    search = Search(Tensors({"c": X, "y": Y}), [call()], x=positive)
    assert search.one == Found(("y",), (Maker("of_y", "Add"),), where=CAN.format(2))


def _off(place: int, by: float, slopes: Array = SLOPES, **more: Array) -> Found:
    """The candidate's slope at a place is off."""
    slopes = np.tile(slopes, (1, 1))
    wrong = slopes.copy()
    wrong[0, place] += np.float32(by)
    y, other = (np.where(X > 0, X, X * s).astype(np.float32) for s in (slopes, wrong))
    tensors = Tensors({**more, "c": X, "y": other})
    return Search(tensors, [call(y)], flat("a", slopes[0]), room=1.0).one


@pytest.mark.parametrize(
    ("place", "text"), [(0, "0.35, expected 0.25"), (1, "-0.4, expected -0.5"),
                        (2, "0.225, expected 0.125")],
)  # fmt: skip
def test_a_slope_that_values_contradict_is_named(place: int, text: str) -> None:
    found = _off(place, 0.1)
    assert (found.proven, found.by_value, found.stated) == (False, False, False)
    assert found.wrong is not None
    seen, _, right = found.wrong.removeprefix("its values show a slope of ").partition(", ")
    assert f"{float(seen):.3g}, {right}" == text


def test_what_an_input_rounds_says_nothing_against_a_slope() -> None:
    unit = float(np.finfo(np.float32).eps)
    assert _off(0, 64 * unit).wrong is None
    assert _off(0, 64.5 * unit).wrong is not None
    large = np.array([100, -0.5, 0.125], np.float32)
    assert _off(0, 60 * 100 * unit, large).wrong is None
    assert _off(0, 70 * 100 * unit, large).wrong is not None


def test_the_coarsest_type_says_what_is_rounded() -> None:
    half = {
        "c": X.astype(np.float16),
        "y": np.where(X > 0, X, X * 1.05 * SLOPES).astype(np.float16),
    }
    found = Search(Tensors(half), [call()], room=1.0).one
    assert (found.wrong, found.proven) == (None, False)


def test_the_nearest_of_several_inputs_is_meant() -> None:
    other = X * np.float32(1.03)
    for first in ({"b": other}, {"d": other}):
        found = _off(1, 0.01, **first)
        assert found.wrong is not None
        assert found.wrong.startswith("its values show a slope of -0.49")
    assert _off(1, 0.0, b=other).proven


def test_a_slope_that_a_call_does_not_reach_is_not_contradicted() -> None:
    x = np.array([[-1, 2, -4]], np.float32)
    y = np.where(x > 0, x, x * SLOPES)
    y[0, 0] = -0.250005
    layer = flat(nodes=("one", "two"))
    calls = [call(np.where(x > 0, x, x * SLOPES), x), call(4 * Y, 4 * X, 1)]
    search = Search(Tensors({"c": x, "y": y, "z": 4 * Y}), calls, layer, room=1e-4)
    assert search.one.wrong is None


@pytest.mark.parametrize(
    ("slopes", "smallest"), [((0.25, -0.5, 0.125), 0.025), ((0.25, 0.01, 0.125), 0.02),
                             ((-1, 2, -0.02), 0.08)],
)  # fmt: skip
def test_without_its_input_a_change_of_a_slope_has_to_be_seen(
    slopes: Sequence[float], smallest: float
) -> None:
    """By a tenth of it, or of 0.1: of all slopes the one that shows least."""
    layer = flat("a", np.array(slopes, np.float32))
    y = np.where(X > 0, X, X * layer.slopes)
    for room, proven in ((0.98 * smallest, True), (1.02 * smallest, False)):
        search = Search(Tensors({"y": y}), [call(y)], layer, room=room)
        assert search.one == Found(
            ("y",), (Maker("of_y", "Add"),), proven=proven, where=CAN.format(1)
        )
        assert search.places[-1] == ("a", (0, 0))


def test_the_change_is_one_of_the_slope_that_shows_least() -> None:
    search = _search({"y": Y})
    assert search.one.proven
    assert np.allclose(search.last - Y, [[0.025, 0, 0], [0, 0, 0]], atol=1e-6)
    for axis in (1, 2):
        x = np.moveaxis(X[:, :, None] * np.array([1, 2], np.float32), 1, axis)
        layer = bare("a", np.expand_dims(SLOPES, (0, 3 - axis)), x.shape)
        search = Search(Tensors({"y": x * layer.slopes}), [call(x * layer.slopes, x)], layer)
        assert search.one.proven
        assert np.count_nonzero(search.last - x * layer.slopes) == 2


def test_a_call_does_not_show_a_slope_that_only_others_reach() -> None:
    x = np.abs(X) * np.array([1, -1, -1], np.float32)
    y = np.where(x > 0, x, x * SLOPES)
    search = Search(Tensors({"y": y}), [call(y, x)], room=1e-3)
    assert search.one == Found(("y",), (Maker("of_y", "Add"),), where=CAN.format(1))


def test_a_change_is_seen_in_the_candidate_s_own_type() -> None:
    search = Search(Tensors({"y": Y.astype(np.float16)}), [call()], room=0.024)
    kinds = set()

    def answer(layer: str, expected: Array, found: Array, place: Place | None) -> bool:
        kinds.add((expected.dtype.name, found.dtype.name))
        return search.near(layer, expected, found, place)

    search.answer = answer
    assert search.one.proven
    assert kinds == {("float32", "float16")}


def test_one_call_that_shows_its_slopes_is_enough() -> None:
    calls = [call(), call(4 * Y, 4 * X, 1)]
    layer = flat(nodes=("one", "two"))
    tensors = Tensors({"y": Y, "z": 4 * Y})
    assert Search(tensors, calls, layer, room=0.05).one.proven
    assert not Search(tensors, calls, layer, room=0.11).one.proven


def test_slopes_that_cannot_be_laid_on_a_call_are_not_proven() -> None:
    cube = _cube(1, 3, 4)
    layer = bare("a", cube, (None, 3, 4), nodes=("one",))
    x = -np.abs(_cube(1, 3, 4, 2))
    for tensors in ({"y": x}, {"c": 2 * x, "y": x}):
        found = Search(Tensors(tensors), [call(x, 2 * x)], layer, x=-np.abs(cube)).one
        assert (found.tensors, found.proven, found.wrong) == (("y",), False, None)


# In words


def test_nothing_is_found_until_it_is() -> None:
    assert Found() == Found((), (), False, False, "", None, False)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Found(("y",), (Maker("n", "Add"),)), "'y' of node 'n' (Add)"),
        (Found(("y", "z", "y"), (Maker("n", "Add"), LEAKY)), "'y', 'z' of node 'n' (Add)"),
        (Found(("y",), (LEAKY,)), "'y' of node 'l' (LeakyRelu)"),
        (Found(("y",), (RELU,), by_value=True), "'y' of node 'r', the same function as Relu"),
        (
            Found(("y",), (replace(LEAKY, slope=0.12345678),), by_value=True),
            "'y' of node 'l', the same function as LeakyRelu(0.123457)",
        ),
    ],
)
def test_where_a_layer_was_found(found: Found, text: str) -> None:
    assert in_words(found) == f"found by its values: tensor {text}"


def test_axes_are_turned_in_every_order_that_fits() -> None:
    values = np.arange(24.0).reshape(2, 1, 3, 4)
    as_it_is, *turned = _arranged(values, (3, 4, 1, 2))
    assert np.array_equal(as_it_is, values.reshape(3, 4, 1, 2))
    (only,) = turned
    assert np.array_equal(only, values.transpose(2, 3, 1, 0))


@pytest.mark.parametrize("find", [find_stated, find_in_order])
def test_a_file_is_not_read_where_nothing_is_looked_for(find: Any) -> None:
    class Closed:
        @property
        def searchable(self) -> Any:
            raise AssertionError("nobody has to look here")

    assert find(Closed(), []) == {}


def _leaky(name: str, slope: float | None) -> Maker:
    return Maker(f"of_{name}", "LeakyRelu", slope)


def _stating(**slopes: float | None) -> Any:
    tensors = Tensors(dict.fromkeys(slopes, Y), **{n: _leaky(n, s) for n, s in slopes.items()})
    return SimpleNamespace(searchable=tensors)


def _of(slope: float, name: str = "a", nodes: Sequence[str] = ("n",)) -> Any:
    return bare(name, np.full((1, 1), slope, np.float32), nodes=tuple(nodes))


def test_layers_are_found_by_the_slopes_that_nodes_state() -> None:
    source = _stating(t=0.25, plain=None, zero=0.0, u=0.5, v=0.25, w=0.25)
    two = _of(0.25, "b", ("n", "m"))
    found = find_stated(source, [_of(0.5), two, _of(0.25, "c"), _of(0.25, "d"), _of(0.75, "e")])
    assert found == {
        "a": Found(("u",), (_leaky("u", 0.5),), True, True, is_unseen=True),
        "b": Found(("t", "v"), (_leaky("t", 0.25), _leaky("v", 0.25)), True, True, is_unseen=True),
        "c": Found(("w",), (_leaky("w", 0.25),), True, True, is_unseen=True),
    }
    assert find_stated(source, [_of(0.0)]) == {}


def test_as_many_nodes_as_layers_are_these_in_order() -> None:
    found = find_in_order(_stating(t=0.25, plain=None, u=0.5), [_of(0.25), _of(0.75, "b")])
    assert found == {
        "a": Found(("t",), (_leaky("t", 0.25),), True, True, is_unseen=True),
        "b": Found(
            ("u",), (_leaky("u", 0.5),), False, False, is_unseen=True, stated=True,
            wrong="its slope is 0.5, expected 0.75",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "layers",
    [
        [_of(0.25)],
        [_of(0.25)] * 3,
        [_of(0.25, nodes=("n", "m"))],
        [_of(0.25, nodes=("n", "m"))] * 2,
    ],
)
def test_another_number_of_nodes_or_calls_is_not_told_apart(layers: Any) -> None:
    assert find_in_order(_stating(t=0.25, u=0.25), layers) == {}


def test_a_candidate_that_cannot_be_searched_states_nothing() -> None:
    class Broken:
        def makers(self) -> Any:
            raise PReLUToolsError("it is broken")

    for searchable in (None, Broken()):
        source = cast(Any, SimpleNamespace(searchable=searchable))
        assert find_stated(source, [_of(0.25)]) == find_in_order(source, [_of(0.25)]) == {}


@pytest.mark.parametrize(
    ("slope", "digits", "slopes", "is_stated"),
    [
        (0.123, 3, [0.12345], True),
        (0.123, 3, [0.12345, 0.12345], True),
        (0.123, 3, [0.124], False),
        (0.12, 3, [0.12345], False),
        (0.123, None, [0.12345], False),
        (0.123, 3, [0.123, 0.5], False),
        (0.5, 3, [0.5, 0.12345], False),
        (0.25, None, [0.25, 0.25], True),
        (0.25, None, [], False),
        (0.25, 3, [], False),
    ],
)
def test_a_file_states_a_slope_in_as_many_digits_as_it_has(
    slope: float, digits: int | None, slopes: Sequence[float], is_stated: bool
) -> None:
    maker = Maker("of_t", "LeakyRelu", slope, digits)
    source = cast(Any, SimpleNamespace(searchable=Tensors({"t": Y}, t=maker)))
    layer = bare("a", np.array([slopes], np.float32), nodes=("n",))
    assert list(find_stated(source, [layer])) == ["a"] * is_stated


def test_the_digits_of_a_file_are_told() -> None:
    found = Found(("t",), (Maker("n", "LeakyRelu", 0.123, 3),), True, True)
    assert in_words(found) == (
        "found by its values: tensor 't' of node 'n', the same function as LeakyRelu(0.123); the "
        "file states 3 digits of its slope"
    )
    exact = replace(found, makers=(Maker("n", "LeakyRelu", 0.123),))
    assert in_words(exact).endswith("LeakyRelu(0.123)")
