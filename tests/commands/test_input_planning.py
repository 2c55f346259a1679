"""Inputs that a reference takes: learned with it alone, before any candidate is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.protocol.inputs import Lookup, TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.drawing import DrawPlan
from prelu_tools.commands.verify.inputs.planning import InputPlan, plan_inputs
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import Dim
from prelu_tools.core.results.reasons import code_of

Feeds = Mapping[str, Array]


@dataclass
class Picky:
    """Takes what a test says that it takes."""

    specs: Sequence[TensorSpec]
    takes: Callable[[Feeds], object] = lambda _feeds: True
    gives: Callable[[Feeds], dict[str, Array]] = dict
    fed: list[Feeds] = field(default_factory=list)
    opened: int = 0
    looks: Callable[[Feeds], Sequence[Lookup]] = lambda _feeds: ()

    def inputs(self) -> Sequence[TensorSpec]:
        """As given."""
        return self.specs

    @contextmanager
    def runner(self) -> Iterator[Any]:
        """Itself."""
        self.opened += 1
        yield self

    def lookups(self, feeds: Feeds) -> Sequence[Lookup]:
        """As given, where it takes the inputs."""
        if not self.takes(feeds):
            raise PReLUToolsError("no")
        return self.looks(feeds)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """What goes in, if it is taken."""
        self.fed.append(feeds)
        if not self.takes(feeds):
            raise PReLUToolsError("no")
        return self.gives(feeds)

    def settled(self, samples: int = 4, **ranges: tuple[float, float]) -> InputPlan:
        """Its inputs."""
        return plan_inputs(cast(Source, self), [], DrawPlan(samples, 0, ranges))


def spec(name: str, *shape: Dim, dtype: str = "float32") -> TensorSpec:
    """An input; 20 is the example's size where it is free."""
    example = tuple(d if isinstance(d, int) else 1 if d == "batch" else 20 for d in shape)
    return TensorSpec(name, dtype, shape, example)


IMAGE = spec("x", "batch", 3, "h", "w")


def _shapes(found: InputPlan, name: str = "x") -> list[tuple[int, ...]]:
    return [run[name].shape for run in found.feeds]


def test_all_sizes_are_tried_where_none_is_refused() -> None:
    found = Picky([IMAGE]).settled()
    assert _shapes(found)[:3] == [(4, 3, 20, 20), (1, 3, 20, 20), (3, 3, 36, 52)]
    assert [(s["h"], s["w"]) for s in found.sizes.tried] == [s[2:] for s in _shapes(found)[1:]]
    assert (found.sizes.refused, found.notes) == ((), [])
    assert {shape[0] for shape in _shapes(found)[3:]} >= {1, 2}


def test_sizes_are_tried_beside_a_fixed_batch() -> None:
    found = Picky([spec("x", 1, 3, "h", "w")]).settled()
    assert _shapes(found)[:4] == [(1, 3, 20, 20)] * 4
    assert len(_shapes(found)) == 10


