"""What a framework has to provide, so that the commands need not know which one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.inputs import Lookup, SearchLimits, TensorSpec
    from prelu_tools.backends.protocol.recording import Recording
    from prelu_tools.backends.protocol.runners import (
        LayerWatch,
        Observer,
        PlacedRunner,
        Runner,
        WideRunner,
    )
    from prelu_tools.core.arrays import Array
    from prelu_tools.core.options import ConversionOptions, SourceOptions, WantedLayout
    from prelu_tools.core.prelu.layout import Layout
    from prelu_tools.core.prelu.slopes import PReLULayer, SlopeParameter
    from prelu_tools.core.prelu.tags import TagBook
    from prelu_tools.core.results.export import RefusedRoute
    from prelu_tools.core.results.verification.candidate import ProviderReport
    from prelu_tools.core.results.verification.decisions import Decision
    from prelu_tools.core.rounding.noise import Noise
    from prelu_tools.graph.facts.dependence import Dependence
    from prelu_tools.graph.facts.tensors import Maker
    from prelu_tools.graph.io.model import OnnxModel
    from prelu_tools.graph.match.layers import LocatedLayer
    from prelu_tools.graph.quantized.meaning import Meaning


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
        """False if only a run knows whether it does."""
        ...


@dataclass(frozen=True)
class Conversion:
    """A source as an ONNX graph, with tags in place of its slopes (`core/prelu/tags.py`)."""

    model: OnnxModel
    """Every PReLU is one PRelu node; its slopes are tags. Large weights are in its `memory`."""
    tags: TagBook
    """The meaning of the tags."""
    parameters: Mapping[str, SlopeParameter]
    """The slope tensors by their key in `tags`."""
    route: str
    """Which converter was used, with its version."""
    kept_names: Mapping[str, str] = field(default_factory=dict)
    """Initializers that carry a name of the source, with the name to give them."""
    refused: tuple[RefusedRoute, ...] = ()
    """Routes that were tried before and failed, in order."""
    input_layouts: tuple[Layout, Layout] | None = None
    """The axis order of the source's inputs and of the result's, where they were requested."""
    output_layouts: tuple[Layout, Layout] | None = None
    """The same of outputs (`graph.passes.cleaning.layouts.outputs_with_layout`)."""
    notes: tuple[str, ...] = ()
    """Notes for the user."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Metadata of the source's own model that is kept."""
    reference: Source | None = None
    """What the result is compared with, where the source itself does not run."""
    needs_check: bool = False
    """Whether the converter may change the model: it is never written without a comparison."""


def layouts_between(source: Layout, wanted: WantedLayout) -> tuple[Layout, Layout] | None:
    """What `Conversion` says of a layout that was requested; None where it was to be kept."""
    return None if wanted == "keep" else (source, wanted)


