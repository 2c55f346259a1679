"""What a framework has to offer, so that the commands need not know which one it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prelu_tools.core.arrays import Array
from prelu_tools.core.options import Dim, SourceOptions
from prelu_tools.core.slopes import PReLULayer

if TYPE_CHECKING:
    from prelu_tools.backends.conversion import Conversion


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


class Runner(Protocol):
    """Runs a model, within a `with` block."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, in the model's order, for inputs by name.

        Raises:
            PReLUToolsError: the model rejects them.
        """
        ...


@dataclass
class Reach:
    """Which slopes have met a negative input so far; filled in by the runner of a source."""

    masks: dict[str, Array] = field(default_factory=dict)
    """For each layer's name a flat boolean array over its slope tensor."""


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

    def runner(self, reach: Reach) -> AbstractContextManager[Runner]:
        """The model in inference mode; what its slopes meet goes to `reach`."""
        ...


class ConvertibleSource(Source, Protocol):
    """A source that can be brought to ONNX."""

    def convert(self, opset: int) -> Conversion:
        """The source as an ONNX graph of this opset.

        Raises:
            PReLUToolsError: it cannot be converted; the message says which layer, and why.
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
