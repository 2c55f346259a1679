"""A search for layers among tensors: a candidate that is nothing but named arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from judge_rig import Rig, X, Y, flat

from prelu_tools.commands.verify.layers.finding import Found, LayerSearch, Place, find_layers
from prelu_tools.commands.verify.reference.reference import Call
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.facts.tensors import Maker

CAN = "{} tensors of the candidate were compared with it"


class Tensors:
    """What a candidate computes in each run, by name; an Add makes each, unless it is said."""

    def __init__(self, *runs: Mapping[str, Array], **makers: Maker) -> None:
        self.runs, self.has_bodies, self.error = runs, False, ""
        self.known = {name: makers.get(name, Maker(f"of_{name}", "Add")) for name in runs[0]}
        self.asked: list[tuple[str, list[str], int]] = []

    def makers(self) -> dict[str, Maker]:
        """See `Searchable.makers`."""
        return self.known

    def every(
        self, provider: str, names: Sequence[str], feeds: Mapping[str, Array]
    ) -> Iterator[tuple[str, Array]]:
        """See `Searchable.every`."""
        run = int(feeds["run"])
        self.asked.append((provider, list(names), run))
        if self.error:
            raise PReLUToolsError(self.error)
        yield from ((name, self.runs[run][name]) for name in names)


class Search:
    """A reference that showed these calls, and the search for its layers among tensors."""

    def __init__(
        self,
        tensors: Tensors,
        calls: Sequence[Call],
        *layers: PReLULayer,
        room: float = 0.0,
        x: Array = X,
        found: Sequence[PReLULayer] = (),
    ) -> None:
        self.tensors, self.room = tensors, room
        self.rig = Rig(layers or (flat(),), found, x=x)
        self.reference = self.rig.reference
        self.reference.known_calls = calls
        self.feeds: list[dict[str, Array]] = [
            {"run": np.array(run)} for run in range(len(tensors.runs))
        ]
        self.places: list[tuple[str, Place | None]] = []
        self.answer: Callable[..., bool] = self.near

    def near(self, layer: str, expected: Array, found: Array, place: Place | None) -> bool:
        """Whether two arrays are equal up to `room`; notes the place, and the second one."""
        self.places.append((layer, place))
        assert expected.shape == found.shape
        self.last = found
        return bool((np.abs(expected - found) <= self.room).all())

    @property
    def search(self) -> LayerSearch:
        """What is looked for, and where."""
        source = cast(Any, SimpleNamespace(searchable=self.tensors))
        return LayerSearch(
            self.reference, source, "cuda", self.feeds, lambda *given: self.answer(*given)
        )

    def __call__(self) -> dict[str, Found]:
        """The outcome for every layer of the reference."""
        return find_layers(self.search, self.reference.layers)

    @property
    def one(self) -> Found:
        """The outcome, where there is one layer."""
        (found,) = self().values()
        return found


def call(y: Array = Y, x: Array = X, number: int = 0, layer: str = "a") -> Call:
    """What the reference showed of a layer."""
    return Call(layer, number, x, y)
