"""A model as one flat TensorFlow graph with its weights as inputs, to convert or to watch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Layout


@dataclass(frozen=True)
class Weight:
    """A variable of the model."""

    tensor: str
    """The placeholder that stands for it."""
    layer: str
    """The layer that owns it."""
    name: str
    """Its own name, its layer's included."""
    shape: tuple[int, ...]
    """Its shape."""
    read: Callable[[], Array]
    """Gives its values."""

    @property
    def n_bytes(self) -> int:
        """The size of its values, four bytes each."""
        return 4 * int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Tap:
    """A call of PReLU in the graph."""

    parameter: str
    """Its slopes' name."""
    x: str
    """The tensor that goes in."""
    y: str
    """The tensor that comes out: of its own Identity (`backends/keras/graphs/marks.py`)."""
    function: str = ""
    """The function of the graph's library that it is in: the body of a loop, or a branch."""
    shape: tuple[int | None, ...] | None = None
    """The shape of its input, as far as it is known."""


def _before(nodes: Mapping[str, Any], tensors: Iterable[str]) -> set[str]:
    """The nodes that tensors depend on, and their own."""
    found: set[str] = set()
    waiting = [node_of(name) for name in tensors]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [node_of(read) for read in nodes[name].input]
    return found


def _part(definition: Any, tensors: Iterable[str]) -> Any:
    """What tensors depend on: nothing else is run, even if it has a state."""
    wanted = _before({node.name: node for node in definition.node}, tensors)
    part = type(definition)(versions=definition.versions, library=definition.library)
    part.node.extend(node for node in definition.node if node.name in wanted)
    for node in part.node:
        node.attr.pop("_class", None)  # a place beside a node that may be gone
    return part


def _spec(placeholder: Any, number: int) -> Any:
    """What a placeholder takes, by a name that no node of a model has."""
    attributes = placeholder.attr
    shape = tf.TensorShape(attributes["shape"].shape) if "shape" in attributes else None
    return tf.TensorSpec(shape, tf.as_dtype(attributes["dtype"].type), f"prelu-tools-{number}")


