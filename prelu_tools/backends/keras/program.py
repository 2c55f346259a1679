"""A model as one flat TensorFlow graph with its weights as inputs: what is converted, watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.backends.keras.framework import tf
from prelu_tools.core.arrays import Array
from prelu_tools.core.layout import Layout


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
        """Of its values, four each."""
        return 4 * int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Tap:
    """A call of PReLU in the graph."""

    parameter: str
    """Its slopes' name."""
    x: str
    """The tensor that goes in."""
    y: str
    """The tensor that comes out."""


@dataclass(frozen=True)
class Program:
    """A flat graph; see `backends/keras/freezing.py`."""

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
        used = self.definition if definition is None else definition
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(used, name=""), [])
        feeds = [*sources, *(weight.tensor for weight in self.weights)]
        ends = [[wrapped.graph.as_graph_element(n) for n in names] for names in (feeds, fetches)]
        return wrapped.prune(*ends)

    def with_constants(self, values: Mapping[str, Array]) -> Any:
        """The definition with constants in the place of placeholders, by their tensors' names."""
        definition = tf.compat.v1.GraphDef()
        definition.CopyFrom(self.definition)
        nodes = {tensor.partition(":")[0]: array for tensor, array in values.items()}
        for node in definition.node:
            array = nodes.get(node.name)
            if array is None:
                continue
            shapes = [a for key, a in node.attr.items() if key == "_output_shapes"]
            kept = [type(a).FromString(a.SerializeToString()) for a in shapes]
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = tf.as_dtype(array.dtype).as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array))
            for attribute in kept:
                node.attr["_output_shapes"].CopyFrom(attribute)
        return definition

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
                found.setdefault(name.lstrip("^").partition(":")[0], []).append(node)
        return found

    def tensors(self, values: Sequence[Array]) -> list[Any]:
        """Arguments for `function`: these values, and the weights."""
        return [tf.constant(v) for v in (*values, *(weight.read() for weight in self.weights))]

    def origin(self, tensor: str) -> str:
        """The tensor that this one is, past all Identity."""
        node = self.nodes.get(tensor.partition(":")[0])
        while node is not None and node.op == "Identity":
            tensor = node.input[0]
            node = self.nodes.get(tensor.partition(":")[0])
        return tensor if ":" in tensor else f"{tensor}:0"

    def layer_of(self, name: str) -> str | None:
        """The layer that a node of this name belongs to."""
        scope = name
        while scope:
            scope = scope.rpartition("/")[0]
            if scope in (self.layers or {}):
                return (self.layers or {})[scope]
        return None
