"""Write a quantized graph in floating point, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.quantized.codes import Codes
from prelu_tools.graph.quantized.operators import is_quantizing
from prelu_tools.graph.quantized.steps import demand_whole_codes
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import OWN, all_nodes, attribute_of, free_name, needed, reads

MICROSOFT: Final = "com.microsoft"
PICKING: Final = frozenset(
    {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "MaxPool", "Slice",
     "Gather", "Expand", "DepthToSpace", "SpaceToDepth", "Tile", "Split"}
)  # fmt: skip
"""Operators that only move codes, or pick some of them: they mean the same for the real numbers."""
_COMPARING: Final = frozenset({"Max", "Min", "Concat"})

Rule: TypeAlias = "Callable[[FloatWriter, onnx.NodeProto], None]"
"""Writes one node in floating point."""


@dataclass
class FloatWriter:
    """Writes the nodes of the floating-point model, one after the other."""

    model: OnnxModel
    """The model: a copy, which is written over."""
    rules: Mapping[tuple[str, str], Rule]
    """How to write each operator that knows of codes, by its domain and name."""
    codes: dict[str, Codes] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.view = GraphView(self.model)
        self._graph = self.model.proto.graph
        self._used = needed(self._graph)
        self._nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._taken = {name for node in self._graph.node for name in [*node.input, *node.output]}
        self._taken |= {tensor.name for tensor in self._graph.initializer}
        self._constants = {
            name for node in self._graph.node for name in node.output if self.view.is_constant(name)
        }

    def write(self) -> None:
        """Every node, in the order of the graph."""
        for node in self.view.ordered:
            if not self._used.intersection(node.output):
                continue
            self._write(node)
        graph = self._graph
        del graph.node[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self.tensors)
        kept = [value for value in graph.value_info if value.name not in self.codes]
        del graph.value_info[:]
        graph.value_info.extend(kept)
        inside = next((v.name for v in graph.output if v.name in self.codes), None)
        if inside is not None:
            raise PReLUToolsError(f"output {inside!r} of the model is integer codes")

    def _write(self, node: onnx.NodeProto) -> None:
        if all(name in self._constants for name in node.output if name):
            self._nodes.append(node)
            if node.op_type == "DequantizeLinear":
                stored = values_of(self.view, node.input[0])
                if stored is not None:
                    kind = helper.np_dtype_to_tensor_dtype(stored.dtype)
                    demand_whole_codes(kind, f"node {node.name or node.output[0]!r}")
                self.weights.append(node.output[0])
                self.kinds.add("weights only")
            return
        rule = self.rules.get((node.domain if node.domain == MICROSOFT else "", node.op_type))
        if rule is not None:
            self._follow(rule, node)
        elif any(map(is_quantizing, all_nodes([node]))):
            raise PReLUToolsError(
                f"node {node.name or node.output[0]!r} ({node.op_type}) is quantized, or "
                "contains quantized nodes, in a way that is not supported"
            )
        elif any(name in self.codes for name in reads(node)):
            self._pass_on(node)
        else:
            self._nodes.append(node)

    def _follow(self, rule: Rule, node: onnx.NodeProto) -> None:
        try:
            rule(self, node)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise PReLUToolsError(
                f"node {node.name or node.output[0]!r} ({node.op_type}) cannot be interpreted: "
                f"{error}"
            ) from error

    def constant(self, name: str) -> Array:
        """The values of a constant that a quantizing node has."""
        values = values_of(self.view, name)
        if values is None:
            raise PReLUToolsError(f"the scale or zero point {name!r} is computed as the model runs")
        return values

    def stated(self, scale: str, zero: str, node: onnx.NodeProto) -> Codes:
        """The parameters of the codes that a node reads or writes."""
        values = self.constant(scale)
        kind = attribute_of(node, "output_dtype")
        wanted = helper.tensor_dtype_to_np_dtype(kind) if kind else np.uint8
        point = self.constant(zero) if zero else np.zeros(values.shape, wanted)
        where = f"node {node.name or node.output[0]!r} ({node.op_type})"
        if not (np.isfinite(values) & (values > 0)).all():
            raise PReLUToolsError(f"{where} has a scale that is not a positive number")
        if values.ndim > 1 or attribute_of(node, "block_size"):
            raise PReLUToolsError(f"{where} quantizes an activation in blocks")
        demand_whole_codes(helper.np_dtype_to_tensor_dtype(point.dtype), where)
        return Codes(values, point, int(attribute_of(node, "axis", 1)))

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """One node; the tensor that it makes."""
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def tensor(self, values: Array, name: str) -> str:
        """A constant of its own."""
        found = self.fresh(name)
        self.tensors.append(numpy_helper.from_array(np.asarray(values), found))
        return found

    def fresh(self, name: str) -> str:
        """A name that is free."""
        return free_name(name, self._taken)

    def reals(self, name: str, codes: Codes) -> str:
        """The tensor of the real numbers that a node reads, as it understands the codes."""
        made = self.codes.get(name)
        if made is None:
            raise PReLUToolsError(f"the codes {name!r} come from outside the model")
        if made.same(codes):
            return name
        if max(made.scale.size, codes.scale.size) > 1:
            raise PReLUToolsError(f"the codes of {name!r} are read with scales of another shape")
        ratio = codes.scale.item() / made.scale.item()
        shift = (float(made.zero.item()) - float(codes.zero.item())) * codes.scale.item()
        factor = self.tensor(np.asarray(ratio, np.float32), f"{name}/ratio")
        offset = self.tensor(np.asarray(shift, np.float32), f"{name}/shift")
        scaled = self.add("Mul", [name, factor], self.fresh(f"{name}/rescaled"))
        return self.add("Add", [scaled, offset], self.fresh(f"{name}/shifted"))

    def weight(self, name: str, codes: Codes, axis: int) -> str:
        """A stored weight, dequantized."""
        output = self.fresh(f"{name}/dequantized")
        scale = self.tensor(np.asarray(codes.scale), f"{name}/scale")
        zero = self.tensor(np.asarray(codes.zero), f"{name}/zero")
        self.add("DequantizeLinear", [name, scale, zero], output, axis=axis)
        self.weights.append(output)
        return output

    def operand(self, name: str, codes: Codes, axis: int = 1) -> str:
        """The input of an operator on codes, an activation or a stored weight, as real numbers."""
        if self.view.is_constant(name):
            return self.weight(name, codes, axis)
        return self.reals(name, codes)

    def give(self, made: str, output: str, codes: Codes) -> None:
        """The real numbers that a tensor of codes stands for: cut off where the codes end at 0."""
        low, high = codes.ends
        self.codes[output] = codes
        self.rounded.append(output)
        if low == 0:
            self.add("Relu", [made], output)
        elif high == 0:
            self.add("Min", [made, self.tensor(np.zeros((), np.float32), f"{output}/zero")], output)
        else:
            self.add("Identity", [made], output)

    def _pass_on(self, node: onnx.NodeProto) -> None:
        """An operator of no rule that reads codes: one that only moves them is right as it is."""
        held = [self.codes[name] for name in node.input if name in self.codes]
        if node.domain not in OWN or node.op_type not in PICKING | _COMPARING:
            raise PReLUToolsError(
                f"node {node.name or node.output[0]!r} ({node.op_type}) works on integer codes "
                "in a way that is not supported"
            )
        self.codes.update(dict.fromkeys(node.output, held[0]))
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for place, name in enumerate(node.input):  # codes of other scales are compared as they are
            if name in self.codes:
                copy.input[place] = self.reals(name, held[0])
            elif node.op_type in _COMPARING:
                copy.input[place] = self.tensor(held[0].reals(self.constant(name)), f"{name}/real")
        self._nodes.append(copy)
