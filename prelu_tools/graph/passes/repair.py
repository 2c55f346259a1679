"""Find slopes on the wrong axis, and move them to the axis that the channel count shows.

Since opset 7 a slope is broadcast by numpy's rule, so that one of shape `[C]` belongs to the last
axis (https://onnx.ai/onnx/operators/onnx__PRelu.html). Exporters that mean the channels write it
anyway: MXNet's ArcFace files do (onnx/models#91, onnxruntime#3205). Before opset 7 there was no
such rule: `[C]` meant the channels.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption
from prelu_tools.core.prelu.slopes import Shape, broadcasts
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.natives import with_shapes
from prelu_tools.graph.passes.opset import inline_functions
from prelu_tools.graph.passes.prune import prune_model, unlist_weights
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView, all_views, nested_views
from prelu_tools.graph.walk import inner_names

_LAID = "/laid:"  # between a slope's name and its new shape
_BROADCASTING = 7  # the first opset in which a slope is laid over the input by numpy's rule


@dataclass(frozen=True)
class Repair:
    """One PRelu node whose slope was moved to another axis."""

    node: str
    """The node's name, or that of its output where it has none."""
    output: str
    """The tensor that it makes."""
    before: tuple[int, ...]
    """The slope's shape in the file."""
    after: tuple[int, ...]
    """The shape that it has now."""
    axis: int
    """The axis of the node's input that it belongs to, from 0."""
    reason: str
    """Why that one, in words."""

    def __str__(self) -> str:
        """One sentence."""
        return (
            f"{self.node}: its slope of shape {list(self.before)} was moved to axis {self.axis} "
            f"as {list(self.after)}: {self.reason}"
        )


def repair_slopes(
    model: OnnxModel, axis: int | None = None, inputs: tuple[InputOption, ...] = ()
) -> tuple[Repair, ...]:
    """Lay every slope along the axis that it belongs to, in place; local functions are inlined.

    Args:
        model: the model; its slopes become their own initializers where they change.
        axis: where a slope has two readings, the axis of the node's input that is meant (1: the
            channels of NCHW, -1: the last); None to reject it. It is not used if there is no doubt.
        inputs: sizes for dynamic axes, which may determine the channels.

    Returns:
        What was changed; () for a model that was right.

    Raises:
        PReLUToolsError: a slope has two readings, or none.
    """
    proto = model.proto
    unlist_weights(proto)
    inline_functions(model)
    types = list(all_views(replace(model, proto=with_sizes(proto, inputs))))
    views = list(nested_views(GraphView(model)))
    repairs: list[Repair] = []
    for view, typed in zip(views, types, strict=True):
        for node in [n for n in view.graph.node if n.op_type == "PRelu"]:
            slopes = read_constant(view, node.input[1]) if view.maker(node.output[0]) else None
            if slopes is None:
                continue
            site = _Site(node, slopes.values, typed.shape(node.input[0]), model.opset)
            repair = site.repair(axis)
            if repair is not None:
                node.input[1] = _lay(views[0], node.input[1], slopes.values, repair)
                repairs.append(repair)
    prune_model(model)
    _keep_names(proto.graph)
    return tuple(repairs)


def with_sizes(proto: onnx.ModelProto, inputs: tuple[InputOption, ...]) -> onnx.ModelProto:
    """A copy of a model whose inputs have the sizes that the user gave."""
    given = {option.name: option.shape for option in inputs}
    return with_shapes(proto, given) if given else deepcopy(proto)


def _lay(main: GraphView, slope: str, values: Array, repair: Repair) -> str:
    """The initializer of a slope in its new shape: one for all the nodes that share it."""
    name = f"{slope}{_LAID}{'x'.join(map(str, repair.after))}"
    if name not in main.initializers:
        tensor = main.model.tensor(name, values.reshape(repair.after))
        main.graph.initializer.append(tensor)
        main.initializers[name] = main.graph.initializer[-1]
    return name


