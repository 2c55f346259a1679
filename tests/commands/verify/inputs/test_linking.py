"""Which input of a candidate is which, and in which order of axes."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from specs import spec

from prelu_tools.commands.verify.inputs.linking import (
    InputLink,
    LayoutError,
    Layouts,
    link_inputs,
    move,
    other_links,
    round_feeds,
    stated_axes,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import Dim
from prelu_tools.core.prelu.layout import BoundaryAxes, Layout, Permutation
from prelu_tools.graph.io.metadata import state_boundary

SAME, LAST, FIRST = (0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)
UNSAID = Layouts()


# Which input is which


def test_a_file_states_how_its_axes_were_moved() -> None:
    axes = BoundaryAxes({"x": FIRST}, {"y": LAST})
    proto = onnx.ModelProto()
    onnx.helper.set_model_props(proto, state_boundary(axes))
    graph = SimpleNamespace(model=SimpleNamespace(proto=proto))
    assert stated_axes(cast(Any, SimpleNamespace(graph=graph))) == axes
    assert stated_axes(cast(Any, SimpleNamespace(graph=None))) == BoundaryAxes()


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [("ab", "ab", "aa bb"), ("ab", "ba", "aa bb"), ("ab", "bc", "ab bc"), ("ab", "xy", "ax by")],
)
def test_inputs_are_paired_by_name_or_else_by_order(left: str, right: str, pairs: str) -> None:
    links = link_inputs(
        [spec(name, "batch", 3) for name in left], [spec(name, "n", 3) for name in right], UNSAID
    )
    assert links == tuple(InputLink(one[0], one[1], (0, 1)) for one in pairs.split())


def test_another_number_of_inputs() -> None:
    words = "it has 1 inputs (x); the reference has 2 (a, b)"
    with pytest.raises(PReLUToolsError, match=f"^{re.escape(words)}$"):
        link_inputs([spec("a", 1), spec("b", 1)], [spec("x", 1)], UNSAID)


@pytest.mark.parametrize(
    ("reference", "candidate", "narrow"),
    [
        ("float32", "float16", "float16"),
        ("float64", "float16", "float16"),
        ("float16", "float16", None),
        ("float32", "float32", None),
        ("float64", "float32", "float32"),
        ("int64", "float16", "float16"),
        ("float16", "float32", "float32"),
        ("int64", "int32", "int32"),
    ],
)
def test_inputs_of_another_type_are_cast(
    reference: str, candidate: str, narrow: str | None
) -> None:
    (link,) = link_inputs([spec("a", 2, dtype=reference)], [spec("a", 2, dtype=candidate)], UNSAID)
    assert link == InputLink("a", "a", (0,), narrow)


@pytest.mark.parametrize(
    ("reference", "candidate", "said", "expected"),
    [
        ((), (), None, ()),
        (("batch", 3, 4, 5), ("n", 3, 4, 5), None, SAME),
        (("batch", 3, 4, 5), ("n", 4, 5, 3), None, LAST),
        (("batch", 4, 5, 3), ("n", 3, 4, 5), None, FIRST),
        ((2, 3, 4, 5), (7, 3, 4, 5), None, SAME),  # a batch is as large as it is
        (("batch", 3, "h", "w"), ("n", "h", "w", 3), None, LAST),
        (("batch", "c"), ("n", 3), None, (0, 1)),
        (("batch", 3, 3, 3), ("n", 3, 3, 3), ("nchw", "nhwc"), LAST),
        (("batch", 3, 3, 3), ("n", 3, 3, 3), ("nchw", "nchw"), SAME),
        (("batch", 3, 3, 3), ("n", 3, 3, 3), ("nhwc", "nchw"), FIRST),
    ],
)
def test_the_order_of_axes(
    reference: tuple[Dim, ...],
    candidate: tuple[Dim, ...],
    said: tuple[Layout, Layout] | None,
    expected: tuple[int, ...],
) -> None:
    layouts = Layouts(*said) if said else UNSAID
    (link,) = link_inputs([spec("a", *reference)], [spec("b", *candidate)], layouts)
    assert link.permutation == expected


@pytest.mark.parametrize(
    ("reference", "candidate", "said"),
    [
        (("batch", 3, 4), ("n", 5, 6), None),
        (("batch", 3), ("n", 3, 1), None),
        ((), ("n",), None),
        (("batch", 3, 4, 5), ("n", 3, 4, 6), ("nchw", "nhwc")),
    ],
)
def test_an_order_of_axes_that_cannot_be(
    reference: tuple[Dim, ...],
    candidate: tuple[Dim, ...],
    said: tuple[Layout, Layout] | None,
) -> None:
    layouts = Layouts(*said) if said else UNSAID
    mine, theirs = (
        f"[{', '.join(str(size) for size in shape)}]" for shape in (reference, candidate)
    )
    words = f"its input 'b' has shape {theirs}, but the reference's 'a' has shape {mine}"
    with pytest.raises(PReLUToolsError) as raised:
        link_inputs([spec("a", *reference)], [spec("b", *candidate)], layouts)
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("reference", "candidate", "said"),
    [
        (("batch", 3, 4, 5), ("n", 3, 4, 5), ("nchw", "nhwc")),
        (("batch", 3, 4, 5), ("n", 4, 5, 3), ("nchw", "nchw")),
        (("batch", 3, "h", "w"), ("n", 3, "h", "w"), ("nhwc", "nchw")),  # 3 of h and w alone
        (("batch", 3, "t"), ("n", "t", 3), ("nchw", "nchw")),
    ],
)
def test_the_users_order_has_to_fit_as_well_as_another(
    reference: tuple[Dim, ...], candidate: tuple[Dim, ...], said: tuple[Layout, Layout]
) -> None:
    specs = [spec("a", *reference)], [spec("b", *candidate)]
    with pytest.raises(LayoutError) as raised:
        link_inputs(*specs, Layouts(*said))
    order = {("nchw", "nhwc"): LAST, ("nhwc", "nchw"): FIRST}.get(said, range(len(reference)))
    turned = ", ".join(str(reference[axis]) for axis in order)
    assert f"with reference={said[0]} and candidate={said[1]}, " in str(raised.value)
    assert f" becomes [{turned}], but " in str(raised.value)
    (link,) = link_inputs([spec("a", "n", "c", "h", "w")], [spec("b", "n", 3, "h", "w")],
                          Layouts("nchw", "nhwc"))  # fmt: skip
    assert link.permutation == LAST


@pytest.mark.parametrize(
    ("reference", "candidate", "orders"),
    [
        pytest.param(("batch", 3, 3, 3), ("n", 3, 3, 3), (SAME, FIRST, LAST), id="a cube"),
        pytest.param(("batch", 3, 16, 16), ("n", "c", "h", "w"), (SAME, FIRST, LAST), id="free"),
        pytest.param(("batch", "c", "h", "w"), ("n", 3, 4, 5), (SAME, FIRST, LAST), id="freer"),
        pytest.param(("batch", 3, 3), ("n", 3, 3), ((0, 1, 2), (0, 2, 1)), id="a square"),
        pytest.param(("batch", 1, 1, 1), ("n", 1, 1, 1), (SAME,), id="ones"),
        pytest.param(("batch", 1, 1, 7), ("n", "a", "b", "c"), (SAME,), id="one size that counts"),
        pytest.param(("batch", 3, 4, 5), ("n", 3, 4, 5), (SAME,), id="no doubt"),
    ],
)
def test_an_order_that_shapes_leave_open_is_the_same_one_at_first(
    reference: tuple[Dim, ...], candidate: tuple[Dim, ...], orders: tuple[tuple[int, ...], ...]
) -> None:
    links = link_inputs([spec("a", *reference)], [spec("b", *candidate)], UNSAID)
    assert (links[0].permutation, *links[0].others) == orders
    assert [other[0].permutation for other in other_links(links)] == list(orders[1:])


@pytest.mark.parametrize(
    ("sizes", "stated", "orders"),
    [
        ((4, 4, 4), FIRST, (FIRST, SAME, LAST)),
        ((4, 4, 4), (0, 1, 3, 2), (SAME, FIRST, LAST)),
        ((3, 4, 5), FIRST, (SAME,)),
    ],
)
def test_the_order_that_a_file_states_is_the_first_where_shapes_allow_it(
    sizes: tuple[int, ...], stated: Permutation, orders: tuple[Permutation, ...]
) -> None:
    sides = [spec("a", "batch", *sizes)], [spec("b", "n", *sizes)]
    (link,) = link_inputs(*sides, UNSAID, {"b": stated, "a": LAST})
    assert (link.permutation, *link.others) == orders
    (said,) = link_inputs(*sides, Layouts("nchw", "nchw"), {"b": stated})
    assert (said.permutation, said.others) == (SAME, ())


def test_inputs_are_moved_alike() -> None:
    specs = [spec("a", "batch", 3, 3, 3), spec("t", "batch", 1, 1, 1), spec("v", "batch", 3)]
    first, last = other_links(link_inputs(specs, specs, UNSAID))
    assert [link.permutation for link in first] == [FIRST, SAME, (0, 1)]
    assert [link.permutation for link in last] == [LAST, SAME, (0, 1)]


def test_an_input_that_a_candidate_does_not_have_is_left_out() -> None:
    both = [spec("a", "batch", 3), spec("b", "batch", 3)]
    assert link_inputs(both, both[1:], UNSAID) == (InputLink("b", "b", (0, 1)),)


def test_integers_are_cast_where_the_type_holds_them() -> None:
    ids = np.array([0, 7, 2**31 - 1])
    link = InputLink("ids", "i", (0,), "int32")
    found = move({"ids": ids}, [link])["i"]
    assert (found.dtype, found.tolist()) == (np.int32, ids.tolist())
    assert round_feeds({"ids": ids + 1}, [link])["ids"].dtype == np.int64
    words = (
        "its input 'i' is int32, which cannot represent the values of the reference's 'ids' (int64)"
    )
    with pytest.raises(PReLUToolsError, match=re.escape(words)):
        move({"ids": ids + 1}, [link])
    as_floats = move({"ids": ids[:2]}, [InputLink("ids", "i", (0,), "float32")])["i"]
    assert as_floats.tolist() == [0.0, 7.0]


def test_nothing_is_said_of_layouts_at_first() -> None:
    assert Layouts() == Layouts(None, None)
    assert Layouts("nchw", "nhwc").turned == Layouts("nhwc", "nchw")
    assert other_links([]) == ()


@pytest.mark.parametrize("layouts", [Layouts("nchw", None), Layouts(None, "nhwc")])
def test_one_layout_alone_says_nothing(layouts: Layouts) -> None:
    assert layouts.permutation(4) is None
    (link,) = link_inputs([spec("a", 1, 3, 4, 5)], [spec("b", 1, 3, 4, 5)], layouts)
    assert link.permutation == SAME


# As a candidate takes them


def test_feeds_are_moved_and_named_for_the_candidate() -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    found = move({"a": x, "b": x}, [InputLink("b", "x", LAST), InputLink("a", "y", SAME)])
    assert list(found) == ["x", "y"]
    assert np.array_equal(found["x"], x.transpose(LAST))
    assert np.array_equal(found["y"], x)
    assert all(values.flags.c_contiguous for values in found.values())


def test_what_a_narrower_candidate_is_given_can_be_held_by_both() -> None:
    x = np.array([0.1, 1e6, 1e-9], np.float32)
    link = InputLink("a", "a", (0,), "float16")
    with np.errstate(all="raise"):
        moved = move({"a": x}, [link])["a"]
        rounded = round_feeds({"a": x, "b": x}, [link])
    assert moved.dtype == np.float16
    assert moved.tolist() == [np.float16(0.1), np.inf, 0.0]
    assert rounded["a"].dtype == np.float32
    assert rounded["a"].tolist() == [np.float32(np.float16(0.1)), np.inf, 0.0]
    assert rounded["b"] is x


def test_fractions_are_not_rounded_to_whole_numbers() -> None:
    x = np.array([1.5, 2.0], np.float32)
    link = InputLink("a", "a", (0,), "int32")
    assert round_feeds({"a": x}, [link])["a"] is x
    assert move({"a": x[1:]}, [link])["a"].tolist() == [2]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([1.5], np.float32), "int32"),
        (np.array([np.nan], np.float32), "int32"),
        (np.array([2**53 + 1]), "float32"),
        (np.array([2**53 + 1]), "float64"),
    ],
)
def test_values_that_a_type_does_not_hold_are_refused(values: Array, kind: str) -> None:
    link = InputLink("a", "a", (0,), kind)
    with np.errstate(all="raise"), pytest.raises(PReLUToolsError, match="cannot represent"):
        move({"a": values}, [link])
