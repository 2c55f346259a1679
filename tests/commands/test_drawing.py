"""Which sizes and how many rows are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.commands.drawing import DrawPlan, draw_feeds
from prelu_tools.commands.feeds import Feeds
from prelu_tools.commands.linking import InputLink, Layouts
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import Wanted, draw
from prelu_tools.core.options import Dim

SAME, LAST, FIRST = (0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)
UNSAID = Layouts()
_EXAMPLES = {"batch": 1}


def _spec(name: str, *shape: Dim, dtype: str = "float32") -> TensorSpec:
    example = tuple(d if isinstance(d, int) else _EXAMPLES.get(d, 2) for d in shape)
    return TensorSpec(name, dtype, shape, example)


def _plan(samples: int = 4, **ranges: tuple[float, float]) -> DrawPlan:
    return DrawPlan(samples, 0, ranges)


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
