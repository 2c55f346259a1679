"""What is drawn: which values, how many rows, which sizes."""

from __future__ import annotations

import numpy as np
import pytest
from specs import spec

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.domains import known_domains
from prelu_tools.commands.verify.inputs.drawing import Drawer, DrawPlan, known_shapes, of_one_batch
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.linking import InputLink
from prelu_tools.core.domains import ANY, Values
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import Wanted, draw
from prelu_tools.core.options import Dim

SAME, LAST = (0, 1, 2, 3), (0, 2, 3, 1)


def _drawer(
    *specs: TensorSpec, samples: int = 4, seed: int = 0, **ranges: tuple[float, float]
) -> Drawer:
    plan = DrawPlan(samples, seed, ranges)
    return Drawer(specs, known_shapes(specs, []), plan, known_domains(specs, ranges))


def _sizes(runs: list[Feeds]) -> list[dict[str, tuple[int, ...]]]:
    return [{name: values.shape for name, values in run.items()} for run in runs]


@pytest.mark.parametrize(
    ("specs", "samples", "sizes"),
    [
        pytest.param([spec("a", "batch", 3)], 4, [{"a": (4, 3)}, {"a": (1, 3)}], id="free batch"),
        pytest.param([spec("a", "batch", 3)], 2, [{"a": (2, 3)}, {"a": (1, 3)}], id="two rows"),
        pytest.param([spec("a", "batch", 3)], 1, [{"a": (1, 3)}], id="one row"),
        pytest.param([spec("a", 1, 3)], 3, [{"a": (1, 3)}] * 3, id="batch of one"),
        pytest.param([spec("a", 4, 3)], 5, [{"a": (4, 3)}] * 2, id="fixed batch, rounded up"),
        pytest.param([spec("a", 4, 3)], 4, [{"a": (4, 3)}], id="fixed batch, just full"),
        pytest.param(
            [spec("a", "batch", 3), spec("b", "batch", 2), spec("c")], 2,
            [{"a": (2, 3), "b": (2, 2), "c": ()}, {"a": (1, 3), "b": (1, 2), "c": ()}],
            id="several, and a scalar",
        ),
        pytest.param(
            [spec("a", "batch", 3), spec("c")], 16,
            [{"a": (4, 3), "c": ()}, {"a": (1, 3), "c": ()}, *[{"a": (4, 3), "c": ()}] * 3],
            id="four values of a scalar",
        ),
        pytest.param(
            [spec("x", "batch", 7), spec("h", 2, "batch", 5)], 3,
            [{"x": (3, 7), "h": (2, 3, 5)}, {"x": (1, 7), "h": (2, 1, 5)}], id="states of an LSTM",
        ),
        pytest.param(
            [spec("c"), spec("a", 4, 3), spec("d", 2, 3)], 4,
            [{"c": (), "a": (4, 3), "d": (2, 3)}], id="batches of two sizes",
        ),
        pytest.param(
            [spec("a", 2, "t")], 4, [{"a": (2, 2)}, {"a": (2, 2)}],
            id="a free size beside a fixed batch",
        ),
        pytest.param(
            [spec("x", "n", 7), spec("a", "n", "n")], 2, [{"x": (2, 7), "a": (2, 2)}] * 2,
            id="a graph",
        ),
        pytest.param([spec("c")], 3, [{"c": ()}] * 3, id="nothing but a scalar"),
    ],
)  # fmt: skip
def test_sizes_of_what_is_drawn(
    specs: list[TensorSpec], samples: int, sizes: list[dict[str, tuple[int, ...]]]
) -> None:
    assert _sizes(_drawer(*specs, samples=samples).usual()) == sizes


def test_first_sizes_may_be_those_of_one_batch() -> None:
    shapes = {"a": (4, 3), "b": ("n", 2), "c": (), "d": (2, 3)}
    assert of_one_batch(shapes) == {"a": [4, 3], "b": [4, 2], "c": [], "d": [2, 3]}
    assert of_one_batch({"a": ("n", 3), "c": ()}) is None


