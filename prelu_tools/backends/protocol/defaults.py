"""The default abilities of a source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from prelu_tools.core.errors import PReLUToolsError

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.inputs import Lookup
    from prelu_tools.backends.protocol.interface import (
        Conversion,
        OnnxGraph,
        RandomPart,
        Searchable,
    )
    from prelu_tools.backends.protocol.recording import Recording
    from prelu_tools.core.arrays import Array
    from prelu_tools.core.options import ConversionOptions
    from prelu_tools.core.prelu.slopes import PReLULayer
    from prelu_tools.core.results.verification.candidate import ProviderReport
    from prelu_tools.core.results.verification.decisions import Decision
    from prelu_tools.graph.facts.dependence import Dependence
    from prelu_tools.graph.io.model import OnnxModel
    from prelu_tools.graph.match.layers import LocatedLayer


class SourceDefaults(ABC):
    """The parts of `Source` that not every framework has, as one has them that lacks them."""

    label: str
    frees_sizes: bool = False
    observes_apart: bool = False
    weights_suffix: str = ".pt"

    @abstractmethod
    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""

    @abstractmethod
    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`."""

    @property
    def opset(self) -> int | None:
        """No opset: not an ONNX graph."""
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """No notes."""
        return ()

    @property
    def computes_in(self) -> str | None:
        """See `Source.computes_in`: by the types of its slopes."""
        kinds = {layer.dtype for layer in self.layers()}
        return next((kind for kind in ("bfloat16", "float16") if kind in kinds), None)

    @property
    def adds_axes(self) -> str | None:
        """None: outputs have the model's own axes."""
        return None

    @property
    def unnamed(self) -> frozenset[str]:
        """None: inputs and outputs have the model's own names."""
        return frozenset()

    @property
    def searchable(self) -> Searchable | None:
        """None: its tensors cannot be searched."""
        return None

    @property
    def runtime(self) -> ProviderReport | None:
        """None: its own framework runs it."""
        return None

    def ways(self) -> tuple[Self, ...]:
        """One way."""
        return (self,)

    @property
    def graph(self) -> OnnxGraph | None:
        """None: not an ONNX graph."""
        return None

    @property
    def recording(self) -> Recording | None:
        """None: it can be run."""
        return None

    def lookups(self, _feeds: Mapping[str, Array]) -> Sequence[Lookup]:
        """None are known."""
        return ()

    def random_parts(self) -> Sequence[RandomPart]:
        """None are known; runs show whether it is random."""
        return ()

    def decisions(self, _runs: Sequence[Mapping[str, Array]]) -> Sequence[Decision]:
        """None are known."""
        return ()

    def isolated(self, inputs: Mapping[str, Array], _provider: str) -> dict[str, Array]:
        """See `Source.isolated`: in its own framework."""
        return {name: self.activation(name)(values) for name, values in inputs.items()}

    def is_unread(self, _layer: str, _feeds: Mapping[str, Array]) -> bool:
        """False: not known."""
        return False

    def dependence(self, _output: str) -> Dependence | None:
        """None: not known."""
        return None

    def convert(self, _wanted: ConversionOptions) -> Conversion:
        """Not available.

        Raises:
            PReLUToolsError: always.
        """
        raise PReLUToolsError(
            f"{self.label} cannot be converted: export takes a Keras, PyTorch or ONNX model"
        )


class GraphDefaults(SourceDefaults):
    """The parts of a source whose layers are found in a graph."""

    model: OnnxModel
    observes_apart = True

    @property
    @abstractmethod
    def located(self) -> tuple[LocatedLayer, ...]:
        """The layers, and where they are in the graph."""

    @property
    def n_parameters(self) -> int:
        """Elements of all initializers that hold weights, biases or slopes, as codes too."""
        from prelu_tools.graph.facts.parameters import count_parameters

        return count_parameters(self.model.proto)

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return tuple(item.layer for item in self.located)

    def dependence(self, output: str) -> Dependence | None:
        """See `Source.dependence`."""
        from prelu_tools.graph.facts.dependence import output_dependence

        return output_dependence(self.model, output)