def _keep_names(graph: onnx.GraphProto) -> None:
    """Give slopes in their new shape the old names, where these have become free."""
    taken = {tensor.name for tensor in graph.initializer} | inner_names(graph)
    taken.update(name for node in graph.node for name in node.output)
    taken.update(value.name for value in graph.input)
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        old, laid, _ = tensor.name.partition(_LAID)
        if laid and old not in taken:
            names[tensor.name] = old
            taken.add(old)
    rename_values(graph, names)


@dataclass(frozen=True)
class _Site:
    """A PRelu node with a constant slope."""

    node: onnx.NodeProto
    slopes: Array
    shape: Shape | None
    opset: int

    def repair(self, axis: int | None) -> Repair | None:
        """The repair of its slope; None for none."""
        size, found = self.slopes.size, self.slopes.shape
        rank = None if self.shape is None else len(self.shape)
        if size == 1 or max(found) != size or (rank is not None and rank < 3):
            return None
        if self.shape is None:
            return self._without_shape(axis)
        if self.opset < _BROADCASTING:
            if len(found) != 1:
                return None
            if self.shape[1] not in (None, size):
                raise self._fits_nowhere()
            return self._along(1, f"opset {self.opset} applies it to the channels")
        if len(found) > 1 and broadcasts(found, self.shape):
            return None
        fitting = [i for i in (1, -1) if self.shape[i] == size]
        if fitting == [-1]:
            return None  # right by the rule
        if fitting == [1]:
            known = f"{size} is the number of channels, but not the size of the last axis"
            return self._along(1, known)
        return self._in_doubt(self.shape, axis)

    def _in_doubt(self, shape: Shape, axis: int | None) -> Repair | None:
        """Channels and last axis are of one size, or of none that is known."""
        size, rank = self.slopes.size, len(shape)
        fitting = [i for i in (1, rank - 1) if shape[i] in (None, size)]
        if not fitting:
            raise self._fits_nowhere()
        if axis is None:
            raise PReLUToolsError(
                f"{self._words()} is ambiguous: onnxruntime applies it to the last axis, "
                "OpenVINO to the channels; choose one: --slope-axis 1 (the channels) or "
                "--slope-axis -1 (the last axis); with optimize, together with --repair-slopes"
            )
        if not -rank <= axis < rank or shape[axis] not in (None, size):
            raise UsageError(
                f"--slope-axis {axis}: {self._words()} does not fit there; expected one of "
                f"{', '.join(map(str, fitting))}"
            )
        axis %= rank
        return None if axis == rank - 1 else self._along(axis, "as --slope-axis says")

    def _without_shape(self, axis: int | None) -> Repair | None:
        """Nothing is known of the input: not even whether it has channels after a batch."""
        if len(self.slopes.shape) > 1 or (axis == -1 and self.opset >= _BROADCASTING):
            return None
        raise PReLUToolsError(
            f"{self._words()} may belong to any axis, because the shape of its input is not known: "
            "give the sizes of the model's inputs (--input x:1,3,112,112), or --slope-axis -1 if "
            "the last axis is meant"
        )

    def _along(self, axis: int, reason: str) -> Repair:
        rank = len(self.shape or ())
        after = (self.slopes.size, *[1] * (rank - 1 - axis))
        name = self.node.name or self.node.output[0]
        return Repair(name, self.node.output[0], self.slopes.shape, after, axis, reason)

    def _fits_nowhere(self) -> PReLUToolsError:
        return PReLUToolsError(
            f"{self._words()} fits neither the channels nor the last axis: no runtime can run the "
            "model; export it again from its source"
        )

    def _words(self) -> str:
        sizes = "unknown" if self.shape is None else ", ".join(str(n or "?") for n in self.shape)
        name = self.node.name or self.node.output[0]
        return f"{name}: a slope of shape {list(self.slopes.shape)} on an input of [{sizes}]"
