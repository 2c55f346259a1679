"""Find every PReLU in a graph, by what it computes.

Each tensor is probed, in the order of the graph: is it PReLU of the nearest tensor that it is
computed from, or of one farther away? (`graph/match/regions.py` says how). So the smallest region
counts; and after a PReLU a new region begins, so that none reaches across one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.metadata import NEGATED, stated_slopes
from prelu_tools.graph.match import offsets
from prelu_tools.graph.match.arithmetic import COPIES, KNOWN, PRODUCTS, leak_of
from prelu_tools.graph.match.constants import read_constant, repeated
from prelu_tools.graph.match.products import factor_of
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import is_onnx

if TYPE_CHECKING:
    from prelu_tools.graph.match.probing import Answer, Miss, Probe
    from prelu_tools.graph.match.regions import Region

# The probing code is imported on demand: PRelu nodes alone do not need it.

_NO_NUMBERS = "OUSbc"  # kinds of numpy's types: objects, texts, truth values, complex numbers
_BROADCASTING = 7  # the first opset in which a slope is laid over the input by numpy's rule
_FARTHEST: Final = 12  # tensors after each other that are tried as x
_LOOKED_BACK: Final = 128  # of those, to find the one that two tensors have in common
_REGIONS: Final = 64
_STATED: Final = {"Relu": "relu", "Identity": "identity", "LeakyRelu": "leaky_relu"}


class Match(NamedTuple):
    """One PReLU in a graph: output = transpose(PReLU(x, slopes), order)."""

    form: str
    """The name of its form."""
    node: onnx.NodeProto
    """The node that makes the output."""
    nodes: tuple[onnx.NodeProto, ...]
    """All nodes between x and the output, the last one first."""
    x: str
    """The tensor that goes in."""
    order: Permutation | None
    """What a form of several Transposes does to the axes next to PReLU; None for nothing."""
    slopes: Array
    """In true sign, such that it broadcasts to x."""
    parameter: str
    """The initializer (or Constant) that the slopes begin at; by its plain name where it holds
    minus the slopes of that name."""
    stored_shape: tuple[int, ...]
    """The shape of that."""
    rounds: bool = False
    """Whether its outputs are those of PReLU up to rounding only."""


@dataclass(frozen=True)
class NearMiss:
    """A tensor that is not a PReLU, but nearly."""

    node: onnx.NodeProto
    """The node that makes it."""
    reason: str
    """Why it is none."""
    miss: Miss | None = None
    """The input that shows it; None if none was tried."""
    probe: Probe | None = None
    """The region; None for an operator."""

    @cached_property
    def form(self) -> str:
        """The form that it resembles."""
        return "prelu" if self.probe is None else self.probe.form


def find_prelus(
    view: GraphView, missed: list[NearMiss] | None = None, explain: bool = False
) -> Iterator[Match]:
    """Every PReLU of one graph, in the order of the nodes that make their outputs.

    Args:
        view: the graph.
        missed: collects near misses.
        explain: whether to look for that among thresholds, caps and gates, too.
    """
    search = _Search(view, explain)
    for node in view.ordered:
        search.visit(node)
    if missed is not None:
        missed += search.missed
    places = {id(node): place for place, node in enumerate(view.graph.node)}
    yield from sorted(search.found, key=lambda match: places.get(id(match.node), 0))


class _Search:
    """The graph from its inputs on: what each tensor is made of, and which are PReLU."""

    def __init__(self, view: GraphView, explain: bool) -> None:
        self.found: list[Match] = []
        self.missed: list[NearMiss] = []
        self._view = view
        self._explain = explain
        self._behind: dict[str, str] = {}
        self._nearly: set[str] = set()
        self._anchors: dict[str, onnx.NodeProto] = {}
        self._regions: OrderedDict[str, Region] = OrderedDict()

    def visit(self, node: onnx.NodeProto) -> Match | None:
        """Look at one node, once those that it reads from have been looked at."""
        view = self._view
        if not is_onnx(node) or not node.output or not node.output[0]:
            return None
        if view.is_constant(node.output[0]):
            return None
        match = _operator(view, node) or _stated(view, node)
        if match is None and node.op_type == "PRelu":
            reason = f"its slope {node.input[1]!r} is computed from the input"
            self.missed.append(NearMiss(node, reason))
        is_sum = node.op_type in PRODUCTS and factor_of(view, node) is None
        if match is None and node.op_type in KNOWN and not is_sum:
            live = [name for name in node.input if name and not view.is_constant(name)]
            x = self._common(live) if live else None
            if x is None:
                return None
            self._behind.update(dict.fromkeys(node.output, x))
            if node.op_type in COPIES and live[0] in self._nearly:
                self._nearly.update(node.output)
            # A factor or a kink after it makes PReLU only of what is nearly one.
            ends = node.op_type not in COPIES and (len(set(live)) > 1 or live[0] in self._nearly)
            match = self._region(node, x) if ends else None
            if match is None and view.owned and node.op_type in ("Add", "Sub"):
                match = self._before_offset(node)
                if match is not None:
                    self._behind.update(dict.fromkeys(node.output, match.node.output[0]))
                    return match
        if match is not None:
            self.found.append(match)
            for name in node.output:
                self._behind.pop(name, None)
        return match

    def _before_offset(self, node: onnx.NodeProto) -> Match | None:
        """PReLU in a sum that has its offset inside: relu(x) + (a * min(x, 0) + c).

        The sum is put in another order, so that a tensor of the graph is PReLU and not only a part
        of one: y = (relu(x) + a * min(x, 0)) + c.
        """
        anchor = self._anchors.get(node.output[0], node)
        for inner, outer in offsets.in_another_order(self._view, node):
            self._anchors[inner.output[0]] = anchor
            self._view.assume(inner, anchor)
            match = self.visit(inner)
            if match is not None:
                added = self._view.add_before(anchor, inner)
                node.op_type, node.input[:] = outer.op_type, list(outer.input)
                if match.node is inner:
                    found = match._replace(node=added, nodes=(added, *match.nodes[1:]))
                    self.found[self.found.index(match)] = match = found
                return match
        return None

    def _common(self, tensors: Sequence[str]) -> str | None:
        """The nearest tensor that all of these are made of; None if there is none near."""
        first, *others = tensors
        for other in others:
            if other == first:
                continue
            before = [first]
            while len(before) < _LOOKED_BACK and before[-1] in self._behind:
                before.append(self._behind[before[-1]])
            known, name = set(before), other
            for _ in range(_LOOKED_BACK):
                if name in known or name not in self._behind:
                    break
                name = self._behind[name]
            if name not in known:
                return None
            first = name
        return first

    def _region(self, node: onnx.NodeProto, x: str) -> Match | None:
        """The smallest region before a node that is PReLU."""
        from prelu_tools.graph.match.probing import Answer, Probe

        nearest: NearMiss | None = None
        y: str = node.output[0]
        for _ in range(_FARTHEST):
            region = self._of(x)
            trace = region.trace(y)
            if trace is not None and trace.degree is None:
                if nearest is None and trace.kinked and trace.scaled and self._explain:
                    nearest = _near(node, probe := Probe(region, y), probe.near())
                break
            if trace is not None and trace.degree == 1 and trace.kinked and trace.scaled:
                probe = Probe(region, y)
                answer = probe.ask()
                if answer is not None and _widens(self._view, x, y, trace.layout):
                    answer = None
                if isinstance(answer, Answer):
                    return _match(region, probe, answer, node)
                nearest = nearest or _near(node, probe, answer)
                if probe.keeps_positive:
                    self._nearly.add(y)
            if x not in self._behind:
                break
            x = self._behind[x]
        if nearest is not None:
            self.missed.append(nearest)
        return None

    def _of(self, x: str) -> Region:
        from prelu_tools.graph.match.regions import Region

        if x not in self._regions:
            self._regions[x] = Region(self._view, x)
        self._regions.move_to_end(x)
        while len(self._regions) > _REGIONS:
            self._regions.popitem(last=False)
        return self._regions[x]


def _near(node: onnx.NodeProto, probe: Probe, miss: Miss | None) -> NearMiss | None:
    return None if miss is None else NearMiss(node, str(miss), miss, probe)


def _match(region: Region, probe: Probe, answer: Answer, node: onnx.NodeProto) -> Match:
    """A region that is PReLU; its parameter is the largest constant, and of equals the first."""
    constants = [read_constant(region.view, name) for name in answer.parameters]
    known = [constant for constant in constants if constant is not None]
    largest = max(known, key=lambda constant: int(np.prod(constant.stored_shape)), default=None)
    return Match(
        form=probe.form,
        node=node,
        nodes=probe.nodes,
        x=region.x,
        order=answer.order,
        slopes=answer.slopes,
        parameter=(largest.root if largest else answer.parameters[0]).removesuffix(NEGATED),
        stored_shape=largest.stored_shape if largest else (),
        rounds=answer.rounds,
    )


def _operator(view: GraphView, node: onnx.NodeProto) -> Match | None:
    """A PRelu node with slopes that are constant."""
    if node.op_type != "PRelu":
        return None
    x, slope = node.input
    constant = read_constant(view, slope)
    if constant is None or not constant.values.size or constant.values.dtype.kind in _NO_NUMBERS:
        return None
    slopes = constant.values
    if view.model.opset < _BROADCASTING:
        slopes = _by_channel(slopes, view.shape(x))
    root = constant.root.removesuffix(NEGATED)
    return Match("prelu", node, (node,), x, None, slopes, root, constant.stored_shape)


def _stated(view: GraphView, node: onnx.NodeProto) -> Match | None:
    """A node with equal slopes that states their number (`stated_slopes`)."""
    stated = stated_slopes(node) if node.op_type in _STATED and node.metadata_props else None
    if stated is None:
        return None
    name, shape = stated
    leak = leak_of(node)
    value = 1.0 if leak is None else leak
    kind = view.element_type(node.input[0]) or onnx.TensorProto.FLOAT
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    slopes = repeated(view, value, shape, dtype)
    return Match(_STATED[node.op_type], node, (node,), node.input[0], None, slopes, name, shape)


def _widens(view: GraphView, x: str, y: str, order: Permutation | None) -> bool:
    """Whether a constant of the form gives its output more than the shape of its input."""
    before, after = view.shape(x), view.shape(y)
    if before is None or after is None:
        return False
    if len(before) != len(after):
        return True
    moved = before if order is None else tuple(before[axis] for axis in order)
    return any(a != b for a, b in zip(moved, after, strict=True) if a is not None and b is not None)


def _by_channel(slopes: Array, input_shape: Shape | None) -> Array:
    """A slope of an opset before 7, where [C] means the channels and not the last axis."""
    if slopes.ndim != 1 or slopes.size == 1 or input_shape is None or len(input_shape) < 3:
        return slopes
    return slopes.reshape(-1, *[1] * (len(input_shape) - 2))
