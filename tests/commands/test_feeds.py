"""The inputs of a check: which is which, in which order of axes and of which sizes, and files."""

from __future__ import annotations

import re

import numpy as np
import pytest

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.commands.feeds import (
    DrawPlan,
    Feeds,
    InputLink,
    Layouts,
    draw_feeds,
    link_inputs,
    move,
    round_feeds,
    rows_of,
)
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import Wanted, draw
from prelu_tools.core.layout import Layout
from prelu_tools.core.options import Dim

SAME, LAST, FIRST = (0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)
UNSAID = Layouts()
_EXAMPLES = {"batch": 1}


def _spec(name: str, *shape: Dim, dtype: str = "float32") -> TensorSpec:
    example = tuple(d if isinstance(d, int) else _EXAMPLES.get(d, 2) for d in shape)
    return TensorSpec(name, dtype, shape, example)


def _plan(samples: int = 4, **ranges: tuple[float, float]) -> DrawPlan:
    return DrawPlan(samples, 0, ranges)


# Rows


def test_rows_are_those_of_the_first_input_that_has_any() -> None:
    scalar = np.zeros(())
    assert rows_of({}) == 1
    assert rows_of({"a": scalar}) == 1
    assert rows_of({"a": scalar, "b": np.zeros((3, 2)), "c": np.zeros((4, 2))}) == 3


# Which input is which


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [("ab", "ab", "aa bb"), ("ab", "ba", "aa bb"), ("ab", "bc", "ab bc"), ("ab", "xy", "ax by")],
)
def test_inputs_are_paired_by_name_or_else_by_order(left: str, right: str, pairs: str) -> None:
    links = link_inputs(
        [_spec(name, "batch", 3) for name in left], [_spec(name, "n", 3) for name in right], UNSAID
    )
    assert links == tuple(InputLink(one[0], one[1], (0, 1)) for one in pairs.split())


def test_another_number_of_inputs() -> None:
    words = "it has 1 inputs (x); the reference has 2 (a, b)"
    with pytest.raises(PReLUToolsError, match=f"^{re.escape(words)}$"):
        link_inputs([_spec("a", 1), _spec("b", 1)], [_spec("x", 1)], UNSAID)


@pytest.mark.parametrize(
    ("reference", "candidate", "narrow"),
    [
        ("float32", "float16", "float16"),
        ("float64", "float16", "float16"),
        ("float16", "float16", None),
        ("float32", "float32", None),
        ("float64", "float32", None),
        ("int64", "float16", None),
        ("float16", "float32", None),
    ],
)
def test_which_inputs_are_narrower(reference: str, candidate: str, narrow: str | None) -> None:
    (link,) = link_inputs(
        [_spec("a", 2, dtype=reference)], [_spec("a", 2, dtype=candidate)], UNSAID
    )
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
    (link,) = link_inputs([_spec("a", *reference)], [_spec("b", *candidate)], layouts)
    assert link.permutation == expected


_UNFIT = "they do not fit"
_DOUBT = (
    "their layouts cannot be told from that; give --layout reference=nchw|nhwc and "
    "--layout candidate=nchw|nhwc"
)


@pytest.mark.parametrize(
    ("reference", "candidate", "said", "why"),
    [
        (("batch", 3, 4), ("n", 5, 6), None, _UNFIT),
        (("batch", 3), ("n", 3, 1), None, _UNFIT),
        ((), ("n",), None, _UNFIT),
        (("batch", 3, 4, 5), ("n", 3, 4, 5), ("nchw", "nhwc"), _UNFIT),
        (("batch", 3, 3, 3), ("n", 3, 3, 3), None, _DOUBT),
        (("batch", "c", "h", "w"), ("n", "c", "h", "w"), None, _DOUBT),
        (("batch", "c", "h", "w"), ("n", 3, 4, 5), None, _DOUBT),
        (("batch", 3, 3), ("n", 3, 3), None, _DOUBT),
    ],
)
def test_an_order_of_axes_that_is_in_doubt(
    reference: tuple[Dim, ...],
    candidate: tuple[Dim, ...],
    said: tuple[Layout, Layout] | None,
    why: str,
) -> None:
    layouts = Layouts(*said) if said else UNSAID
    mine, theirs = (
        f"[{', '.join(str(size) for size in shape)}]" for shape in (reference, candidate)
    )
    words = f"its input b has shape {theirs}, and the reference's a {mine}: {why}"
    with pytest.raises(PReLUToolsError) as raised:
        link_inputs([_spec("a", *reference)], [_spec("b", *candidate)], layouts)
    assert str(raised.value) == words