class Source(Protocol):
    """A model in its own framework."""

    @property
    def label(self) -> str:
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

    @property
    def opset(self) -> int | None:
        """The opset of an ONNX graph; None for a model that is none."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the model itself."""
        ...

    @property
    def computes_in(self) -> str | None:
        """The type narrower than float32 that it computes in; None for none, or unknown."""
        ...

    @property
    def adds_axes(self) -> str | None:
        """Why its outputs may have axes of size 1 more at their end than the model has, or None."""
        ...

    @property
    def searchable(self) -> Searchable | None:
        """The same source with tensors that can be searched for a layer; None if none can."""
        ...

    @property
    def runtime(self) -> ProviderReport | None:
        """The runtime that runs it; None if its framework does, or where one is chosen."""
        ...

    @property
    def frees_sizes(self) -> bool:
        """Whether `--input` can make sizes dynamic that it states."""
        ...

    @property
    def observes_apart(self) -> bool:
        """Whether observers leave its outputs as they are: they see another run."""
        ...

    @property
    def weights_suffix(self) -> str:
        """The suffix of a file that has its weights alone."""
        ...

    def ways(self) -> Sequence[Source]:
        """The same source, once for each way in which its runtime may run it; itself the first."""
        ...

    @property
    def graph(self) -> OnnxGraph | None:
        """The same source with what only an ONNX graph can do; None for a model that is none."""
        ...

    @property
    def recording(self) -> Recording | None:
        """The record of a source that was run before and cannot be run again; None for others."""
        ...

    @property
    def unnamed(self) -> frozenset[str]:
        """The inputs and outputs that the model itself has no name for; known once it has run.

        What they are called here is made up: the output of a torch module that returns a tensor.
        """
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
        """The model in inference mode; `observe` is called with its PReLU calls as it runs."""
        ...

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """The model with weights and inputs in float64.

        Raises:
            PReLUToolsError: it does not run in float64; on entering, or on running.
        """
        ...

    def perturbed_runner(
        self, noise: Noise, observe: Observer | None = None
    ) -> AbstractContextManager[Runner]:
        """The model with the result of every operator perturbed at random, as if by rounding.

        Each run draws other noise; two runners with the same seed draw the same.

        Raises:
            PReLUToolsError: its operators cannot be perturbed; on entering, or on running.
        """
        ...

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """One PReLU layer by itself: what it makes of an input of its shape (batch free)."""
        ...

    def isolated(self, inputs: Mapping[str, Array], provider: str) -> dict[str, Array]:
        """Run layers in isolation on given inputs, as far as possible.

        Args:
            inputs: by the layer's name.
            provider: what runs an ONNX graph; "" for what is none.

        Raises:
            PReLUToolsError: an input does not fit its layer.
        """
        ...

    def is_unread(self, layer: str, feeds: Mapping[str, Array]) -> bool:
        """Whether no output depends on a layer; False if that is not known.

        Args:
            layer: its name.
            feeds: inputs that reach its slopes.
        """
        ...

    def dependence(self, output: str) -> Dependence | None:
        """What an output depends on; None if that is not known."""
        ...

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """The model as an ONNX graph, of the opset that is wanted or the nearest one below.

        Raises:
            PReLUToolsError: it cannot be converted; the message says which layer, and why.
        """
        ...

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """Look for inputs that make the inputs of slopes negative.

        Args:
            targets: for each layer's name, over its flat slopes, which are looked for. The caller
                may clear those that a batch has reached: they are not looked for any more.
            start: a batch of inputs to start from.
            limits: where to stop.

        Yields:
            Batches that may reach some of them; whether they do is for the caller to see.
        """
        ...


class Searchable(Protocol):
    """A source whose tensors can all be observed as it runs."""

    @property
    def has_bodies(self) -> bool:
        """Whether an If, Loop or Scan holds a graph that cannot be observed."""
        ...

    def makers(self) -> dict[str, Maker]:
        """The floating tensors of the main graph (functions inlined), and what makes them."""
        ...

    def every(
        self, provider: str, names: Sequence[str], feeds: Mapping[str, Array]
    ) -> Iterator[tuple[str, Array]]:
        """Tensors of the main graph (functions inlined), a few at a time.

        Raises:
            PReLUToolsError: see `session`.
        """
        ...


class OnnxGraph(Source, Searchable, Protocol):
    """A source that is an ONNX graph: any tensor of it can be seen, on any execution provider."""

    @property
    def path(self) -> Path:
        """Its file."""
        ...

    @property
    def model(self) -> OnnxModel:
        """The graph; its weights may be in its file still."""
        ...

    @property
    def options(self) -> SourceOptions:
        """How the user wants it to be read."""
        ...

    @property
    def located(self) -> tuple[LocatedLayer, ...]:
        """The layers, and where they are in the graph, whose functions are inlined for that."""
        ...

    def meaning(self) -> Meaning | None:
        """What a quantized graph means in floating point; None for one that is not quantized.

        Raises:
            PReLUToolsError: it is quantized in a way that is not known here.
        """
        ...

    def session(self, provider: str) -> PlacedRunner:
        """The file as it is on an execution provider.

        Raises:
            PReLUToolsError: the provider is not available, or does not load it.
        """
        ...

    @property
    def can_be_watched(self) -> bool:
        """Whether there are layers that can be looked at as they run (see `tapped`)."""
        ...

    def tapped(self, provider: str) -> LayerWatch:
        """Its layers on an execution provider, except those in bodies that cannot be observed.

        Raises:
            PReLUToolsError: there are none; or see `session`.
        """
        ...

    def tensors(
        self, provider: str, names: Sequence[str], feeds: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The same in one run; inputs are taken from the feeds.

        Raises:
            PReLUToolsError: see `session`.
        """
        ...


class Backend(Protocol):
    """A module of this package that takes the live models of one framework."""

    def from_object(
        self, model: object, label: str, weights: Path | None, options: SourceOptions
    ) -> Source:
        """Take a live model."""
        ...
