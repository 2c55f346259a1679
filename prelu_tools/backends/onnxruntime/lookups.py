"""What an ONNX file looks up in tables as it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from prelu_tools.backends.onnxruntime.running.values import ValueSession
from prelu_tools.backends.protocol.inputs import Lookup
from prelu_tools.core.arrays import Array
from prelu_tools.graph.copies.carrying import BodyPath, TensorPlace, body_at, path_of
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.view import GraphView, nested_views
from prelu_tools.graph.walk import attribute_of, is_onnx

_ALONG = ("Gather", "GatherElements", "ScatterElements", "Scatter")
_BY_AXES = ("GatherND", "ScatterND")


class _Place(NamedTuple):
    """A node that looks something up."""

    operator: str
    axis: int  # of the table; for a node that indexes several axes, the first
    table: TensorPlace  # the shape of its table; for OneHot, the depth
    positions: TensorPlace


class LookupSession:
    """A file whose lookups can be seen."""

    def __init__(self, view: GraphView, label: str) -> None:
        """Load a copy of the model, if it looks anything up.

        Args:
            view: the main graph of the model, functions inlined.
            label: its name for messages.

        Raises:
            PReLUToolsError: onnxruntime does not load it.
        """
        copy = replace(view.model, proto=deepcopy(view.model.proto))
        self._places = [
            place
            for inner in nested_views(view)
            if (path := path_of(inner)) is not None
            for place in _places(body_at(copy.proto.graph, path), inner, path)
        ]
        self._session: ValueSession | None = None
        if self._places:
            self._session = ValueSession(copy, self._shown(), "cpu", label)

    def find(self, feeds: Mapping[str, Array]) -> list[Lookup]:
        """The lookups of one run, in the order of the graph; in a loop those of each turn."""
        if self._session is None:
            return []
        found, _ = self._session.fetch(feeds, self._shown())
        return [
            lookup
            for place in self._places
            for table, positions in zip(found[place.table], found[place.positions], strict=True)
            for lookup in _read(place, table, np.asarray(positions))
        ]

    def _shown(self) -> list[TensorPlace]:
        return [shown for place in self._places for shown in (place.table, place.positions)]


def _places(graph: onnx.GraphProto, view: GraphView, path: BodyPath) -> Iterator[_Place]:
    """The nodes that look something up at places that are not constants; marks are added."""
    for number, node in enumerate(list(graph.node)):
        known = is_onnx(node, *_ALONG, *_BY_AXES, "OneHot")
        place = 0 if node.op_type == "OneHot" else 1
        if not known or read_constant(view, node.input[place]) is not None:
            continue
        kind = view.element_type(node.input[place]) or TensorProto.INT64
        positions = TensorPlace(path, node.input[place], kind)
        if node.op_type == "OneHot":
            depth = view.element_type(node.input[1]) or TensorProto.INT64
            yield _Place("OneHot", 0, TensorPlace(path, node.input[1], depth), positions)
            continue
        shape = f"prelu_tools/table_{number}"
        graph.node.append(helper.make_node("Shape", [node.input[0]], [shape]))
        name = "batch_dims" if node.op_type in _BY_AXES else "axis"
        axis = attribute_of(node, name, 0)
        yield _Place(node.op_type, axis, TensorPlace(path, shape, TensorProto.INT64), positions)


def _read(place: _Place, table: Array, positions: Array) -> Iterator[Lookup]:
    if place.operator == "OneHot":
        yield Lookup(int(table.reshape(-1)[0]), positions)
    elif place.operator in _BY_AXES:
        for number in range(positions.shape[-1]):
            yield Lookup(int(table[place.axis + number]), positions[..., number])
    else:
        yield Lookup(int(table[place.axis]), positions)
