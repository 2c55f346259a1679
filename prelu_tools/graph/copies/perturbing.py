"""A copy of a model in which the result of every operator is perturbed at random.

Each operator is followed by a Mul with a random factor near 1, in bodies too; one that rounds
inside, such as a long sum, is also preceded by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import onnx
from onnx import TensorProto, helper

from prelu_tools.core.rounding.noise import (
    MANY,
    Noise,
    plain_sum_growth,
    sum_growth,
    term_growth,
)
from prelu_tools.graph.copies.adding import ADDED, LOGARITHMS, NORMS, Nodes, normalised, rows_of
from prelu_tools.graph.facts.rounding import (
    EXACT,
    GATES,
    KERNELS,
    LINEAR,
    RELATIVE_TO_ONE,
    ROUNDED_ONCE,
)
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.natives import inferred, with_shapes
from prelu_tools.graph.view import GraphView, nested_views
from prelu_tools.graph.walk import all_graphs, attribute_of, is_onnx

_UNITS: Mapping[int, float] = {
    TensorProto.FLOAT: 2.0**-23,
    TensorProto.DOUBLE: 2.0**-52,
    TensorProto.FLOAT16: 2.0**-10,
    TensorProto.BFLOAT16: 2.0**-7,
}
_NARROW = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum", "LSTM", "GRU", "RNN")
_UNKNOWN = 64  # terms, for a size that is not known
_WITH_RUNNING_SUMS = 11
_ALONG_AN_AXIS = {"Softmax", "LogSoftmax"}  # since opset 13
_KERNEL = 4.0  # rounding errors of a function's kernel


def perturbed_model(
    proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], noise: Noise
) -> onnx.ModelProto:
    """A perturbed copy of the model; each run of a session draws other noise.

    Args:
        proto: the model; its functions are not perturbed inside.
        shapes: of its inputs, by which the terms of sums are counted.
        noise: how far, and the seed.
    """
    copy = with_shapes(proto, shapes)
    copy.graph.value_info.extend(proto.graph.value_info)
    copy = inferred(copy)
    perturber, whole = _Perturber(noise), GraphView(OnnxModel(copy, None), typed=True)
    for view in reversed(list(nested_views(whole))):  # bodies before what is around them
        perturber.perturb(view)
    _free_sizes(copy.graph, proto.graph)
    return copy


def _free_sizes(graph: onnx.GraphProto, original: onnx.GraphProto) -> None:
    """Let the sizes of a perturbed graph, and of the bodies in it, be free again that were."""
    for one, other in zip(all_graphs(graph), all_graphs(original), strict=True):
        del one.value_info[:], one.input[:], one.output[:]
        one.input.extend(other.input)
        one.output.extend(other.output)


class _Perturber:
    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._numbers = count(1)

    def perturb(self, view: GraphView) -> None:
        """Perturb the nodes of a graph, in place."""
        nodes = []
        for node in view.graph.node:
            nodes += [node] if _is_exact(node) else self._perturbed(node, view)
        del view.graph.node[:]
        view.graph.node.extend(nodes)

    def _perturbed(self, node: onnx.NodeProto, view: GraphView) -> list[onnx.NodeProto]:
        """The node with nodes before and after it that perturb its inputs and outputs."""
        operator, terms = node.op_type, _terms(node, view)
        rank = len(view.shape(node.input[0]) or ()) if node.input else 0
        narrow = view.element_type(node.output[0]) != TensorProto.DOUBLE  # a double adds exactly
        if operator in NORMS and rank > 1 and narrow and not any(node.output[1:]):
            return self._normalised(node, view, rank, terms)
        before: list[onnx.NodeProto] = []
        behind: list[onnx.NodeProto] = []
        once, growth = 1.0, 0.0
        if operator in LINEAR:
            growth = (sum_growth if operator in _WEIGHTED else plain_sum_growth)(terms)
            self._perturb_input(node, 0, view, before, (1.0, term_growth(terms)))
        elif operator == "GridSample":
            self._perturb_grid(node, view, before)
            growth = 3.0
        elif operator == "Resize":
            places = max(2.0, float(max(_sizes(view, node.output[0]), default=_UNKNOWN)))
            self._perturb_input(node, 0, view, before, (places, 0.0))
        elif operator in KERNELS or operator in GATES or operator in RELATIVE_TO_ONE:
            once = _KERNEL
            if operator == "LogSoftmax":
                self._perturb_input(node, 0, view, before, (1.0, 0.0))
        elif operator not in ROUNDED_ONCE:
            growth = plain_sum_growth(terms)
            for place in range(len(node.input)):
                self._perturb_input(node, place, view, before, (2.0, 0.0))
        x = node.input[0] if node.input else ""
        for place, name in enumerate(node.output):
            kind = view.element_type(name) or 0
            unit = _UNITS.get(kind)
            if not name or unit is None:
                continue
            raw = f"{name}/before_perturbing"
            node.output[place] = raw
            if terms > MANY and operator in ADDED and narrow:
                raw = self._long_sum(node, view, rank, kind, behind) or raw
            amount = self._noise.amount(unit, once, growth)
            if operator in RELATIVE_TO_ONE or operator in GATES:
                scale = x if operator in GATES else ""
                offset = f"{name}/offset"
                behind += self._offset(raw, scale, offset, kind, self._noise.amount(unit, 1.0))
                raw = offset
            behind += self._scaled(raw, name, kind, amount)
        return [*before, node, *behind]

    def _nodes(self, name: str, view: GraphView) -> Nodes:
        return Nodes(
            f"{name}/perturbed", view.model.opset, self._noise.seed * 31 + next(self._numbers)
        )

    def _long_sum(
        self,
        node: onnx.NodeProto,
        view: GraphView,
        rank: int,
        kind: int,
        behind: list[onnx.NodeProto],
    ) -> str | None:
        """The result of a sum of many terms, perturbed by their rounding; None for unknown axes."""
        axes = _summed(node, view, rank)
        if not axes or view.model.opset < _WITH_RUNNING_SUMS:
            return None
        raw = node.output[0]
        nodes = self._nodes(raw, view)
        rows, axis = rows_of(nodes, node.input[0], rank, axes)
        added, power = ADDED[node.op_type]
        off = nodes.one_by_one(added(nodes, rows, axis), axis)
        off = nodes.add("Mul", off, nodes.number(power))
        if node.op_type not in _ALONG_AN_AXIS:
            off = nodes.add("Reshape", off, nodes.add("Shape", raw))
        wide = nodes.add("Cast", raw, to=TensorProto.FLOAT)
        is_logarithm = node.op_type in LOGARITHMS
        perturbed = nodes.add("Add", wide, off) if is_logarithm else nodes.perturbed(wide, off)
        perturbed = nodes.add("Cast", perturbed, to=kind)
        behind += nodes.made
        return perturbed

    def _normalised(
        self, node: onnx.NodeProto, view: GraphView, rank: int, terms: float
    ) -> list[onnx.NodeProto]:
        """A norm whose mean and variance are off for a whole group, as in other kernels."""
        name = node.output[0]
        kind = view.element_type(name) or TensorProto.FLOAT
        before: list[onnx.NodeProto] = []
        self._perturb_input(node, 0, view, before, (1.0, 0.0))
        nodes = self._nodes(name, view)
        amount = self._noise.amount(_UNITS[TensorProto.FLOAT], 0.0, plain_sum_growth(terms) / 2)
        once = self._noise.amount(_UNITS.get(kind, 0.0), 1.0)
        result = normalised(nodes, node, rank, amount, once)
        nodes.made.append(helper.make_node("Cast", [result], [name], to=kind))
        return [*before, *nodes.made]

    def _perturb_input(
        self,
        node: onnx.NodeProto,
        place: int,
        view: GraphView,
        before: list[onnx.NodeProto],
        roundings: tuple[float, float],
    ) -> None:
        name = node.input[place]
        kind = view.element_type(name) or 0
        if kind not in _UNITS:
            return
        perturbed = f"{name}/perturbed_{next(self._numbers)}"
        amount = self._noise.amount(_UNITS[kind], *roundings)
        before += self._scaled(name, perturbed, kind, amount)
        node.input[place] = perturbed

    def _perturb_grid(
        self, node: onnx.NodeProto, view: GraphView, before: list[onnx.NodeProto]
    ) -> None:
        """Places run from -1 to 1, and 1 is added to them."""
        name = node.input[1]
        kind = view.element_type(name) or 0
        if kind in _UNITS:
            perturbed = f"{name}/perturbed_{next(self._numbers)}"
            amount = 2 * self._noise.amount(_UNITS[kind], 1.0, 3.0)
            before += self._offset(name, "", perturbed, kind, amount)
            node.input[1] = perturbed

    def _scaled(self, raw: str, name: str, kind: int, amount: float) -> Iterator[onnx.NodeProto]:
        """Name = raw * (1 + noise)."""
        random = f"{name}/noise"
        wide = TensorProto.FLOAT if kind in _NARROW else kind
        yield self._random(raw, random, 1.0, amount, wide)
        if kind not in _NARROW:
            yield helper.make_node("Mul", [raw, random], [name])
            return
        yield helper.make_node("Cast", [raw], [f"{name}/wide"], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{name}/wide", random], [f"{name}/product"])
        yield helper.make_node("Cast", [f"{name}/product"], [name], to=kind)

    def _offset(
        self, raw: str, scale: str, name: str, kind: int, amount: float
    ) -> Iterator[onnx.NodeProto]:
        """Name = raw + scale * noise."""
        random = f"{name}/noise"
        if kind in _NARROW:
            yield self._random(raw, f"{random}/wide", 0.0, amount, TensorProto.FLOAT)
            yield helper.make_node("Cast", [f"{random}/wide"], [random], to=kind)
        else:
            yield self._random(raw, random, 0.0, amount, kind)
        if scale:
            yield helper.make_node("Mul", [scale, random], [f"{name}/part"])
        yield helper.make_node("Add", [raw, f"{name}/part" if scale else random], [name])

    def _random(
        self, like: str, name: str, middle: float, amount: float, kind: int
    ) -> onnx.NodeProto:
        seed = float((self._noise.seed * 7919 + next(self._numbers)) % (1 << 22))
        return helper.make_node("RandomUniformLike", [like], [name], low=middle - amount,
                                high=middle + amount, dtype=kind, seed=seed)  # fmt: skip


def _is_exact(node: onnx.NodeProto) -> bool:
    if not is_onnx(node):
        return False
    if node.op_type == "Resize":
        return bool(attribute_of(node, "mode", b"nearest") == b"nearest")
    return node.op_type in EXACT


def _summed(node: onnx.NodeProto, view: GraphView, rank: int) -> Sequence[int]:
    """The axes that a reduction adds along; none if that is not known."""
    if node.op_type == "GlobalAveragePool":
        return range(2, rank)
    if node.op_type in _ALONG_AN_AXIS:
        last = attribute_of(node, "axis", -1) % max(rank, 1) == rank - 1
        return [rank - 1] if last and view.model.opset >= 13 else []
    if len(node.input) > 1 and node.input[1]:
        known = values_of(view, node.input[1])
        return [] if known is None else [int(axis) for axis in known.reshape(-1)]
    return attribute_of(node, "axes") or ([] if attribute_of(node, "noop_with_empty_axes")
                                          else range(rank))  # fmt: skip


def _sizes(view: GraphView, name: str) -> tuple[int, ...]:
    return tuple(size or _UNKNOWN for size in view.shape(name) or ())


def _terms(node: onnx.NodeProto, view: GraphView) -> float:
    """How many terms one result has: for a product by its weights, otherwise by its input."""
    operator, shapes = node.op_type, [_sizes(view, name) for name in node.input]
    if operator in ("Conv", "ConvTranspose") and len(shapes) > 1 and shapes[1]:
        return math.prod(shapes[1]) / max(shapes[1][1 if operator == "ConvTranspose" else 0], 1)
    if operator in ("MatMul", "Gemm", "Einsum") and shapes and shapes[0]:
        return float(max(shapes[0][-1], shapes[1][0] if len(shapes[1]) == 2 else 1))
    if operator in ("LSTM", "GRU", "RNN") and len(shapes) > 1 and shapes[1]:
        return float(shapes[1][-1] + shapes[1][-2])
    if operator in NORMS and shapes[0]:
        return _terms_of_norm(node, shapes[0])
    taken = math.prod(shapes[0]) if shapes else 1
    given = math.prod(_sizes(view, node.output[0])) if node.output else 1
    if operator in ("CumSum", "DFT", "STFT"):
        return float(max(shapes[0], default=_UNKNOWN))
    return max(taken / max(given, 1), float(max(shapes[0], default=1)) if given == taken else 1.0)


def _terms_of_norm(node: onnx.NodeProto, shape: Sequence[int]) -> float:
    """How many values are in each group that a norm has statistics of."""
    if node.op_type == "GroupNormalization":
        return math.prod(shape[1:]) / max(int(attribute_of(node, "num_groups")), 1)
    first = 2 if node.op_type == "InstanceNormalization" else attribute_of(node, "axis", -1)
    return float(math.prod(shape[int(first) % len(shape) :]))