def test_nothing_is_said_of_layouts_at_first() -> None:
    assert Layouts() == Layouts(None, None)


@pytest.mark.parametrize("layouts", [Layouts("nchw", None), Layouts(None, "nhwc")])
def test_one_layout_alone_says_nothing(layouts: Layouts) -> None:
    assert layouts.permutation(4) is None
    (link,) = link_inputs([_spec("a", 1, 3, 4, 5)], [_spec("b", 1, 3, 4, 5)], layouts)
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


# What is drawn


def _sizes(runs: list[Feeds]) -> list[dict[str, tuple[int, ...]]]:
    return [{name: values.shape for name, values in run.items()} for run in runs]


@pytest.mark.parametrize(
    ("specs", "samples", "sizes"),
    [
        pytest.param([_spec("a", "batch", 3)], 4, [{"a": (4, 3)}, {"a": (1, 3)}], id="free batch"),
        pytest.param([_spec("a", "batch", 3)], 2, [{"a": (2, 3)}, {"a": (1, 3)}], id="two rows"),
        pytest.param([_spec("a", "batch", 3)], 1, [{"a": (1, 3)}], id="one row"),
        pytest.param([_spec("a", 1, 3)], 3, [{"a": (1, 3)}] * 3, id="batch of one"),
        pytest.param([_spec("a", 4, 3)], 5, [{"a": (4, 3)}] * 2, id="fixed batch, rounded up"),
        pytest.param([_spec("a", 4, 3)], 4, [{"a": (4, 3)}], id="fixed batch, just full"),
        pytest.param(
            [_spec("a", "batch", 3), _spec("b", "batch", 2), _spec("c")], 2,
            [{"a": (2, 3), "b": (2, 2), "c": ()}, {"a": (1, 3), "b": (1, 2), "c": ()}],
            id="several, and a scalar",
        ),
        pytest.param(
            [_spec("c"), _spec("a", 4, 3), _spec("b", "batch", 2), _spec("d", 2, 3)], 4,
            [{"c": (), "a": (4, 3), "b": (4, 2), "d": (2, 3)}], id="batches of two sizes",
        ),
        pytest.param(
            [_spec("a", "batch", "t", 3)], 4,
            [{"a": (4, 2, 3)}, {"a": (1, 2, 3)}, {"a": (3, 18, 3)}], id="a free size",
        ),
        pytest.param(
            [_spec("a", "batch", "h", "w", "h")], 2,
            [{"a": (2, 2, 2, 2)}, {"a": (1, 2, 2, 2)}, {"a": (2, 18, 34, 18)}],
            id="each free size is another one, and one is one",
        ),
        pytest.param(
            [_spec("a", 2, "t")], 4, [{"a": (2, 2)}, {"a": (2, 2)}],
            id="a free size beside a fixed batch",
        ),
        pytest.param([_spec("c")], 3, [{"c": ()}, {"c": ()}], id="nothing but a scalar"),
    ],
)  # fmt: skip
def test_sizes_of_what_is_drawn(
    specs: list[TensorSpec], samples: int, sizes: list[dict[str, tuple[int, ...]]]
) -> None:
    assert _sizes(draw_feeds(specs, [], _plan(samples))) == sizes


def test_the_first_row_is_run_again_alone_and_larger_sizes_are_other_values() -> None:
    together, alone, larger = (
        run["a"] for run in draw_feeds([_spec("a", "batch", "t", 3)], [], _plan())
    )
    assert np.array_equal(together[:1], alone)
    assert not np.array_equal(larger[:, :2], together[:3])
    again = draw_feeds([_spec("a", "batch", "t", 3)], [], DrawPlan(4, 1, {}))
    assert not np.array_equal(together, again[0]["a"])