@dataclass(frozen=True)
class Program:
    """A flat graph; see `backends/keras/graphs/freezing.py`."""

    name: str
    """The model's, for messages."""
    definition: Any
    """A GraphDef without functions that could be inlined."""
    specs: tuple[TensorSpec, ...]
    """The model's inputs."""
    inputs: tuple[str, ...]
    """Their tensors."""
    outputs: Mapping[str, str]
    """The tensors of the model's outputs by their names."""
    weights: tuple[Weight, ...]
    """The variables."""
    taps: tuple[Tap, ...] = ()
    """The calls of PReLU that were seen, in the order in which the model makes them."""
    layout: Layout = "nhwc"
    """The axis order of its inputs."""
    layers: Mapping[str, str] | None = None
    """The layer that each name scope of the graph belongs to."""

    def function(
        self, sources: Sequence[str], fetches: Sequence[str], definition: Any | None = None
    ) -> Any:
        """A function from tensors of the graph, and from all weights, to tensors of the graph."""
        whole = self.definition if definition is None else definition
        nodes = {node.name: node for node in whole.node}
        used = _part(whole, fetches)
        names = [*sources, *(weight.tensor for weight in self.weights)]
        specs = [_spec(nodes[node_of(name)], number) for number, name in enumerate(names)]
        kept = {node.name for node in used.node}

        def run(*given: Any) -> Any:
            pairs = zip(names, given, strict=True)
            mapped = {name: value for name, value in pairs if node_of(name) in kept}
            return tf.import_graph_def(used, mapped, fetches, name="")

        return tf.compat.v1.wrap_function(run, specs)

    def with_constants(self, values: Mapping[str, Array]) -> Any:
        """The definition with constants in the place of placeholders, by their tensors' names."""
        definition = tf.compat.v1.GraphDef()
        definition.CopyFrom(self.definition)
        nodes = {node_of(tensor): array for tensor, array in values.items()}
        for node in definition.node:
            if node.name in nodes:
                make_constant(node, nodes[node.name])
        return definition

    def is_used(self, tap: Tap) -> bool:
        """Whether an output depends on a call; of those in functions it is taken to be so."""
        return bool(tap.function) or node_of(tap.y) in self.read

    @cached_property
    def read(self) -> set[str]:
        """The nodes that an output depends on; of a body, which names no outputs, all nodes."""
        if not self.outputs:
            return set(self.nodes)
        return _before(self.nodes, self.outputs.values())

    @property
    def open_taps(self) -> tuple[Tap, ...]:
        """The taps whose tensors can be fetched: none in a function."""
        return tuple(tap for tap in self.taps if not tap.function)

    @cached_property
    def imported(self) -> Any:
        """A graph of TensorFlow's own that knows the functions of this one."""
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(self.definition, name="")
        return graph

    def value_of(self, tensor: str) -> Array:
        """What a tensor is that depends on weights and on numbers of the code alone."""
        name = tensor if ":" in tensor else f"{tensor}:0"
        (found,) = self.function([], [name])(*self.tensors([]))
        return np.asarray(found)

    def shape_of(self, tensor: str) -> Any:
        """The shape of a tensor, as TensorFlow's message; None if nothing is known of it."""
        _, _, port = tensor.partition(":")
        shapes = self.nodes[node_of(tensor)].attr["_output_shapes"].list.shape
        return shapes[int(port or 0)] if len(shapes) > int(port or 0) else None

    @cached_property
    def nodes(self) -> dict[str, Any]:
        """The nodes of the graph by their names."""
        return {node.name: node for node in self.definition.node}

    @cached_property
    def users(self) -> dict[str, list[Any]]:
        """The nodes that read each node, by its name."""
        found: dict[str, list[Any]] = {}
        for node in self.definition.node:
            for name in node.input:
                found.setdefault(node_of(name), []).append(node)
        return found

    def tensors(self, values: Sequence[Array]) -> list[Any]:
        """Arguments for `function`: these values, and the weights."""
        return [tf.constant(v) for v in (*values, *(weight.read() for weight in self.weights))]

    def origin(self, tensor: str) -> str:
        """The tensor that this one is, past all Identity."""
        node = self.nodes.get(node_of(tensor))
        while node is not None and node.op == "Identity":
            tensor = node.input[0]
            node = self.nodes.get(node_of(tensor))
        return tensor if ":" in tensor else f"{tensor}:0"

    def layer_of(self, name: str) -> str | None:
        """The layer that a node of this name belongs to."""
        scope = name
        while scope:
            scope = scope.rpartition("/")[0]
            if scope in (self.layers or {}):
                return (self.layers or {})[scope]
        return None


def node_of(tensor: str) -> str:
    """The node that makes a tensor, or that is waited for."""
    return tensor.lstrip("^").partition(":")[0]


def calls_of(node: Any) -> list[Any]:
    """The functions of the library that a node calls: bodies of loops and branches."""
    return [f for value in node.attr.values() for f in (value.func, *value.list.func) if f.name]


def holders(definition: Any) -> dict[str, Any]:
    """The nodes of a GraphDef, as "", and those of each function of its library."""
    functions = definition.library.function
    return {"": definition.node, **{f.signature.name: f.node_def for f in functions}}


def rename_functions(definition: Any, suffix: str) -> None:
    """Give the functions of a GraphDef other names, in place.

    TensorFlow identifies functions by name alone.
    """
    names = {f.signature.name: f"{f.signature.name}{suffix}" for f in definition.library.function}
    for function in definition.library.function:
        function.signature.name = names[function.signature.name]
    for nodes in holders(definition).values():
        for node in nodes:
            node.op = names.get(node.op, node.op)
            for called in calls_of(node):
                called.name = names.get(called.name, called.name)


def make_constant(node: Any, values: Array) -> None:
    """Make a constant of a node of a GraphDef, in place."""
    shapes = [a for key, a in node.attr.items() if key == "_output_shapes"]
    kept = [type(a).FromString(a.SerializeToString()) for a in shapes]
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = tf.as_dtype(values.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
    for attribute in kept:
        node.attr["_output_shapes"].CopyFrom(attribute)


def make_placeholder(node: Any) -> None:
    """Make a placeholder of a constant of a GraphDef, or of a Cast of one, in place."""
    tensor = node.attr["value"].tensor
    kind, shape = tensor.dtype or node.attr["DstT"].type, tensor.tensor_shape
    if node.op != "Const":
        shape.unknown_rank = True
    node.op = "Placeholder"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = kind
    node.attr["shape"].shape.CopyFrom(shape)
    node.attr["_output_shapes"].list.shape.add().CopyFrom(shape)
