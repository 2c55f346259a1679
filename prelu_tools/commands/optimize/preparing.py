"""What the steps of an optimization share: the repaired source, its layers, and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from prelu_tools.backends.onnxruntime.repaired import RepairedModel, repaired_model
from prelu_tools.backends.onnxruntime.running.racing import Run, open_run, runtime_version
from prelu_tools.backends.onnxruntime.running.tapped import taps_of
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.optimize.rewritable import RewritableLayer, rewritable_layers
from prelu_tools.commands.optimize.timed_inputs import TimedInputs, draw_inputs
from prelu_tools.commands.optimize.tuning import Bench
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.process.progress import ProgressCallback
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.finish import check_slopes
from prelu_tools.graph.passes.lowering import lowerable
from prelu_tools.graph.passes.portable import to_portable
from prelu_tools.graph.passes.prune import overridable


@dataclass(frozen=True)
class Work:
    """What the steps share."""

    request: OptimizeRequest
    source: OnnxGraph
    repaired: RepairedModel
    """The source with its slopes where they belong."""
    portable: OnnxModel
    """The same with every PReLU as a PRelu node."""
    had: Mapping[str, str]
    """The form that each layer had, by its name."""
    inputs: TimedInputs
    layers: tuple[RewritableLayer, ...]
    progress: ProgressCallback
    inside: tuple[str, ...] = ()
    """The layers that are only in bodies that cannot be observed, such as that of a Scan."""

    @property
    def feeds(self) -> list[Feeds]:
        """Inputs; the first is timed."""
        return self.inputs.feeds

    @property
    def bench(self) -> Bench:
        """Opens the model in other forms, and times it on the first inputs."""
        return Bench(self.portable, self.feeds[0], self.request.threads, DEFAULT_SEED)

    def original(self) -> Run:
        """The file as it is, loaded; the one with PRelu nodes where its slopes were repaired."""
        model = self.portable if self.repaired.reference else self.source.model
        return open_run(model, self.request.threads, self.source.label)


def prepare(source: Source, request: OptimizeRequest, progress: ProgressCallback) -> Work:
    """Read the source, run it, and find the layers that can be rewritten.

    Raises:
        UsageError: it is not an ONNX file.
        PReLUToolsError: it has no PReLU that can be rewritten, or its slopes have to be repaired.
    """
    graph = source.graph
    if graph is None:
        raise no_graph(request.source)
    refuse_ignored_options([source], request)
    repaired = repaired_model(graph, request.slope_axis)
    if repaired.repairs and not request.repair_slopes:
        first, n = repaired.repairs[0], len(repaired.repairs)
        more = f" (as do {n - 1} others)" if n > 1 else ""
        raise PReLUToolsError(
            f"{first.node} has a slope of shape {list(first.before)} that belongs on axis "
            f"{first.axis}: {first.reason}{more}; --repair-slopes moves it there"
        )
    portable = to_portable(repaired.model, hidden=request.target != "onnxruntime-cpu")
    portable.take_in()  # slopes
    check_slopes(portable, "optimized")
    progress("running the model")
    inputs = draw_inputs(graph, portable, request)
    feeds = inputs.feeds
    layers = rewritable_layers(portable, feeds[0], request.exact, runtime_version())
    inside = [i.layer.name for i in graph.located if not taps_of([i])]
    if not layers and inside:
        raise PReLUToolsError(
            f"every PReLU of {request.source} is in the body of a Scan, or of an opset before 13 "
            f"({', '.join(inside)}); these are left unchanged: there is nothing to optimize"
        )
    if not layers:
        raise PReLUToolsError(
            f"found no PReLU in {request.source}: there is nothing to optimize (prelu-tools "
            "inspect -v lists nodes that resemble one)"
        )
    layers = _with_inputs_kept(portable, graph, layers)
    had = {layer.name: layer.form for layer in read_layers(repaired.model)}
    return Work(request, graph, repaired, portable, had, inputs, layers, progress, tuple(inside))


def no_graph(source: str) -> UsageError:
    """The error for a source that is not an ONNX file."""
    return UsageError(
        f"{source} is not an ONNX file: export it first (prelu-tools export {source} -o model.onnx)"
    )


def _with_inputs_kept(
    portable: OnnxModel, source: OnnxGraph, layers: tuple[RewritableLayer, ...]
) -> tuple[RewritableLayer, ...]:
    """The layers; those whose slopes a caller may override stay PRelu nodes."""
    wanted = overridable(source.model.proto)
    kept = {
        item.layer.name
        for item in lowerable(portable)
        for match in item.matches
        if match.node.input[1] in wanted
    }
    return tuple(replace(x, forms=("prelu",)) if x.name in kept else x for x in layers)