@pytest.mark.parametrize("batch", ["batch", 2])
def test_a_seed_draws_the_same_twice(batch: Dim) -> None:
    specs = [_spec("a", batch, "t", 3), _spec("s")]
    first, second = (draw_feeds(specs, [], DrawPlan(4, 7, {})) for _ in range(2))
    assert all(
        np.array_equal(one[name], two[name])
        for one, two in zip(first, second, strict=True)
        for name in ("a", "s")
    )
    assert {run["s"].dtype for run in first} == {np.dtype(np.float32)}
    wanted = {"a": Wanted("float32", (2, 3)), "s": Wanted("float32", ())}
    drawn = draw(wanted, 4, 7)
    assert np.array_equal(first[0]["a"], drawn["a"] if batch == "batch" else drawn["a"][:2])
    assert first[0]["s"] == drawn["s"][0]
    if batch == "batch":
        larger = draw({"a": Wanted("float32", (18, 3))}, 3, 8)
        assert np.array_equal(draw_feeds(specs[:1], [], DrawPlan(4, 7, {}))[2]["a"], larger["a"])


def test_rows_are_not_repeated_from_run_to_run() -> None:
    first, second = (run["a"] for run in draw_feeds([_spec("a", 2, 9)], [], _plan(4)))
    assert len({row.tobytes() for row in [*first, *second]}) == 4


def test_types_and_ranges_are_kept() -> None:
    specs = [
        _spec("a", "batch", 99, "t", dtype="float64"), _spec("b", "batch", 99, "t", dtype="int32")
    ]  # fmt: skip
    for run in draw_feeds(specs, [], _plan(a=(0.0, 1.0))):
        assert (run["a"].dtype, run["b"].dtype) == (np.float64, np.int32)
        assert 0.0 <= run["a"].min() < run["a"].max() <= 1.0
        assert run["b"].max() == 9


@pytest.mark.parametrize("shape", [(0, 3), (0,)])
def test_a_batch_of_no_rows_is_no_input(shape: tuple[int, ...]) -> None:
    words = "input a has no rows, so nothing would be compared: expected one at least"
    with pytest.raises(PReLUToolsError, match=f"^{words}$"):
        draw_feeds([_spec("b", "batch", 2), _spec("a", *shape)], [], _plan())


@pytest.mark.parametrize(
    ("mine", "theirs", "permutation", "sizes"),
    [
        (("batch", 3, "h", "w"), ("n", 3, 8, 9), SAME, [(4, 3, 8, 9), (1, 3, 8, 9)]),
        (("batch", 3, "h", "w"), ("n", 8, 9, 3), LAST, [(4, 3, 8, 9), (1, 3, 8, 9)]),
        (("batch", 3, "h", "w"), ("n", 8, "w", 3), LAST,
         [(4, 3, 8, 2), (1, 3, 8, 2), (3, 3, 8, 18)]),
        (("batch", 3, 8, 9), ("n", 3, "h", "w"), SAME, [(4, 3, 8, 9), (1, 3, 8, 9)]),
        (("batch", 3, "h", "w"), ("n", 3, "p", "p"), SAME,
         [(4, 3, 2, 2), (1, 3, 2, 2), (3, 3, 18, 34)]),
        (("batch", 3, 8, 9), (2, 3, "h", "w"), SAME, [(2, 3, 8, 9), (2, 3, 8, 9)]),
    ],
)  # fmt: skip
def test_a_size_that_a_candidate_fixes_is_kept(
    mine: tuple[Dim, ...],
    theirs: tuple[Dim, ...],
    permutation: tuple[int, ...],
    sizes: list[tuple[int, ...]],
) -> None:
    other = _spec("other", "n", 5)
    specs, links = [other, _spec("x", *theirs)], [InputLink("a", "x", permutation)]
    free = ([_spec("x", "n", 3, "p", "q")], [InputLink("a", "x", SAME)])
    runs = draw_feeds([_spec("a", *mine)], [free, (specs, links), free], _plan())
    assert [run["a"].shape for run in runs] == sizes
