"""A source that does what tests tell it to, and a run of it as a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np

from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.run import ReferencePlan, run_reference
from prelu_tools.commands.verify.reference.searching import SearchPlan
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import PReLULayer

Feeds = dict[str, Array]
Model = Callable[[Mapping[str, Array]], dict[str, Array]]
UNMOVED = (
    "the operators of the reference cannot be perturbed (no operators): each output has "
    "one limit for all its values"
)
PLAN = ReferencePlan(
    wide=False, layers=True, search=SearchPlan(seconds=0.0), seed=3, ranges={"x": (-9.0, 9.0)},
    whole=False, rows=Rows({"x": 0}, frozenset({"batch"})),
)  # fmt: skip
SLOPES = np.array([[0.25, -0.5, 0.125]], np.float32)


def one_layer(name: str = "a") -> PReLULayer:
    return PReLULayer(name, (name,), None, "prelu", SLOPES, None, (3,), None, True)


def prelu(feeds: Mapping[str, Array]) -> dict[str, Array]:
    x = feeds["x"]
    return {"y": np.where(x > 0, x, x * SLOPES.astype(x.dtype))}


@dataclass
class ToldSource(SourceDefaults):
    """One layer that is called with the input, and what the tests say that it does."""

    model: Model = prelu
    wide: Model | None = None
    wide_layer: Model = prelu
    found: Sequence[Feeds] = ()
    stayed: tuple[str, ...] = ()
    fed: list[Feeds] = field(default_factory=list)
    sought: list[Any] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    framework: str = "told"
    observes_apart: bool = True
    label: str = "a live model"
    n_parameters: int = 3

    def layers(self) -> tuple[PReLULayer, ...]:
        """The one."""
        return (one_layer(),)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """Not asked for by these tests."""
        raise AssertionError(layer)

    @contextmanager
    def runner(self, observe: Observer | None = None) -> Iterator[Any]:
        """As the model is."""
        yield ToldRunner(self, observe)

    @contextmanager
    def wide_runner(self, observe: Observer | None = None) -> Iterator[Any]:
        """In float64, where that was told."""
        if self.wide is None:
            raise PReLUToolsError("no")
        yield _WideRunner(self, observe)

    def perturbed_runner(self, _noise: object, observe: Observer | None = None) -> Any:
        """Nobody can move its operators."""
        raise PReLUToolsError("no operators")

    def seek(
        self, targets: Mapping[str, Array], start: Feeds, limits: SearchLimits
    ) -> Iterator[Feeds]:
        """Gives `found`, and notes what was looked for."""
        masks = {name: mask.tolist() for name, mask in targets.items()}
        self.sought.append((masks, start, limits))
        yield from self.found


@dataclass
class ToldRunner:
    """Its layer is called twice, the second time it gives twice as much."""

    source: ToldSource
    observe: Observer | None

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """What the model gives."""
        self.source.fed.append(feeds)
        if self.observe:
            self.observe("a", 0, feeds["x"], prelu(feeds)["y"])
            self.observe("a", 1, feeds["x"], 2 * prelu(feeds)["y"])
        return self.source.model(feeds)


@dataclass
class _WideRunner:
    source: ToldSource
    observe: Observer | None

    @property
    def stayed_narrow(self) -> Sequence[str]:
        return self.source.stayed

    def run(self, feeds: Feeds) -> dict[str, Array]:
        wide = {name: values.astype(np.float64) for name, values in feeds.items()}
        if self.observe:
            self.observe("a", 0, wide["x"], self.source.wide_layer(wide)["y"])
            self.observe("z", 0, wide["x"], wide["x"])  # it was not seen in float32
        assert self.source.wide is not None
        return self.source.wide(wide)


def rows(*rows: Sequence[float]) -> Feeds:
    return {"x": np.array(rows, np.float32)}


TWO = rows([1, -2, 3], [4, 5, -6])
ONE = rows([1, -2, 3])
ALL = rows([-1, -2, -3])


@dataclass
class Ran(Reference):
    """A reference that was run, with what was kept of it: its stash is gone with the run."""

    seen: dict[Any, Array] = field(default_factory=dict)
    """What the stash held, by precision, run and call."""
    activations: list[Array | None] = field(default_factory=list)
    """For two runs of two calls, what the reference says that the layer gives."""


def run(source: ToldSource, *feeds: Feeds, plan: ReferencePlan = PLAN) -> Ran:
    """Run it as a reference."""
    with run_reference(cast(Source, source), feeds, plan) as reference:
        keys = [(precision, n) for precision in ("float32", "float64") for n in (0, 1)]
        seen = {
            (precision, n, call): reference.stash.get((precision, n, "a", call))
            for precision, n in keys
            for call in (0, 1)
            if (precision, n, "a", call) in reference.stash
        }
        activations = [reference.activation(n, "a", call) for n in (0, 1) for call in (0, 1)]
        kept = {one.name: getattr(reference, one.name) for one in fields(Reference)}
        kept["notes"] = [note for note in reference.notes if note != UNMOVED]
        return Ran(**kept, seen=seen, activations=activations)
