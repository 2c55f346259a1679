"""What a framework has to offer, so that the commands need not know which one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.options import Dim, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.decisions import Decision
from prelu_tools.core.rounding.noise import Noise


@dataclass(frozen=True)
class TensorSpec:
    """One input of a model."""

    name: str
    """Its name in the model."""
    dtype: str
    """The numpy name of its type."""
    shape: tuple[Dim, ...]
    """Sizes; a dynamic dimension has a name instead, the first one usually `batch`."""
    example: tuple[int, ...]
    """Sizes that the model accepts: `shape` with a number for each name."""
    seen: tuple[float, float] | None = None
    """The smallest and the largest value of an example, where the model has one."""
    is_mask: bool = False
    """Whether the example is made of zeros and ones, and has both."""


class RandomPart(Protocol):
    """A part of a model that draws random numbers."""

    @property
    def text(self) -> str:
        """What it is, and its name."""
        ...

    @property
    def drops(self) -> bool:
        """Whether it is a Dropout: in inference it should do nothing."""
        ...

    @property
    def is_certain(self) -> bool:
        """False where only a run knows whether it does."""
        ...


def one_size_a_name(specs: Sequence[TensorSpec]) -> list[TensorSpec]:
    """The inputs with one example for each name of a size, in whichever of them it stands.

    A first size is that of a batch, unless an input has it twice: its example is the smaller one.
    """
    found: dict[str, int] = {}
    for spec in specs:
        for size, example in zip(spec.shape, spec.example, strict=True):
            if isinstance(size, str):
                pick = max if any(s.shape.count(size) > 1 for s in specs) else min
                found[size] = pick(example, found.get(size, example))
    return [
        replace(
            spec,
            example=tuple(
                found[size] if isinstance(size, str) else example
                for size, example in zip(spec.shape, spec.example, strict=True)
            ),
        )
        for spec in specs
    ]


class Lookup(NamedTuple):
    """Something that a model looks up as it runs, by positions along an axis."""

    size: int
    """Of that axis."""
    positions: Array
    """The positions, in whatever shape."""


class Runner(Protocol):
    """Runs a model, within a `with` block."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, in the model's order, for inputs by name.

        Raises:
            PReLUToolsError: the model rejects them.
        """
        ...


Observer = Callable[[str, int, Array, Array], None]
"""Is told of each call of a PReLU: the layer's name, which call of it, its input and its output.

The arrays are in the model's own axis order and type, and may be gone once the observer returns.
"""


class WideRunner(Runner, Protocol):
    """Runs a model in float64; outputs are float64 arrays."""

    @property
    def stayed_narrow(self) -> Sequence[str]:
        """Parts of the model that computed in a narrower type all the same, after running."""
        ...


@dataclass(frozen=True)
class SearchLimits:
    """Where a search for inputs stops."""

    deadline: float
    """On `time.monotonic`'s clock."""
    seed: int
    """Of what it draws."""
    ranges: Mapping[str, tuple[float, float]]
    """For an input's name the values that it may take; unbounded where it has none."""
    whole: bool = False
    """Whether batches have to keep the size of the one to start from."""
    axes: Mapping[str, int] | None = None
    """The axis of the rows of each input that has any; None for the first one of them all."""

    def count(self, feeds: Mapping[str, Array]) -> int:
        """How many rows a batch has."""
        found = ((values, self._axis(name, values)) for name, values in feeds.items())
        return next((values.shape[axis] for values, axis in found if axis is not None), 1)

    def take(self, feeds: Mapping[str, Array], rows: Sequence[int] | Array) -> dict[str, Array]:
        """A batch of these rows, as copies."""
        return {
            name: np.array(values) if axis is None else np.take(values, rows, axis)
            for name, values in feeds.items()
            for axis in [self._axis(name, values)]
        }

    def rest(self, name: str, move: Array, rows: Sequence[int]) -> Array:
        """A move of an input, 0 for these rows; for an input of all rows, where there is any."""
        resting = np.zeros(np.shape(move), np.bool_)
        axis = self._axis(name, resting)
        if axis is None:
            resting |= bool(rows)
        else:
            resting.swapaxes(0, axis)[list(rows)] = True
        return np.where(resting, np.zeros_like(move), move)

    def _axis(self, name: str, values: Array) -> int | None:
        if self.axes is None:
            return 0 if values.ndim else None
        return self.axes.get(name)


class Source(Protocol):
    """A model in its own framework."""

    @property
    def spelled(self) -> str:
        """As the user spelled it."""
        ...

    @property
    def framework(self) -> str:
        """`torch`, `keras` or `onnx`."""
        ...

    @property
    def producer(self) -> str:
        """The framework and its version."""
        ...

    @property
    def n_parameters(self) -> int:
        """Elements of all parameters."""
        ...

    def inputs(self) -> Sequence[TensorSpec]:
        """The model's inputs.

        Raises:
            UsageError: their shapes are not known; the message shows the option to type.
        """
        ...

    def layers(self) -> tuple[PReLULayer, ...]:
        """Every PReLU layer, in the order in which the model calls them."""
        ...

    def lookups(self, feeds: Mapping[str, Array]) -> Sequence[Lookup]:
        """What the model looks up on these inputs, always in the same order.

        Raises:
            PReLUToolsError: the model rejects the inputs.
        """
        ...

    def random_parts(self) -> Sequence[RandomPart]:
        """What draws random numbers, as far as the model says so without being run."""
        ...

    def decisions(self, runs: Sequence[Mapping[str, Array]]) -> Sequence[Decision]:
        """Where numbers decide how the model goes on, and which ways these runs take.

        Empty, at no cost, where nothing in the model is decided so.

        Raises:
            PReLUToolsError: the model rejects the inputs.
        """
        ...

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """The model in inference mode; `observe` is told of its PReLU calls as it runs."""
        ...

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """The model with weights and inputs in float64.

        Raises:
            PReLUToolsError: it does not run in float64; on entering, or on running.
        """
        ...

    def moved_runner(
        self, noise: Noise, observe: Observer | None = None
    ) -> AbstractContextManager[Runner]:
        """The model with the result of every operator moved at random, as rounding may move it.

        Each run is moved otherwise; the first of two runners of one seed as the first of the other.

        Raises:
            PReLUToolsError: its operators cannot be moved; on entering, or on running.
        """
        ...

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """One PReLU layer by itself: what it makes of an input of its shape (batch free)."""
        ...

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """Look for inputs that make the inputs of slopes negative.

        Args:
            targets: for each layer's name, over its flat slopes, which are looked for.
            start: a batch of inputs to start from.
            limits: where to stop.

        Yields:
            Batches that may reach some of them; whether they do is for the caller to see.
        """
        ...


class Backend(Protocol):
    """A module of this package that reads sources of one framework."""

    def from_file(self, path: Path, spelled: str, options: SourceOptions) -> Source:
        """Read a file."""
        ...

    def from_object(
        self, model: object, spelled: str, weights: Path | None, options: SourceOptions
    ) -> Source:
        """Take a live model."""
        ...