@pytest.mark.parametrize("step", [2, 8, 16])
def test_sizes_that_are_refused_are_replaced_by_multiples(step: int) -> None:
    model = Picky(
        [spec("x", "batch", "h", "w")],
        lambda feeds: feeds["x"].shape[1:] == (20, 20) or not any(
            size % step for size in feeds["x"].shape[1:]
        ),
    )  # fmt: skip
    found = model.settled()
    others = [sizes for sizes in found.sizes.tried if set(sizes.values()) != {20}]
    assert len(others) > 1
    assert all(size % step == 0 for sizes in others for size in sizes.values())
    assert any(size // step % 2 for sizes in others for size in sizes.values())
    assert all(any(s % step for s in sizes.values()) for sizes in found.sizes.refused)
    (note,) = found.notes
    assert note.startswith("sizes rejected by the reference: h=")
    assert "h=20 w=20" not in note
    for run in found.feeds:  # nothing that it refuses is used
        assert model.takes(run)


def test_a_size_of_which_one_value_is_taken_is_a_warning() -> None:
    model = Picky([spec("x", "batch", "h", "w")], lambda feeds: feeds["x"].shape[2] == 20)
    notes = model.settled().notes
    assert [code_of(note) for note in notes] == ["sizes_refused", "sizes_not_checked"] + (
        ["sizes_not_checked"] if len(notes) == 3 else []
    )
    assert notes[-1].startswith("w is dynamic, but only w=20 was checked: the reference rejected "
                                "every other size that was tried (")  # fmt: skip


def test_sizes_that_have_to_be_equal_are_learned() -> None:
    model = Picky([spec("a", "batch", "s"), spec("b", "batch", "t")],
                  lambda feeds: feeds["a"].shape == feeds["b"].shape)  # fmt: skip
    found = model.settled()
    assert len(found.sizes.tried) > 3
    assert all(sizes["s"] == sizes["t"] for sizes in found.sizes.tried)
    assert {sizes["s"] % 2 for sizes in found.sizes.tried} == {0, 1}


def test_a_model_that_takes_one_size_only_is_not_asked_for_long() -> None:
    model = Picky([IMAGE], lambda feeds: feeds["x"].shape[2:] == (20, 20))
    found = model.settled()
    assert _shapes(found) == [(4, 3, 20, 20), (1, 3, 20, 20)]
    assert len(model.fed) < 40
    assert len(found.notes[0]) < 400


def test_one_name_is_one_size_in_all_inputs() -> None:
    found = Picky(
        [spec("x", "batch", "t", 5), spec("mask", "batch", "t"), spec("e", "t")]
    ).settled()
    assert len(found.feeds) > 4
    for run in found.feeds:
        assert run["x"].shape[:2] == run["mask"].shape
        assert run["e"].shape == run["mask"].shape[1:]


def test_an_input_of_another_first_size_is_given_whole_if_that_is_taken() -> None:
    found = Picky([spec("x", "batch", 6), spec("edges", 2, 5)]).settled()
    assert _shapes(found, "edges") == [(2, 5)] * len(found.feeds)
    assert {shape[0] for shape in _shapes(found)} == {2, 1}
    together = Picky([spec("x", "batch", 6), spec("y", 2, 5)],
                     lambda feeds: len(feeds["x"]) == len(feeds["y"])).settled()  # fmt: skip
    assert _shapes(together) == [(2, 6), (2, 6)]
    assert together.rows.names == frozenset()


def test_each_input_is_tried_once() -> None:
    model = Picky([spec("x", "batch", 3)])
    model.settled()
    assert ([len(feeds["x"]) for feeds in model.fed], model.opened) == ([4, 1], 1)


# Values


def test_an_id_takes_every_row_of_its_table() -> None:
    ids = spec("ids", "batch", 5, dtype="int64")
    model = Picky(
        [ids, spec("x", "batch", 2)],
        lambda feeds: feeds["ids"].min() >= 0 and feeds["ids"].max() < 300,
        looks=lambda feeds: [Lookup(300, feeds["ids"].T), Lookup(7, np.arange(3))],
    )
    found = model.settled()
    assert set(np.unique([v for run in found.feeds for v in run["ids"].flat])) == set(range(300))
    (note,) = found.notes
    assert note == "input ids: 0 to 299, the rows of the table that it indexes"
    assert (found.inputs[0].source, found.inputs[0].high) == ("table", 299)
    assert (found.ranges, code_of(note)) == ({"ids": (0, 299)}, "input_domain")
    assert max(len(run["x"]) for run in found.feeds) <= 128


def test_a_large_table_is_met_at_both_ends_and_between() -> None:
    ids = spec("ids", "batch", dtype="int64")
    found = Picky([ids], looks=lambda feeds: [Lookup(10**6, feeds["ids"])]).settled(16)
    used = np.concatenate([run["ids"] for run in found.feeds])
    assert (used.min(), used.max(), len(found.feeds)) == (0, 10**6 - 1, 2)
    assert len(np.unique(used)) > 10


def test_ids_that_are_put_together_stay_within_their_table() -> None:
    inputs = [spec("country", "batch", dtype="int32"), spec("device", "batch", dtype="int32")]
    found = Picky(
        inputs, looks=lambda feeds: [Lookup(60, feeds["country"] * 5 + feeds["device"] + 3)]
    ).settled()
    assert found.ranges == {"country": (0, 10), "device": (0, 4)}


def test_positions_counted_from_one_begin_there() -> None:
    lengths = spec("lengths", "batch", dtype="int64")
    found = Picky([lengths], looks=lambda feeds: [Lookup(20, feeds["lengths"] - 1)]).settled()
    used = np.concatenate([run["lengths"] for run in found.feeds])
    assert set(used.tolist()) == set(range(1, 21))


def test_columns_may_have_tables_of_their_own() -> None:
    ids = spec("ids", "batch", 3, dtype="int64")
    sizes = (4, 90, 2)
    found = Picky(
        [ids], looks=lambda feeds: [Lookup(n, feeds["ids"][:, i]) for i, n in enumerate(sizes)]
    ).settled()
    for column, size in enumerate(sizes):
        used = np.concatenate([run["ids"][:, column] for run in found.feeds])
        assert set(used.tolist()) == set(range(size))
    assert found.inputs[0].domain.startswith("0 to (3, 89, 1) along its last axis")


def test_what_points_into_another_input_goes_with_its_size() -> None:
    model = Picky(
        [spec("x", "batch", 6), spec("edges", 2, 5, dtype="int64")],
        lambda feeds: feeds["edges"].max() < len(feeds["x"]),
        looks=lambda feeds: [Lookup(len(feeds["x"]), feeds["edges"][0])],
    )
    found = model.settled(16)
    assert {len(run["x"]) for run in found.feeds} == {1, 4}
    assert all(model.takes(run) for run in found.feeds)
    assert max(run["edges"].max() for run in found.feeds) == 3
    assert found.inputs[1].domain.startswith("0 to batch - 1, ")


def test_floating_ids_are_whole_numbers_and_other_numbers_are_no_ids() -> None:
    x = spec("x", "batch", 4)
    ids = Picky([x], looks=lambda feeds: [Lookup(50, feeds["x"].astype(np.int64))]).settled()
    assert all((run["x"] == np.rint(run["x"])).all() for run in ids.feeds)
    assert ids.ranges == {"x": (0, 49)}
    for other in (lambda x: (3.7 * x).astype(int) % 4, lambda x: 3 * (x > 0.7)):
        chosen = Picky([x], looks=lambda feeds, f=other: [Lookup(4, f(feeds["x"]))])
        assert chosen.settled().ranges == {}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_bytes_take_all_of_their_type(dtype: str) -> None:
    found = Picky([spec("x", "batch", 30, 30, dtype=dtype)]).settled(16)
    used = np.unique(np.concatenate([run["x"] for run in found.feeds]))
    assert (len(used), found.notes) == (256, [])


def test_integers_stay_within_an_example_of_several_values() -> None:
    given = replace(spec("x", "batch", 9, dtype="int64"), seen=(20.0, 40.0))
    assert Picky([given]).settled().ranges == {"x": (20, 40)}
    alone = replace(given, seen=(5.0, 5.0))
    assert Picky([alone]).settled().ranges == {}


def test_a_floating_mask_is_made_of_zeros_and_ones() -> None:
    mask = replace(spec("keep", "batch", 9), seen=(0.0, 1.0), is_mask=True)
    found = Picky([mask, replace(spec("x", "batch", 9), seen=(0.0, 1.0))]).settled(16)
    assert {float(v) for run in found.feeds for v in run["keep"].flat} == {0, 1}
    assert found.ranges == {"keep": (0, 1)}
    assert found.inputs[0].domain == "whole numbers, 0 to 1, within its example_inputs()"


@pytest.mark.parametrize(
    ("dtype", "good", "limits"),
    [
        ("float32", lambda x: (x >= 0) & (x <= 1), (0, 1)),
        ("float32", lambda x: x > 0.05, (0.1, 10)),
        ("float32", lambda x: (x == 0) | (x == 1), (0, 1)),
        ("int64", lambda x: (x == 0) | (x == 1), (0, 1)),
        ("int64", lambda x: (x >= 1) & (x <= 7), (1, 7)),
        ("int64", lambda x: x >= 1, (1, 9)),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_values_are_tried_until_the_reference_runs(
    dtype: str, good: Callable[[Array], Array], limits: tuple[float, float], fails: bool
) -> None:
    specs = [spec("x", "batch", 12, dtype=dtype), spec("y", "batch", 7)]
    model = Picky(
        specs,
        (lambda feeds: bool(good(feeds["x"]).all())) if fails else lambda _feeds: True,
        lambda feeds: {"z": np.where(good(feeds["x"]), 1.0, np.nan)},
    )
    found = model.settled(16)
    assert found.ranges == {"x": limits}
    assert all(good(run["x"]).all() for run in found.feeds)
    assert code_of(found.notes[0]) == "input_domain"
    assert found.notes[0].endswith(", found by trying")


def test_two_inputs_may_need_values_of_their_own() -> None:
    def good(feeds: Feeds) -> Array:
        mask, lengths = feeds["mask"], feeds["lengths"]
        return ((mask == 0) | (mask == 1)).all(axis=1) & (lengths >= 1) & (lengths <= 5)

    specs = [spec("lengths", "batch", dtype="int64"), spec("mask", "batch", 5, dtype="int64")]
    found = Picky(specs, gives=lambda feeds: {"z": np.where(good(feeds), 1.0, np.nan)}).settled(16)
    assert all(good(run).all() for run in found.feeds)


def test_rows_that_give_nan_are_replaced() -> None:
    def gives(feeds: Feeds) -> dict[str, Array]:
        x = feeds["x"]
        with np.errstate(invalid="ignore"):
            return {"y": (x - x.mean(axis=1, keepdims=True)) / np.std(x, axis=1, keepdims=True)}

    model = Picky([spec("x", "batch", 16)], gives=gives)
    found = model.settled(16)
    assert not any(np.isnan(gives(run)["y"]).any() for run in found.feeds)
    assert np.array_equal(found.feeds[0]["x"][:1], found.feeds[1]["x"])
    (note,) = found.notes
    begin = "3 of 16 input rows gave NaN in the reference, and were replaced by others"
    assert note == f"{begin}; to stay in the model's domain, use --input-range"
    whole = replace(model, specs=[spec("x", 4, 16)])
    assert not any(np.isnan(gives(run)["y"]).any() for run in whole.settled(16).feeds)


def test_where_nothing_helps_the_option_is_named() -> None:
    specs = [spec("x", "batch", 3)]
    nan = Picky(specs, gives=lambda feeds: {"y": feeds["x"] * np.nan}).settled()
    assert "set the values of x with --input-range NAME=LOW,HIGH" in nan.doubts[0]
    assert code_of(nan.doubts[0]) == "rows_with_nan"
    words = (
        "^no. No inputs of the sizes x:batch,3 were found that it accepts: check the sizes "
        r"\(--input\), or set the values of x with --input-range"
    )
    with pytest.raises(PReLUToolsError, match=words):
        Picky(specs, lambda _feeds: False).settled()


def test_what_was_asked_for_stays() -> None:
    model = Picky([spec("ids", "batch", dtype="int64")], looks=lambda f: [Lookup(9, f["ids"])])
    found = model.settled(ids=(2.0, 4.0))
    assert found.ranges == {"ids": (2, 4)}
    assert (found.inputs[0].source, found.notes) == ("asked", [])


def test_sizes_without_an_example_are_looked_for() -> None:
    model = Picky([IMAGE], lambda feeds: not any(size % 32 for size in feeds["x"].shape[2:]))
    found = model.settled()
    assert found.feeds[0]["x"].shape == (4, 3, 64, 64)
    assert len(found.sizes.tried) > 2


def test_the_same_is_learned_twice() -> None:
    def takes(feeds: Feeds) -> bool:
        return all(size % 4 == 0 for size in feeds["x"].shape[2:])

    first, second = (Picky([IMAGE], takes).settled() for _ in range(2))
    assert first.sizes == second.sizes
    for one, two in zip(first.feeds, second.feeds, strict=True):
        assert np.array_equal(one["x"], two["x"])
