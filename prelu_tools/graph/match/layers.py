"""The PReLU layers of an ONNX graph: which nodes form a layer, and its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.prelu.layout import Permutation, inverse
from prelu_tools.core.prelu.slopes import PReLULayer, align
from prelu_tools.graph.io.metadata import (
    LAYER,
    PARAMETER,
    TORCH_SCOPES,
    module_scope,
    properties,
    stated_axes,
)
from prelu_tools.graph.match.preceding import preceding_parameters
from prelu_tools.graph.match.recognise import Match, NearMiss, find_prelus
from prelu_tools.graph.view import GraphView, all_views

if TYPE_CHECKING:
    from prelu_tools.graph.io.reader import OnnxModel

_GENERATED = re.compile(r"^(val_\d+|onnx::.*|Const(_\d+)?(:0)?|const.*|.*__\d+(:0)?|slope.*|\d+)$")
_SLOPE_NAMES = re.compile(r"[./](weight|alpha|slope|Neg|ReadVariableOp(/resource)?|Identity)(:0)?$")
_OPERATIONS = re.compile(r"/(Neg|ReadVariableOp(/resource)?|Identity)(:0)?$")


@dataclass(frozen=True)
class LocatedLayer:
    """A layer, and where it is in its model."""

    layer: PReLULayer
    """The layer."""
    calls: tuple[tuple[GraphView, Match], ...]
    """Its calls, each with the graph that it is in."""

    @property
    def matches(self) -> tuple[Match, ...]:
        """Its calls."""
        return tuple(match for _, match in self.calls)


def read_layers(model: OnnxModel) -> tuple[PReLULayer, ...]:
    """The layers of a model in the order of the graph, those in bodies and functions included."""
    return tuple(located.layer for located in locate_layers(all_views(model)))


def locate_layers(
    views: Iterable[GraphView], missed: list[NearMiss] | None = None, explain: bool = False
) -> tuple[LocatedLayer, ...]:
    """The layers of the graphs of a model, and where they are.

    Args:
        views: the graphs (`graph/view.py`).
        missed: collects near misses.
        explain: see `find_prelus`.
    """
    groups: dict[tuple[str, str, bytes], list[tuple[int, GraphView, Match]]] = {}
    every = ((view, match) for view in views for match in find_prelus(view, missed, explain))
    for position, (view, match) in enumerate(every):
        groups.setdefault(_key(match), []).append((position, view, match))
    found: list[LocatedLayer] = []
    taken: set[str] = set()
    for unsorted in groups.values():
        group = sorted(unsorted, key=lambda item: call_number(item[2]))
        _, view, first = group[0]
        name = _unique_name(first, taken)
        taken.add(name)
        calls = tuple((view, match) for _, view, match in group)
        positions = tuple(position for position, _, _ in group)
        layer = _layer(view, name, [match for _, match in calls], positions)
        found.append(LocatedLayer(layer, calls))
    return tuple(found)


def _key(match: Match) -> tuple[str, str, bytes]:
    """The identity of a layer: its parameter, its module, and its slopes."""
    known = properties(match.node)
    parameter = known.get(PARAMETER, "") if LAYER in known else match.parameter
    # What a file says of itself does not make two sets of slopes one.
    return parameter, _module(match), _in_source_order(match).tobytes()


def _in_source_order(match: Match) -> Array:
    """The slopes with their axes as the source has them, where the file says how they moved."""
    return _turned(match.slopes, inverse(stated_axes(match.node) or ())).reshape(-1)


def laid_for(call: Match, first: Match, values: Array) -> Array:
    """Rearrange values from the slopes' shape in a layer's first call to that in another call.

    A file may have the channels of one call first and those of another last.
    """
    in_source = _turned(values, inverse(stated_axes(first.node) or ()))
    return _turned(in_source, stated_axes(call.node) or ()).reshape(call.slopes.shape)


def _turned(values: Array, axes: Permutation) -> Array:
    return values if values.ndim > len(axes) else align(values, len(axes)).transpose(axes)


def _module(match: Match) -> str:
    """The module that the file says the node belongs to; "" if it says nothing.

    Exporters merge initializers of equal value, so one initializer is one layer only where nothing
    says otherwise.
    """
    known = properties(match.node)
    if LAYER in known:
        return known[LAYER]
    return module_scope(known.get(TORCH_SCOPES, ""))


def call_number(match: Match) -> int:
    """Which call of its layer a node says that it is: the graph may have them in another order.

    0 if it says nothing.
    """
    layer = properties(match.node).get(LAYER)
    number = match.node.name.removeprefix(f"{layer}_") if layer is not None else ""
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def _layer(
    view: GraphView, name: str, matches: Sequence[Match], positions: tuple[int, ...]
) -> PReLULayer:
    first = matches[0]
    shape = view.shape(first.x)
    view.budget.take(first.slopes.nbytes)
    return PReLULayer(
        name=name,
        nodes=tuple(match.node.name or match.node.output[0] for match in matches),
        parameter=properties(first.node).get(PARAMETER),
        form=first.form,
        slopes=frozen(align(first.slopes, len(shape) if shape else None)),
        input_shape=shape,
        stored_shape=first.stored_shape,
        preceding_parameters=preceding_parameters(view, first.x),
        same_instance=len(matches) == 1 or LAYER in properties(first.node),
        axes=stated_axes(first.node),
        positions=positions,
        rounds=any(match.rounds for match in matches),
    )


def _unique_name(match: Match, taken: set[str]) -> str:
    name = _module(match) or _name_from_parameter(match) or _name_from_node(match)
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}#{number}"
    return candidate


def _name_from_parameter(match: Match) -> str:
    return "" if is_generated(match.parameter) else without_role(match.parameter)


def without_role(tensor: str) -> str:
    """The layer in the name of a slope tensor: `act` of `act.weight`."""
    return _SLOPE_NAMES.sub("", tensor)


def is_generated(tensor: str) -> bool:
    """Whether a tensor's name was made up by an exporter."""
    return bool(_GENERATED.match(tensor))


def name_of_operation(tensor: str) -> bool:
    """Whether a tensor is called by the operation that made it, as TensorFlow's are."""
    return bool(_OPERATIONS.search(tensor))


def _name_from_node(match: Match) -> str:
    name = match.node.name or match.node.output[0]
    scope, _, operation = name.strip("/").rpartition("/")
    return scope or operation
