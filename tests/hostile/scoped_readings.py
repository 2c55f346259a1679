"""Graphs within graphs, drawn from a seed: bodies and functions in each other, at any opset.

Each output is PReLU of `x` with slopes like no others, so that a run tells which slopes it used.
Names are taken from few, so that they hide others; slopes come from every place that holds values.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

SIZE = 4
_NAMES = ("a", "b", "s", "t", "v", "o", "x1")
_value = helper.make_tensor_value_info


@dataclass
class Scope:
    """A graph or a function in the making."""

    x: str
    """What its PReLUs are given."""
    c: str | None
    """A condition; None for none."""
    depth: int
    names: set[str] = field(default_factory=set)
    """Those that it made."""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] | None = field(default_factory=list)
    """None in a function."""
    sparse: list[onnx.SparseTensorProto] = field(default_factory=list)
    slots: dict[str, list[float]] | None = None
    """The attributes of a function, and what they are by default."""


class Draft:
    """A model in the making."""

    def __init__(self, seed: int) -> None:
        """Draw its opset first."""
        self.draw = random.Random(seed)
        self.opset = self.draw.choice((*range(7, 27), 18, 21))
        self.functions: list[onnx.FunctionProto] = []
        self.scale = 0

    def slopes(self, n: int = SIZE) -> np.ndarray:
        """Like no others."""
        self.scale += 1
        return (self.scale + np.array(self.draw.sample(range(1, 256), n)) / 256).astype(np.float32)

    def name(self, scope: Scope) -> str:
        """A name that this scope has not, and others may have."""
        free = [name for name in _NAMES if name not in scope.names and name != scope.x]
        chosen = self.draw.choice(free) if free and self.draw.random() < 0.7 else None
        name = chosen or f"n{len(scope.names)}_{self.draw.randrange(10**6)}"
        scope.names.add(name)
        return name

    def node(self, scope: Scope, kind: str, inputs: list[str], **attributes: object) -> str:
        """The output of a new node."""
        out = self.name(scope)
        scope.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    # Where slopes come from

    def constant(self, scope: Scope, values: np.ndarray) -> str:
        """A constant in one of the ways of this opset."""
        draw, ways = self.draw, ["value"]
        ways += ["stored"] * 2 if scope.tensors is not None else []
        ways += ["values"] if self.opset >= 12 and values.ndim == 1 else []
        if self.opset >= 12 and values.ndim == 1 and scope.tensors is not None:
            ways.append("sparse")  # onnxruntime 1.31 crashes where a function has one
        ways += ["sparse_stored"] if scope.tensors is not None and values.ndim == 1 else []
        ways += ["slot"] * 3 if scope.slots is not None and values.ndim == 1 else []
        way = draw.choice(ways if values.dtype == np.float32 else ways[:2])
        if way == "stored" and scope.tensors is not None:
            scope.tensors.append(numpy_helper.from_array(values, self.name(scope)))
            return scope.tensors[-1].name
        if way == "sparse_stored":
            scope.sparse.append(_sparse(values, self.name(scope), draw))
            return scope.sparse[-1].values.name
        node = helper.make_node("Constant", [], [self.name(scope)])
        scope.nodes.append(node)
        if way == "slot" and scope.slots is not None:
            slot = f"slot{draw.randrange(2)}" if draw.random() < 0.5 else f"slot{len(scope.slots)}"
            scope.slots.setdefault(slot, values.tolist())
            node.attribute.add(name="value_floats", type=AttributeProto.FLOATS, ref_attr_name=slot)
        elif way == "values":
            node.attribute.append(helper.make_attribute("value_floats", values.tolist()))
        elif way == "sparse":
            node.attribute.append(helper.make_attribute("sparse_value", _sparse(values, "", draw)))
        else:
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(values)))
        return str(node.output[0])

    def slope(self, scope: Scope) -> str:
        """The name of slopes, perhaps on a detour."""
        values = self.slopes()
        match self.draw.randrange(8):
            case 0:
                return self.node(scope, "Neg", [self.constant(scope, -values)])
            case 1:
                inner = self.constant(scope, values.astype(np.float64))
                return self.node(scope, "Cast", [inner], to=TensorProto.FLOAT)
            case 2:
                turned = self.constant(scope, values.reshape(SIZE, 1))
                return self.node(scope, "Transpose", [turned], perm=[1, 0])
            case 3:
                inner = self.constant(scope, values)
                if self.opset < 13:
                    return self.node(scope, "Unsqueeze", [inner], axes=[0])
                axes = self.constant(scope, np.array([0]))
                return self.node(scope, "Unsqueeze", [inner, axes])
            case 4:
                half = self.constant(scope, values / 2)
                return self.node(scope, "Add", [half, half])
        return self.constant(scope, values)

    # What uses them

    def act(self, scope: Scope) -> str:
        """PReLU of the scope's x, perhaps in a graph or a function of its own."""
        draw = self.draw
        kind = draw.randrange(10) if scope.depth < 3 else 9
        if kind in (0, 1) and scope.c:
            return self.branches(scope)
        if kind == 2:
            return self.loop(scope)
        if kind == 3 and self.opset >= 9:
            return self.scan(scope)
        if kind in (4, 5) and self.opset >= 15:
            return self.call(scope)
        return self.prelu(scope)

    def prelu(self, scope: Scope) -> str:
        """PReLU in one form or another."""
        kind, x = self.draw.randrange(6), scope.x
        if kind == 0:
            alpha = float(self.slopes(1)[0])
            return self.node(scope, "LeakyRelu", [x], alpha=alpha)
        slope = self.slope(scope)
        if kind == 1:
            above = self.node(scope, "Relu", [x])
            below = self.node(scope, "Relu", [self.node(scope, "Neg", [x])])
            return self.node(scope, "Sub", [above, self.node(scope, "Mul", [slope, below])])
        return self.node(scope, "PRelu", [x, slope])

    def inner(self, scope: Scope, x: str, c: str | None, names: set[str]) -> Scope:
        """A scope within another, which may use its names and hide them."""
        return Scope(x, c, scope.depth + 1, names)

    def branches(self, scope: Scope) -> str:
        """An If; each branch sees the names outside, and asks the condition no more."""
        made = {}
        for branch in ("then_branch", "else_branch"):
            within = self.inner(scope, scope.x, None, set())
            made[branch] = _graph(within, self.act(within), [])
        return self.node(scope, "If", [str(scope.c)], **made)

    def loop(self, scope: Scope) -> str:
        """A Loop of one pass, which is given x and perhaps slopes."""
        within = self.inner(scope, self.draw.choice(("v", "x", "a")), scope.c, {"i", "k"})
        within.names.add(within.x)
        out = self.act(within)
        kept = self.node(within, "Identity", ["k"])
        inputs = [_value("i", TensorProto.INT64, []), _value("k", TensorProto.BOOL, []),
                  _value(within.x, 1, [None, SIZE])]  # fmt: skip
        body = _graph(within, out, inputs, _value(kept, TensorProto.BOOL, []))
        once = self.constant(scope, np.array(1))
        again = self.constant(scope, np.array(True))
        return self.node(scope, "Loop", [once, again, scope.x], body=body)

    def scan(self, scope: Scope) -> str:
        """A Scan over the rows of x, of which each is one slice."""
        within = self.inner(scope, self.draw.choice(("r", "a")), scope.c, set())
        within.names.add(within.x)
        body = _graph(within, self.act(within), [_value(within.x, 1, [SIZE])])
        return self.node(scope, "Scan", [scope.x], body=body, num_scan_inputs=1)

    def call(self, scope: Scope) -> str:
        """A call of a function, which has slots for slopes; or of an overload of one."""
        draw = self.draw
        is_overloaded = draw.random() < 0.3  # and calls none: onnxruntime would call it again
        depth = 9 if is_overloaded else scope.depth + 1
        within = Scope("x", None, depth, {"x"}, tensors=None, slots={})
        out = self.act(within)
        slots = dict(within.slots or {})
        open_slots = [slot for slot in slots if draw.random() < 0.4]
        number = len(self.functions)
        name = "h" if is_overloaded else draw.choice(("f", "g", "PRelu", "f0"))
        if not is_overloaded and any(f.name == name for f in self.functions):
            name = f"f{number}_"
        function = helper.make_function(
            "own", name, ["x"], [out], within.nodes, [helper.make_opsetid("", self.opset),
            helper.make_opsetid("own", 1)], open_slots,
        )  # fmt: skip
        function.overload = overloaded = f"o{number}" if is_overloaded else ""
        for slot in slots:
            if slot not in open_slots:
                function.attribute_proto.append(helper.make_attribute(slot, slots[slot]))
        self.functions.append(function)
        given: dict[str, object] = {}
        for slot in slots:
            if slot in open_slots or draw.random() < 0.4:
                given[slot] = self.slopes().tolist()
        out = self.node(scope, name, [scope.x], domain="own", **given)
        node = scope.nodes[-1]
        node.overload = overloaded
        if scope.slots is not None and given and draw.random() < 0.5:  # handed through
            attribute = draw.choice(list(node.attribute))
            scope.slots.setdefault("slot0", list(attribute.floats))
            del attribute.floats[:]
            attribute.ref_attr_name = "slot0"
        return out