def test_the_first_row_is_run_again_alone() -> None:
    together, alone = (run["a"] for run in _drawer(spec("a", "batch", 3)).usual())
    assert np.array_equal(together[:1], alone)


def test_another_run_has_other_values_and_the_sizes_that_it_is_given() -> None:
    drawer = _drawer(spec("a", "batch", "h", "w", "h"), spec("m", "w"))
    assert drawer.free == {"h": 2, "w": 2}
    run = drawer.run({"h": 5, "w": 7}, 2, 1)
    assert _sizes([run]) == [{"a": (2, 5, 7, 5), "m": (7,)}]
    assert not np.array_equal(run["a"], drawer.run({"h": 5, "w": 7}, 2, 2)["a"])
    assert not np.array_equal(run["m"], drawer.run({"h": 5, "w": 7}, 2, 2)["m"])


def test_rows_lie_along_their_own_axis() -> None:
    plain, states = (
        _drawer(spec("a", *shape)).usual()[0]["a"] for shape in (("batch", 3, 5), (3, "batch", 5))
    )
    assert states.flags.c_contiguous
    assert np.array_equal(np.moveaxis(states, 1, 0), plain)


@pytest.mark.parametrize("batch", ["batch", 2])
def test_a_seed_draws_the_same_twice(batch: Dim) -> None:
    specs = [spec("a", batch, "t", 3), spec("s")]
    first, second = (_drawer(*specs, seed=7).usual() for _ in range(2))
    other = _drawer(*specs, seed=8).usual()
    for one, two, three in zip(first, second, other, strict=True):
        assert all(np.array_equal(one[name], two[name]) for name in ("a", "s"))
        assert not np.array_equal(one["a"], three["a"])
    assert {run["s"].dtype for run in first} == {np.dtype(np.float32)}
    assert np.array_equal(first[0]["a"], draw({"a": Wanted("float32", (2, 3))}, 2, 7)["a"])


def test_rows_are_not_repeated_from_run_to_run() -> None:
    first, second = (run["a"] for run in _drawer(spec("a", 2, 9)).usual())
    assert len({row.tobytes() for row in [*first, *second]}) == 4


@pytest.mark.parametrize("batch", ["batch", 1])
def test_booleans_without_rows_take_both_values(batch: Dim) -> None:
    runs = _drawer(spec("a", batch, 2), spec("flag", dtype="bool")).usual()
    assert {bool(run["flag"]) for run in runs} == {False, True}


def test_types_and_ranges_are_kept() -> None:
    specs = [
        spec("a", "batch", 99, 2, dtype="float64"), spec("b", "batch", 99, 2, dtype="int32")
    ]  # fmt: skip
    for run in _drawer(*specs, a=(0.0, 1.0)).usual():
        assert (run["a"].dtype, run["b"].dtype) == (np.float64, np.int32)
        assert 0.0 <= run["a"].min() < run["a"].max() <= 1.0
        assert run["b"].max() == 9


@pytest.mark.parametrize("shape", [(0, 3), (0,)])
def test_a_batch_of_no_rows_is_no_input(shape: tuple[int, ...]) -> None:
    words = "input 'a' has no rows, so nothing would be compared: expected at least one"
    with pytest.raises(PReLUToolsError, match=f"^{words}$"):
        _drawer(spec("b", "batch", 2), spec("a", *shape))


