"""A graph as the recogniser needs it: producers, users and constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import onnx

from prelu_tools.core.files.budget import Budget
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.inputs import is_known
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.natives import inferred, inlined
from prelu_tools.graph.walk import bodies, in_order, is_onnx, own_names

_TYPES = frozenset(onnx.TensorProto.DataType.values())
_MOST_AXES = 64  # numpy's limit; no runtime has more
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
_NOT_FIXED = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike",
              "Multinomial", "Bernoulli", "Dropout")  # fmt: skip
_READ_ONCE = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "MaxPool",
              "InstanceNormalization", "LayerNormalization", "AveragePool")  # fmt: skip


Value = TypeVar("Value")


class _Scoped(MutableMapping[str, Value]):
    """The tensor that a name means in a body: its own, or one of the graph around it.

    A name that the body has for anything else hides the one outside.
    """

    def __init__(
        self, own: MutableMapping[str, Value], outer: Mapping[str, Value], hidden: set[str]
    ) -> None:
        self._own, self._outer, self._hidden = own, outer, hidden

    def __getitem__(self, name: str) -> Value:
        if name in self._own:
            return self._own[name]
        if name in self._hidden:
            raise KeyError(name)
        return self._outer[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self._own[name] = value
        self._hidden.add(name)

    def __delitem__(self, name: str) -> None:
        del self._own[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._outer if name not in self._hidden)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class GraphView:
    """Look-ups over one graph of a model, and over the graphs around it."""

    def __init__(
        self,
        model: OnnxModel,
        graph: onnx.GraphProto | None = None,
        outer: GraphView | None = None,
        typed: bool = False,
        owned: bool = False,
        invariants: Mapping[str, str] | None = None,
    ) -> None:
        """Index a graph.

        Args:
            model: the model that the graph is in.
            graph: None for the model's main graph.
            outer: the view of the graph around it: a body may read its tensors.
            typed: whether shape inference has run on the model already.
            owned: whether the model is a copy that only the recogniser changes: what was found of
                it holds, and sums may be put in another order.
            invariants: inputs of a body that are tensors of the graph around it, every time.
        """
        self.model = model
        self.graph = model.proto.graph if graph is None else graph
        self.outer = outer
        self._typed = typed or outer is not None
        self.owned: bool = owned if outer is None else outer.owned
        self._memory: dict[object, Any] = {}
        own = {name: node for node in self.graph.node for name in node.output if name}
        tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        inputs = {value.name for value in self.graph.input}
        if outer is not None:  # the outputs of the node around it exist, whatever is stored
            tensors = {name: tensor for name, tensor in tensors.items() if name not in inputs}
        self.producer: MutableMapping[str, onnx.NodeProto] = own
        self.initializers: MutableMapping[str, onnx.TensorProto] = tensors
        self.inputs = inputs - set(tensors)
        self.invariants: Mapping[str, str] = invariants or {}
        self._hidden = own_names(self.graph)
        if outer is not None:
            self.producer = _Scoped(own, outer.producer, self._hidden)
            self.initializers = _Scoped(tensors, outer.initializers, self._hidden)

    @cached_property
    def budget(self) -> Budget:
        """The budget for analysing this model, shared by all of its graphs."""
        return self.outer.budget if self.outer is not None else Budget(self.model.n_bytes)

    def remembered(self, make: Callable[[GraphView], Value]) -> Value:
        """Cached results of this view, if nothing else will change the model."""
        if not self.owned:
            return make(self)
        if make not in self._memory:
            self._memory[make] = make(self)
        found: Value = self._memory[make]
        return found

    def home(self, tensor: str) -> tuple[GraphView, str]:
        """The graph that a tensor of this one is from, and its name there."""
        if self.outer is None or (tensor in self._hidden and tensor not in self.invariants):
            return self, tensor
        return self.outer.home(self.invariants.get(tensor, tensor))

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor depends on constants only, by the operators that lead to it."""
        if self.outer is None:
            return tensor in self.initializers or tensor in self._constants
        home, place = self.home(tensor)
        return place in home.initializers or place in home._constants

    def add_before(self, node: onnx.NodeProto, new: onnx.NodeProto) -> onnx.NodeProto:
        """Put a node of one output, of the type of another's output, before that one."""
        place = next(i for i, other in enumerate(self.graph.node) if other is node)
        self.graph.node.insert(place, new)
        added = self.graph.node[place]
        self.assume(added, node)
        return added

    def assume(self, new: onnx.NodeProto, node: onnx.NodeProto) -> None:
        """View a node as if it came before another whose output has the same type."""
        name = new.output[0]
        self.producer[name] = new
        self._hidden.add(name)
        self.places[name] = self.places[node.output[0]]
        kind = self._type(node.output[0])
        if kind is not None:
            self._types[name] = kind

    def maker(self, tensor: str) -> onnx.NodeProto | None:
        """The node that makes a tensor, if it is one of ONNX's own operators."""
        self.budget.step()
        node = self.producer.get(tensor)
        return node if node is not None and is_own(node) else None

    @cached_property
    def ordered(self) -> list[onnx.NodeProto]:
        """The nodes, each after those that it reads from."""
        return in_order(self.graph.node)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place in `ordered` of the node that makes a tensor of this graph."""
        return {name: i for i, node in enumerate(self.ordered) for name in node.output if name}

    @cached_property
    def _constants(self) -> set[str]:
        """The tensors of this graph that nodes compute from constants alone."""
        found: set[str] = set()
        for node in self.ordered:
            fixed = is_own(node) and node.op_type not in _NOT_FIXED
            if not fixed or not (node.input or node.op_type == "Constant") or bodies(node):
                continue
            if all(not i or i in found or self._is_stored(i) for i in node.input):
                found.update(name for name in node.output if name)
        return found

    def _is_stored(self, tensor: str) -> bool:
        """Whether a tensor is an initializer, or a constant of a graph around this one."""
        home, place = self.home(tensor)
        return place in home.initializers or (home is not self and place in home._constants)

    @cached_property
    def uses(self) -> Counter[str]:
        """How often each tensor is used in this graph; as an output of it too."""
        used = Counter(name for node in self.graph.node for name in node.input if name)
        used.update(value.name for value in self.graph.output)
        return used

    @cached_property
    def _types(self) -> dict[str, onnx.TypeProto]:
        graph = self.graph
        if not self._typed:
            graph = inferred(self.model.proto).graph
        values = [*graph.output, *graph.value_info, *graph.input]  # the last one counts
        return {value.name: value.type for value in values}

    def _type(self, tensor: str) -> onnx.TypeProto | None:
        found = self._types.get(tensor)
        if found is not None or self.outer is None or tensor in self._hidden:
            return found
        return self.outer._type(tensor)

    def shape(self, tensor: str) -> Shape | None:
        """The shape that shape inference finds, None for a dynamic size; None if unknown."""
        if tensor in self.initializers:
            return tuple(self.initializers[tensor].dims)
        kind = self._type(tensor)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        if len(dims) > _MOST_AXES:
            return None
        return tuple(d.dim_value if is_known(d) else None for d in dims)

    def element_type(self, tensor: str) -> int | None:
        """The `TensorProto.DataType` of a tensor; None if unknown."""
        if tensor in self.initializers:
            return self.initializers[tensor].data_type
        kind = self._type(tensor)
        found = kind.tensor_type.elem_type if kind is not None else 0
        return found if found in _TYPES and found else None


def is_own(node: onnx.NodeProto) -> bool:
    """Whether a node is one of ONNX's operators, under whatever domain onnxruntime writes it."""
    return is_onnx(node) or (node.domain == "com.microsoft" and node.op_type in _QUANTIZING)


