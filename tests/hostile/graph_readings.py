"""Graphs that can be read in two ways, drawn from a seed: what onnxruntime makes of them counts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

SIZE = 4
Array = np.ndarray


@dataclass
class Draft:
    """A model in the making; the slopes of each of its tensors are its own, so they can be told."""

    draw: random.Random
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)
    functions: list[onnx.FunctionProto] = field(default_factory=list)
    count: Iterator[int] = field(default_factory=itertools.count)

    def name(self, kind: str) -> str:
        """A name that nothing else has."""
        return f"{kind}{next(self.count)}"

    def values(self, size: int = SIZE) -> Array:
        """Slopes like no others."""
        return np.array([self.draw.randint(1, 4000) / 1024 for _ in range(size)], np.float32)

    def stored(self, values: Array | None = None, name: str | None = None) -> str:
        """The name of an initializer."""
        tensor = numpy_helper.from_array(self.values() if values is None else values)
        tensor.name = name or self.name("a")
        self.tensors.append(tensor)
        return tensor.name

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """The output of a new node."""
        out = self.name("t")
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out


def _constant(draft: Draft) -> str:
    """A Constant of one attribute, or of several."""
    node = helper.make_node("Constant", [], [draft.name("c")])
    for _ in range(draft.draw.choice((1, 1, 2))):
        kind = draft.draw.choice(("value", "value_floats", "value_float"))
        values = draft.values()
        given = {
            "value": numpy_helper.from_array(values),
            "value_floats": values.tolist(),
            "value_float": float(values[0]),
        }[kind]
        node.attribute.append(helper.make_attribute(kind, given))
    if draft.draw.random() < 0.3:
        attribute = node.attribute[0]
        attribute.type = draft.draw.choice((AttributeProto.FLOATS, AttributeProto.TENSOR, 0))
    draft.nodes.append(node)
    return str(node.output[0])


def _tensor_of_two_sets(draft: Draft) -> str:
    tensor = TensorProto(name=draft.name("a"), dims=[SIZE], data_type=TensorProto.FLOAT)
    for _ in range(draft.draw.choice((1, 2))):
        if draft.draw.random() < 0.5:
            tensor.raw_data = draft.values().tobytes()
        else:
            del tensor.float_data[:]
            tensor.float_data.extend(draft.values().tolist())
    if draft.draw.random() < 0.2:
        tensor.int32_data.extend([1, 2, 3, 4])
    if draft.draw.random() < 0.2:
        tensor.data_type = draft.draw.choice((TensorProto.FLOAT16, TensorProto.INT32))
    draft.tensors.append(tensor)
    return tensor.name


def _cast(draft: Draft) -> str:
    scale = draft.draw.choice((1, 100, 1e6))
    source = draft.stored(draft.values() * np.float32(scale))
    kinds = (
        "FLOAT8E4M3FN",
        "FLOAT8E5M2",
        "FLOAT16",
        "BFLOAT16",
        "DOUBLE",
        "INT8",
        "INT32",
        "UINT8",
    )
    kind = TensorProto.DataType.Value(draft.draw.choice(kinds))
    more = {"saturate": draft.draw.choice((0, 1))} if draft.draw.random() < 0.4 else {}
    return draft.node("Cast", [draft.node("Cast", [source], to=kind, **more)], to=1)


def _turned(draft: Draft) -> str:
    source = draft.stored(draft.values().reshape(2, 2) if draft.draw.random() < 0.5 else None)
    steps: list[Callable[[str], str]] = [
        lambda name: draft.node("Neg", [name]),
        lambda name: draft.node("Identity", [name]),
        lambda name: draft.node("Reshape", [name, draft.stored(np.array([1, SIZE]))]),
        lambda name: draft.node(
            "Reshape", [name, draft.stored(np.array([0, -1]))], allowzero=draft.draw.choice((0, 1))
        ),
        lambda name: draft.node("Transpose", [name]),
        lambda name: draft.node("Squeeze", [name]),
        lambda name: draft.node("Unsqueeze", [name, draft.stored(np.array([0]))]),
        lambda name: draft.node("Expand", [name, draft.stored(np.array([1, SIZE]))]),
    ]
    for _ in range(draft.draw.randint(1, 4)):
        source = draft.draw.choice(steps)(source)
    return source


def _dequantized(draft: Draft) -> str:
    codes = np.array([draft.draw.randint(-120, 120) for _ in range(SIZE)], np.int8)
    data = codes.reshape(draft.draw.choice(((SIZE,), (1, SIZE), (2, 2))))
    per_axis = data.ndim == 2 and draft.draw.random() < 0.6
    axis = draft.draw.choice((0, 1, -1)) if per_axis else 1
    scale = draft.values(data.shape[axis]) if per_axis else draft.values(1)[0]
    inputs = [draft.stored(data), draft.stored(np.asarray(scale, np.float32))]
    if draft.draw.random() < 0.5:
        inputs.append(draft.stored(np.zeros(np.shape(scale), np.int8) + np.int8(3)))
    return draft.node("DequantizeLinear", inputs, axis=axis)


def _function(draft: Draft, x: str) -> str:
    """A call of a local function: defaults, names of operators, attributes that are left out."""
    inner = helper.make_node("Constant", [], ["s"])
    inner.attribute.add(name="value_floats", type=AttributeProto.FLOATS, ref_attr_name="slopes")
    body = [inner, helper.make_node("PRelu", ["v", "s"], ["o"])]
    name, domain = draft.name("act"), "own"
    if draft.draw.random() < 0.3:
        name, domain = draft.draw.choice(("PRelu", "LeakyRelu", "Relu")), ""
        body = [helper.make_node("Neg", ["v"], ["o"])]
    opsets = [helper.make_opsetid("", 18)]
    function = helper.make_function(domain, name, ["v"], ["o"], body, opsets)
    if domain:
        if draft.draw.random() < 0.6:
            attribute = helper.make_attribute("slopes", draft.values().tolist())
            function.attribute_proto.append(attribute)
        else:
            function.attribute.append("slopes")
    draft.functions.append(function)
    given = {"slopes": draft.values().tolist()} if domain and draft.draw.random() < 0.6 else {}
    inputs = [x, draft.stored()] if name == "PRelu" else [x]
    return draft.node(name, inputs, domain=domain, **given)


def _body(draft: Draft, x: str) -> str:
    """An If, Loop or Scan, of which names outside and inside may be the same."""
    slope, hidden = draft.stored(), draft.draw.random() < 0.6
    inside = slope if hidden else draft.name("s")
    value = helper.make_tensor_value_info
    act = helper.make_node("PRelu", ["v", inside], ["o"])
    kind = draft.draw.choice(("If", "Loop", "Scan"))
    if kind == "If":
        branches = {}
        for branch in ("then_branch", "else_branch"):
            act = helper.make_node("PRelu", [x, inside], ["o"])
            own = numpy_helper.from_array(draft.values(), inside)
            made = helper.make_node("Identity", [slope], [inside])
            nodes, stored = draft.draw.choice((([act], [own]), ([made, act], [])))
            nodes = [act] if made in nodes and hidden else nodes
            stored = [] if nodes == [act] and hidden and draft.draw.random() < 0.5 else stored
            outs = [value("o", 1, None)]
            branches[branch] = helper.make_graph(nodes, branch, [], outs, stored)
        return draft.node("If", [draft.stored(np.array(draft.draw.random() < 0.5))], **branches)
    other = draft.stored()
    ends = [helper.make_node("Identity", [inside], ["so"])]
    given, outs = [value("v", 1, None), value(inside, 1, [SIZE])], [value("o", 1, None)]
    stored = [numpy_helper.from_array(draft.values(), inside)] if draft.draw.random() < 0.2 else []
    if kind == "Loop":
        ends.append(helper.make_node("Identity", ["c"], ["co"]))
        inputs = [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), *given]
        outs = [value("co", TensorProto.BOOL, []), *outs, value("so", 1, [SIZE])]
        body = helper.make_graph([act, *ends], "body", inputs, outs, stored)
        taken = [draft.stored(np.array(1)), draft.stored(np.array(True)), x, other]
    else:
        states = [value(inside, 1, [SIZE]), value("v", 1, None)]
        outs = [value("so", 1, [SIZE]), *outs]
        body = helper.make_graph([act, *ends], "body", states, outs, stored)
        taken = [other, x]
    node = helper.make_node(kind, taken, [draft.name("t"), draft.name("t")], body=body)
    if kind == "Scan":
        node.attribute.append(helper.make_attribute("num_scan_inputs", 1))
        node.output.reverse()
        node.output[:] = [node.output[1], node.output[0]]
    draft.nodes.append(node)
    return str(node.output[1] if kind == "Scan" else node.output[0])


SLOPES: tuple[Callable[[Draft], str], ...] = (
    _constant, _tensor_of_two_sets, _cast, _turned, _dequantized,
)  # fmt: skip
CALLS: tuple[Callable[[Draft, str], str], ...] = (_function, _body)


def drawn(seed: int) -> onnx.ModelProto:
    """A model of one odd thing: its only PReLU, of which it is asked what its slopes are."""
    draft = Draft(random.Random(seed))
    kinds = (*SLOPES, *CALLS)
    kind = kinds[seed % len(kinds)]
    made = kind(draft, "x") if kind in CALLS else kind(draft)  # type: ignore[call-arg, arg-type]
    out = made if kind in CALLS else draft.node("PRelu", ["x", made])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        draft.nodes, "g", [value("x", 1, ["n", SIZE])], [value(out, 1, None)], draft.tensors
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=draft.functions)