@pytest.mark.parametrize(
    ("mine", "theirs", "permutation", "known"),
    [
        (("batch", 3, "h", "w"), ("n", 3, 8, 9), SAME, ["batch", 3, 8, 9]),
        (("batch", 3, "h", "w"), ("n", 8, 9, 3), LAST, ["batch", 3, 8, 9]),
        (("batch", 3, "h", "w"), ("n", 8, "w", 3), LAST, ["batch", 3, 8, "w"]),
        (("batch", 3, 8, 9), ("n", 3, "h", "w"), SAME, ["batch", 3, 8, 9]),
        (("batch", 3, "h", "w"), ("n", 3, "p", "p"), SAME, ["batch", 3, "h", "w"]),
        (("batch", 3, 8, 9), (2, 3, "h", "w"), SAME, [2, 3, 8, 9]),
    ],
)
def test_a_size_that_a_candidate_fixes_is_kept(
    mine: tuple[Dim, ...],
    theirs: tuple[Dim, ...],
    permutation: tuple[int, ...],
    known: list[Dim],
) -> None:
    other = spec("other", "n", 5)
    specs, links = [other, spec("x", *theirs)], [InputLink("a", "x", permutation)]
    free = ([spec("x", "n", 3, "p", "q")], [InputLink("a", "x", SAME)])
    assert known_shapes([spec("a", *mine)], [free, (specs, links), free]) == {"a": known}


def test_a_candidate_without_an_input_fixes_no_size_of_it() -> None:
    other = ([spec("z", "n")], [InputLink("b", "z", (0,))])
    fixed = ([spec("x", "n", 7)], [InputLink("a", "x", (0, 1))])
    specs = [spec("a", "batch", "t")]
    assert known_shapes(specs, [other, fixed, other]) == {"a": ["batch", 7]}


FREE = ("batch", "a_dim_1", "a_dim_2", 3)


@pytest.mark.parametrize(
    ("mine", "theirs", "order", "named"),
    [
        (FREE, ("n", "h", "w", 3), SAME, ["batch", "h", "w", 3]),
        (FREE, ("n", 3, "h", "w"), (0, 3, 1, 2), ["batch", "h", "w", 3]),
        (FREE, ("n", "h", "b_dim_2", 3), SAME, ["batch", "h", "a_dim_2", 3]),
        (FREE, ("n", "s", "s", 3), SAME, [*FREE]),
        (FREE, ("n", "a_dim_2", "batch", 3), SAME, [*FREE]),
        (("batch", "x", "w", 3), ("n", "h", "v", 3), SAME, ["batch", "x", "w", 3]),
    ],
    ids=["same order", "channels first", "one name", "of two sizes", "taken", "own names"],
)
def test_a_size_without_a_name_has_that_of_a_candidate(
    mine: tuple[Dim, ...], theirs: tuple[Dim, ...], order: tuple[int, ...], named: list[Dim]
) -> None:
    links = (InputLink("a", "b", order),)
    found = known_shapes([spec("a", *mine)], [([spec("b", *theirs)], links)])
    assert found == {"a": named}


def test_a_name_is_given_to_one_size_only() -> None:
    """Though two candidates give it to different ones."""
    theirs = {"b": ("n", "h", "b_dim_2", 3), "c": ("n", "c_dim_1", "h", 3)}
    others = [([spec(name, *shape)], [InputLink("a", name, SAME)])
              for name, shape in theirs.items()]  # fmt: skip
    assert known_shapes([spec("a", *FREE)], others) == {"a": ["batch", "h", "a_dim_2", 3]}


def test_each_size_has_the_name_of_its_own_input() -> None:
    links = [InputLink("z", "y", (0, 1)), InputLink("a", "b", SAME)]
    others = [([spec("y", "n", "k"), spec("b", "n", "h", "w", 3)], links)]
    found = known_shapes([spec("z", "batch", 5), spec("a", *FREE)], others)
    assert found == {"z": ["batch", 5], "a": ["batch", "h", "w", 3]}


def test_what_is_plain_has_its_rows_first_and_takes_any_values() -> None:
    drawer = _drawer(spec("x", "batch", 3), spec("h", 2, "batch"), spec("s"),
                     spec("r", "batch", 3), r=(0.0, 1.0))  # fmt: skip
    assert [drawer.is_plain(name) for name in "xhsr"] == [True, False, False, False]


def _of(domains: dict[str, Values], *specs: TensorSpec, samples: int = 4) -> Drawer:
    return Drawer(specs, known_shapes(specs, []), DrawPlan(samples, 0, {}), domains)