def all_views(model: OnnxModel) -> Iterator[GraphView]:
    """The main graph, and every body of an If, Loop or Scan, outer ones first.

    Local functions are inlined first, so that their nodes have shapes and a place.
    """
    proto = inferred(inlined(model.proto))
    if proto is model.proto:
        proto = deepcopy(proto)
    _read_once(proto.graph)
    copy = replace(model, proto=proto)
    yield from nested_views(GraphView(copy, typed=True, owned=True))


def _read_once(graph: onnx.GraphProto) -> None:
    """Have the result of a layer that is computed again in the same way read from the first.

    In place, except nodes that may be part of a PReLU: two calls on one input stay two.
    """
    first: dict[tuple[str, ...], onnx.NodeProto] = {}
    same: dict[str, str] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in same:
                node.input[place] = same[name]
        for body in bodies(node) if node.attribute else ():
            _read_once(body)
        if node.op_type not in _READ_ONCE or not is_own(node) or _is_by_channel(node):
            continue
        known = first.setdefault((node.op_type, *node.input), node)
        given = [*map(bool, node.output)] == [*map(bool, known.output)]  # none that is left out
        if known is not node and given and known.attribute == node.attribute and not bodies(node):
            same.update(zip(filter(None, node.output), filter(None, known.output), strict=True))


def _is_by_channel(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)


def nested_views(view: GraphView) -> Iterator[GraphView]:
    """A view, and those of the bodies in it, outer ones first."""
    yield view
    for node in view.graph.node:
        for body in bodies(node):
            fixed = _invariants(node, body)
            yield from nested_views(GraphView(view.model, body, view, invariants=fixed))


def _invariants(node: onnx.NodeProto, body: onnx.GraphProto) -> dict[str, str]:
    """The inputs of a loop's body that never change, and their initial values."""
    if node.op_type == "Loop":
        states = list(zip(node.input[2:], body.input[2:], body.output[1:], strict=False))
    elif node.op_type == "Scan":
        n_scanned = sum(a.i for a in node.attribute if a.name == "num_scan_inputs")
        first = node.input[: len(node.input) - n_scanned]
        states = list(zip(first, body.input, body.output, strict=False))
    else:
        return {}
    copies = {n.output[0]: n.input[0] for n in body.node if n.op_type == "Identity"}
    fixed = {}
    for outside, inside, after in states:
        name = after.name
        while name in copies:
            name = copies[name]
        if outside and name == inside.name:
            fixed[inside.name] = outside
    return fixed