def _sparse(values: np.ndarray, name: str, draw: random.Random) -> onnx.SparseTensorProto:
    """All of the values, or all but one, which is 0."""
    kept = np.arange(len(values))[draw.randrange(2) :]
    indices = numpy_helper.from_array(kept.astype(np.int64))
    return helper.make_sparse_tensor(
        numpy_helper.from_array(values[kept], name), indices, [len(values)]
    )


def _graph(
    scope: Scope, out: str, inputs: list[onnx.ValueInfoProto], *first: onnx.ValueInfoProto
) -> onnx.GraphProto:
    outputs = [*first, _value(out, 1, None)]
    return helper.make_graph(
        scope.nodes, "g", inputs, outputs, scope.tensors, sparse_initializer=scope.sparse
    )


def drawn(seed: int) -> onnx.ModelProto:
    """A model of one to three outputs, of which each is PReLU of `x`, whatever `c` is."""
    draft = Draft(seed)
    scope = Scope("x", "c", 0, {"x", "c"})
    outs = [draft.act(scope) for _ in range(draft.draw.randint(1, 3))]
    inputs = [_value("x", 1, ["n", SIZE]), _value("c", TensorProto.BOOL, [])]
    graph = helper.make_graph(
        scope.nodes, "g", inputs, [_value(out, 1, None) for out in outs], scope.tensors,
        sparse_initializer=scope.sparse,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", draft.opset), helper.make_opsetid("own", 1)]
    ir = 12 if draft.opset > 24 else 10 if any(f.overload for f in draft.functions) else 9
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=draft.functions)
