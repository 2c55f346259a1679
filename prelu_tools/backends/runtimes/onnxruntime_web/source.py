"""An ONNX file as a source that onnxruntime-web runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np
import onnx

from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.runtimes.onnxruntime_web.installed import installed
from prelu_tools.backends.runtimes.onnxruntime_web.process import NodeProcess, Session
from prelu_tools.backends.runtimes.source import Loaded, RuntimeSource
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.results.verification.candidate import ProviderReport
from prelu_tools.graph.copies.instrument import element_type, single_layers, tapped
from prelu_tools.graph.match.layers import LocatedLayer


class WebSource(RuntimeSource):
    """Run in node by the WebAssembly build, with one thread, as the file is.

    Where layers are looked at, their tensors are outputs of a copy of the graph.
    """

    framework = "onnxruntime-web"

    def __init__(self, graph: OnnxGraph) -> None:
        """Take a file that was read; node is started when something is run.

        Raises:
            PReLUToolsError: node or onnxruntime-web is not installed.
        """
        self._found = installed("for --runtime onnxruntime-web")
        self._graph = graph
        located = graph.located
        inlined = located[0].calls[0][0].model if located else graph.model
        super().__init__(graph.label, inlined, graph.inputs())
        self._process = NodeProcess(self._found)
        weakref.finalize(self, self._process.close)

    @cached_property
    def located(self) -> tuple[LocatedLayer, ...]:
        """As the file has them."""
        return self._graph.located

    @property
    def computes_in(self) -> str | None:
        """See `Source.computes_in`: by the graph."""
        return self._graph.computes_in

    @property
    def has_bodies(self) -> bool:
        """See `Searchable.has_bodies`."""
        return self._graph.has_bodies

    @property
    def runtime(self) -> ProviderReport:
        """See `Source.runtime`."""
        ran = f"onnxruntime-web {self._found.version}, wasm, node {self._found.node_version}"
        return ProviderReport(self.framework, (ran,), ())

    def is_unread(self, layer: str, feeds: Mapping[str, Array]) -> bool:
        """See `Source.is_unread`."""
        return self._graph.is_unread(layer, feeds)

    def shows(self, _tensor: str) -> bool:
        """See `RuntimeSource.shows`: every one."""
        return True

    @contextmanager
    def loaded(self, names: Sequence[str]) -> Iterator[Loaded]:
        """See `RuntimeSource.loaded`: without names the file as it is."""
        outputs = [value.name for value in self._graph.model.proto.graph.output]
        fed = {spec.name for spec in self.inputs()}
        inside = [name for name in dict.fromkeys(names) if name not in fed]
        if not outputs:
            raise PReLUToolsError(f"{self.label} has no outputs: nothing can be compared")
        proto = tapped(self.model.inlined(), inside) if inside else self._graph.model.inlined()
        with self._process.session(_bytes(proto, self.label), self.label) as session:
            yield _Loaded(session, outputs, inside)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the node's own form in its own model."""
        view, match = self.placed_call(layer)
        kind = onnx.helper.tensor_dtype_to_np_dtype(element_type(view, match))
        model = replace(view.model, proto=single_layers([("layer", view, match)]))
        alone = _bytes(model.inlined(), layer)

        def run(values: Array) -> Array:
            with self._process.session(alone, f"{layer} alone") as session:
                found = session.run({"layer/x": values.astype(kind)}, ["layer/y"])["layer/y"]
            with np.errstate(over="ignore", under="ignore"):
                found = found.astype(values.dtype)
            return found if match.order is None else found.transpose(inverse(match.order))

        return run


class _Loaded:
    """A session with the outputs that are wanted."""

    def __init__(self, session: Session, outputs: Sequence[str], inside: Sequence[str]) -> None:
        self._session = session
        self._outputs = outputs
        self._inside = inside

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Loaded.run`."""
        names = list(dict.fromkeys([*self._outputs, *self._inside]))
        found = self._session.run(feeds, names)
        return {name: found[name] for name in self._outputs}, {**feeds, **found}


def _bytes(proto: onnx.ModelProto, label: str) -> bytes:
    try:
        return proto.SerializeToString()
    except Exception as error:  # protobuf's exceptions have no common class
        raise PReLUToolsError(
            f"{label} has more than 2 GB: onnxruntime-web cannot load it"
        ) from error
