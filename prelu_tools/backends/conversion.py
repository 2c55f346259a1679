"""What a convertible source gives the exporter: a graph, and what its tags stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from prelu_tools.backends.interface import Source
from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.core.results.export import RefusedRoute
from prelu_tools.graph.io.model import OnnxModel

__all__ = ["Conversion", "ConvertibleSource", "Parameter", "RefusedRoute"]


@dataclass(frozen=True)
class Parameter:
    """A slope tensor of the source."""

    layer: str
    """Its layer's name."""
    name: str
    """Its own name in the source: the initializer's name in the result."""
    values: Array
    """Its true values, in its own shape."""
    indices: IntArray
    """How it is laid over the input of its first call: the result of `backends/probe.py`."""
    n_calls: int
    """How often the source uses it: as many PRelu nodes have to be in the result."""
    call: int = 0
    """Which of the source's calls these begin with, where each has tags of its own."""

    def called_again(self) -> Parameter:
        """The same, with one more call."""
        return replace(self, n_calls=self.n_calls + 1)


@dataclass(frozen=True)
class Conversion:
    """A source as an ONNX graph, with tags in place of its slopes (`core/prelu/tags.py`)."""

    model: OnnxModel
    """Every PReLU is one PRelu node; its slopes are tags. Large weights are in its `memory`."""
    tags: TagBook
    """What the tags stand for."""
    parameters: Mapping[str, Parameter]
    """The slope tensors by their key in `tags`."""
    route: str
    """Which converter was used, with its version."""
    kept_names: Mapping[str, str] = field(default_factory=dict)
    """Initializers that carry a name of the source, with the name to give them."""
    refused: tuple[RefusedRoute, ...] = ()
    """Routes that were tried before and failed, in order."""
    input_layouts: tuple[Layout, Layout] | None = None
    """The axis order of the source's inputs and of the result's, where they were asked for."""
    notes: tuple[str, ...] = ()
    """What the user should know."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Metadata of the source's own model that is kept."""
    reference: Source | None = None
    """What the result is compared with, where the source itself does not run."""


class ConvertibleSource(Source, Protocol):
    """A source that can be brought to ONNX."""

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """The source as an ONNX graph, of the opset that is wanted or the nearest one below.

        Raises:
            PReLUToolsError: it cannot be converted; the message says which layer, and why.
        """
        ...
