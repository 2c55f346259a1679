"""An ONNX file as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prelu_tools.backends.protocol.defaults import GraphDefaults
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.reasons import Reason
from prelu_tools.graph.facts.randomness import TrainingNode, batch_nodes, random_nodes
from prelu_tools.graph.io.inputs import input_of
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.quantized.noticing import located_layers, noticed_meaning
from prelu_tools.graph.view import GraphView, all_views

if TYPE_CHECKING:
    from prelu_tools.backends.onnxruntime.lookups import LookupSession
    from prelu_tools.backends.onnxruntime.running.counting import BodyCounter
    from prelu_tools.backends.onnxruntime.running.session import Session
    from prelu_tools.backends.onnxruntime.running.tapped import TappedSession
    from prelu_tools.backends.protocol.inputs import Lookup, SearchLimits, TensorSpec
    from prelu_tools.backends.protocol.interface import OnnxGraph, Searchable
    from prelu_tools.backends.protocol.runners import Observer, Runner, WideRunner
    from prelu_tools.core.arrays import Array
    from prelu_tools.core.results.verification.decisions import Decision
    from prelu_tools.core.rounding.noise import Noise
    from prelu_tools.graph.facts.tensors import Maker
    from prelu_tools.graph.io.reader import OnnxModel
    from prelu_tools.graph.quantized.meaning import Meaning

# The code that runs models is imported on demand: `inspect` runs none, and has to be fast.


class OnnxSource(GraphDefaults):
    """An ONNX file, to be read and run; `ConvertibleOnnx` can be exported too."""

    framework = "onnx"

    def __init__(self, path: Path, model: OnnxModel, label: str, options: SourceOptions) -> None:
        """Take a model that was read."""
        self.label = label
        self.path = path
        self.model = model
        proto = model.proto
        self.producer = f"{proto.producer_name} {proto.producer_version}".strip()
        self._view = GraphView(model)
        self.options = options
        self._meaning: Meaning | None = None

    @property
    def opset(self) -> int:
        """See `Source.opset`."""
        return self.model.opset

    @property
    def graph(self) -> OnnxGraph:
        """See `Source.graph`."""
        return self

    @property
    def searchable(self) -> Searchable:
        """See `Source.searchable`."""
        return self

    @property
    def notes(self) -> tuple[str, ...]:
        """Nodes that are in training mode: they do not belong in a model that is shipped."""
        return tuple(
            Reason(
                f"{node.text} is in training mode: its result depends on the rest of the batch",
                "batch_statistics",
            )
            for node in batch_nodes(self.model)
        )

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from the graph; `--input` gives sizes to what is dynamic."""
        from prelu_tools.backends.protocol.inputs import one_size_a_name, stated_spec

        given = {option.name: option.shape for option in self.options.inputs}
        found = [input_of(v) for v in self._view.graph.input if v.name in self._view.inputs]
        return one_size_a_name(
            [stated_spec(one.name, one.dtype, one.shape, given.get(one.name)) for one in found]
        )

    def decisions(self, runs: Sequence[Mapping[str, Array]]) -> tuple[Decision, ...]:
        """See `Source.decisions`: the bodies of If, Loop and Scan, counted on the CPU."""
        counter = self._counter
        return () if counter is None else counter.decisions(runs)

    @cached_property
    def _counter(self) -> BodyCounter | None:
        from prelu_tools.backends.onnxruntime.running.counting import counter_of

        return counter_of(self.model, self.label)

    def lookups(self, feeds: Mapping[str, Array]) -> Sequence[Lookup]:
        """See `Source.lookups`: those of a Scan's body are not seen."""
        return self._lookups.find(feeds)

    @cached_property
    def _lookups(self) -> LookupSession:
        from prelu_tools.backends.onnxruntime.lookups import LookupSession

        view = next(view for view in all_views(self.model) if view.outer is None)
        return LookupSession(view, self.label)

    def random_parts(self) -> tuple[TrainingNode, ...]:
        """See `Source.random_parts`: read off the graph, as a runtime may leave them out."""
        return random_nodes(self.model)

    @cached_property
    def located(self) -> tuple[LocatedLayer, ...]:
        """The layers, and where they are in the graph, whose functions are inlined for that.

        Those of a quantized graph are in what it means (`graph/quantized/meaning.py`).
        """
        return located_layers(self.model, lambda _: self.meaning())

    def meaning(self) -> Meaning | None:
        """See `OnnxGraph.meaning`."""
        if self._meaning is None:
            self._meaning = noticed_meaning(self.model)
        return self._meaning

    @cached_property
    def computes_in(self) -> str | None:
        """See `Source.computes_in`: by the graph."""
        from prelu_tools.graph.facts.rounding import computes_in

        model = self.located[0].calls[0][0].model if self.located else self.model
        return computes_in(model.proto)

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """See `Source.runner`: on the CPU."""
        return self.running("cpu", observe)

    @contextmanager
    def running(self, provider: str, observe: Observer | None = None) -> Iterator[OnnxRunner]:
        """The model on an execution provider.

        Raises:
            PReLUToolsError: see `Session`.
        """
        yield OnnxRunner(self, provider, observe)

    def session(self, provider: str) -> Session:
        """The file as it is on an execution provider."""
        from prelu_tools.backends.onnxruntime.running.session import open_session

        return open_session(self.path, self.model, provider, self.label)

    @property
    def can_be_watched(self) -> bool:
        """See `OnnxGraph.can_be_watched`."""
        from prelu_tools.backends.onnxruntime.running.tapped import taps_of

        return bool(taps_of(self.located))

    def tapped(self, provider: str) -> TappedSession:
        """The model on an execution provider, with its PReLU to be looked at.

        Raises:
            PReLUToolsError: there is no PReLU that could be; or see `Session`.
        """
        from prelu_tools.backends.onnxruntime.running.tapped import TappedSession, taps_of

        taps = taps_of(self.located)
        if not taps:
            raise PReLUToolsError(f"{self.label} has no PReLU that can be observed")
        model = self.located[0].calls[0][0].model
        return TappedSession(model, taps, provider, self.label)

    def tensors(
        self, provider: str, names: Sequence[str], feeds: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Tensors from inside the main graph, functions inlined, in one run.

        Raises:
            PReLUToolsError: see `Session`.
        """
        from prelu_tools.backends.onnxruntime.running.session import Session
        from prelu_tools.graph.copies.instrument import tapped

        model = self.located[0].calls[0][0].model
        inputs = {name: feeds[name] for name in names if name in feeds}
        inside = [name for name in names if name not in inputs]
        session = Session(tapped(model.proto, inside), provider, self.label, model.folder)
        return {**inputs, **session.fetch(feeds, inside)}

    @cached_property
    def _main(self) -> GraphView:
        """The main graph with functions inlined, as `located` has it."""
        return next(iter(all_views(self.model)))

    @property
    def has_bodies(self) -> bool:
        """Whether an If, Loop or Scan holds a graph that cannot be observed."""
        from prelu_tools.graph.facts.tensors import has_bodies

        return has_bodies(self._main)

    def makers(self) -> dict[str, Maker]:
        """The floating tensors of the main graph (functions inlined), and what makes them."""
        from prelu_tools.graph.facts.tensors import floating_tensors

        return floating_tensors(self._main)

    def is_unread(self, layer: str, _feeds: Mapping[str, Array]) -> bool:
        """Whether no output depends on any call of a layer."""
        from prelu_tools.graph.facts.tensors import unread

        calls = [call for item in self.located if item.layer.name == layer for call in item.calls]
        return bool(calls) and all(
            view.outer is None and unread(view, match.node.output[0]) for view, match in calls
        )

    def every(
        self, provider: str, names: Sequence[str], feeds: Mapping[str, Array]
    ) -> Iterator[tuple[str, Array]]:
        """Tensors of the main graph, functions inlined, a few at a time.

        Raises:
            PReLUToolsError: see `Session`.
        """
        from prelu_tools.backends.onnxruntime.running.session import Session
        from prelu_tools.core.process.grouping import grouped
        from prelu_tools.graph.copies.instrument import tapped, tensor_bytes

        model = self._main.model
        session = Session(tapped(model.proto, names), provider, self.label, model.folder)
        shapes = {name: array.shape for name, array in feeds.items()}
        for group in grouped(names, tensor_bytes(model.proto, shapes, names)):
            yield from session.fetch(feeds, group).items()

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """Not available: onnxruntime lacks the kernels.

        Raises:
            PReLUToolsError: always.
        """
        raise PReLUToolsError("onnxruntime has no float64 kernels for most operators")

    def isolated(self, inputs: Mapping[str, Array], provider: str) -> dict[str, Array]:
        """See `Source.isolated`: each node's own form."""
        from prelu_tools.backends.onnxruntime.running.single import SingleLayers

        chosen = [item for item in self.located if item.layer.name in inputs]
        if not chosen:
            return {}
        single = SingleLayers(chosen, provider, self.label)
        return single.run({item.layer.name: inputs[item.layer.name] for item in chosen})

    @contextmanager
    def perturbed_runner(self, noise: Noise, observe: Observer | None = None) -> Iterator[Runner]:
        """See `Source.perturbed_runner`: a copy of the graph with noise after its operators."""
        from prelu_tools.backends.onnxruntime.running.perturbed import PerturbedRunner

        yield PerturbedRunner(self.model, self.located, self.label, noise, observe)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the node's own form, on the CPU."""
        from prelu_tools.backends.onnxruntime.running.single import SingleLayers

        item = next((item for item in self.located if item.layer.name == layer), None)
        if item is None:
            raise PReLUToolsError(f"{layer} is not a layer of {self.label}")
        single = SingleLayers([item], "cpu", self.label)
        return lambda x: single.run({layer: x})[layer]

    def seek(
        self, _targets: object, start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: more draws, since onnxruntime gives no gradients."""
        from prelu_tools.backends.probing.seeking import redraw

        return redraw(start, limits)


class OnnxRunner:
    """Runs a file on one execution provider; observed tensors are run separately.

    A large file has one session, not two: the observed one also returns the outputs.
    """

    def __init__(self, source: OnnxSource, provider: str, observe: Observer | None) -> None:
        """Load the model, and once more with taps where somebody observes."""
        from prelu_tools.backends.onnxruntime.running.session import is_large

        watched = observe is not None and source.can_be_watched
        self._observe = observe
        self._tapped = source.tapped(provider) if watched else None
        alone = self._tapped is not None and is_large(source.path, source.model)
        self._session = None if alone else source.session(provider)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        if self._tapped is not None and self._observe is not None:
            self._tapped.run(feeds, self._observe)
            if self._session is None:
                return self._tapped.outputs(feeds)
        if self._session is None:
            raise AssertionError("a runner without a session")
        return self._session.run(feeds)
