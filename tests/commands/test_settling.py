"""Inputs that a reference takes: learned with it alone, before any candidate is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.interface import Source, TensorSpec
from prelu_tools.commands.drawing import DrawPlan
from prelu_tools.commands.settling import Settled, settle
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import Dim

Feeds = Mapping[str, Array]


@dataclass
class Picky:
    """Takes what a test says that it takes."""

    specs: Sequence[TensorSpec]
    takes: Callable[[Feeds], object] = lambda _feeds: True
    gives: Callable[[Feeds], dict[str, Array]] = dict
    fed: list[Feeds] = field(default_factory=list)
    opened: int = 0

    def inputs(self) -> Sequence[TensorSpec]:
        """As given."""
        return self.specs

    @contextmanager
    def runner(self) -> Iterator[Any]:
        """Itself."""
        self.opened += 1
        yield self

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """What goes in, if it is taken."""
        self.fed.append(feeds)
        if not self.takes(feeds):
            raise PReLUToolsError("no")
        return self.gives(feeds)

    def settled(self, samples: int = 4, **ranges: tuple[float, float]) -> Settled:
        """Its inputs."""
        return settle(cast(Source, self), [], DrawPlan(samples, 0, ranges))


def spec(name: str, *shape: Dim, dtype: str = "float32") -> TensorSpec:
    """An input; 20 is the example's size where it is free."""
    example = tuple(d if isinstance(d, int) else 1 if d == "batch" else 20 for d in shape)
    return TensorSpec(name, dtype, shape, example)


IMAGE = spec("x", "batch", 3, "h", "w")


def _shapes(found: Settled, name: str = "x") -> list[tuple[int, ...]]:
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
    assert note.startswith("sizes tried: h=20 w=20; ")
    assert "; refused by the reference: " in note
    for run in found.feeds:  # nothing that it refuses is used
        assert model.takes(run)


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


def test_nothing_is_run_where_nothing_is_to_be_learned() -> None:
    model = Picky([spec("x", "batch", 3)])
    model.settled()
    assert (model.fed, model.opened) == ([], 0)


def test_the_same_is_learned_twice() -> None:
    def takes(feeds: Feeds) -> bool:
        return all(size % 4 == 0 for size in feeds["x"].shape[2:])

    first, second = (Picky([IMAGE], takes).settled() for _ in range(2))
    assert first.sizes == second.sizes
    for one, two in zip(first.feeds, second.feeds, strict=True):
        assert np.array_equal(one["x"], two["x"])