def test_values_that_go_with_the_number_of_rows_are_drawn_again_for_one() -> None:
    bound = Values(up_to="batch", is_whole=True)
    drawer = _of({"a": bound}, spec("a", "batch", 99), samples=16)
    together, alone = drawer.usual()
    assert (together["a"].max(), alone["a"].max()) == (16.0, 1.0)
    assert np.array_equal(alone["a"], drawer.run({}, 1, 0)["a"])
    assert not np.array_equal(alone["a"], drawer.run({}, 1, 1)["a"])


def test_rows_that_do_not_grow_are_sorted_and_the_first_is_run_again() -> None:
    falling = Values(0.0, 9.0, is_falling=True)
    together, alone = _of({"a": falling}, spec("a", "batch"), samples=16).usual()
    assert together["a"].tolist() == sorted(together["a"].tolist(), reverse=True)
    assert len(set(together["a"].tolist())) > 1
    assert 0.0 <= together["a"].min() < together["a"].max() <= 9.0
    assert alone["a"].tolist() == together["a"].tolist()[:1]


def test_the_places_of_the_last_axis_may_have_limits_of_their_own() -> None:
    values = Values(0.0, 9.0, is_whole=True, tops=(1, 5))
    drawn = _of({"a": values}, spec("a", "batch", 99, 2), samples=4).usual()[0]["a"]
    assert drawn.max(axis=(0, 1)).tolist() == [1.0, 5.0]
    assert np.array_equal(drawn, np.round(drawn))


def test_sizes_of_free_axes_are_those_of_a_run_or_of_the_example() -> None:
    specs = [spec("a", "batch", "h"), spec("b", "w", 3)]
    plain = _of({"a": ANY, "b": ANY}, *specs)
    assert plain.sizes == {"batch": 1, "h": 2, "w": 2}
    assert plain.sizes_of({"a": np.zeros((5, 6)), "b": np.zeros((7, 3))}) == {
        "batch": 5, "h": 6, "w": 7
    }  # fmt: skip
    given = Drawer(specs, known_shapes(specs, []), DrawPlan(4, 0, {}), {"a": ANY, "b": ANY},
                   {"h": 9})  # fmt: skip
    assert given.sizes == {"batch": 1, "h": 9, "w": 2}
    assert given.usual()[0]["a"].shape[1] == 9


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_run_goes_on_in_the_cycle_with_a_seed_of_its_own(number: int) -> None:
    specs = [spec("a", "batch", 5), spec("b", "batch", 2), spec("s"), spec("t")]
    found = _drawer(*specs, seed=7).run({}, 3, number)
    wanted = {name: Wanted("float32", sizes) for name, sizes in
              {"a": (5,), "b": (2,), "s": (), "t": ()}.items()}  # fmt: skip
    rows = {name: wanted[name] for name in "ab"}
    whole = {name: wanted[name] for name in "st"}
    expected = draw(rows, 3, [7, number] if number else 7, 3 * number)
    others = draw(whole, 1, [7, number, 1], number)
    assert all(np.array_equal(found[name], expected[name]) for name in "ab")
    assert all(np.array_equal(found[name], others[name][0]) for name in "st")


def test_rows_that_do_not_grow_are_sorted_at_each_place() -> None:
    falling = Values(0.0, 9.0, is_falling=True)
    drawn = _of({"a": falling}, spec("a", "batch", 5), samples=16).usual()[0]["a"]
    assert np.array_equal(drawn, -np.sort(-drawn, axis=0))
    assert not np.array_equal(drawn, -np.sort(-drawn, axis=1))


def test_the_largest_example_of_a_size_counts() -> None:
    specs = [TensorSpec(name, "float32", ("n", 2), (example, 2))
             for name, example in (("a", 1), ("b", 5), ("c", 3))]  # fmt: skip
    assert _of(dict.fromkeys("abc", ANY), *specs).sizes == {"n": 5}
