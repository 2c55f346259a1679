"""What an ONNX file looks up in tables as it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper

from prelu_tools.backends.inputs import Lookup
from prelu_tools.backends.onnxruntime.session import Session
from prelu_tools.core.arrays import Array
from prelu_tools.graph.copies.instrument import tapped
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of, is_onnx

_ALONG = ("Gather", "GatherElements", "ScatterElements", "Scatter")
_BY_AXES = ("GatherND", "ScatterND")


class _Place(NamedTuple):
    """A node that looks something up."""

    operator: str
    axis: int  # of the table; for a node that looks up by several axes, the first of them
    table: str  # the shape of its table; of OneHot the depth
    positions: str


class LookupSession:
    """A file whose lookups can be seen."""

    def __init__(self, view: GraphView, spelled: str) -> None:
        """Load a copy of the model, if it looks anything up.

        Args:
            view: the main graph of the model, functions inlined.
            spelled: its name for messages.

        Raises:
            PReLUToolsError: onnxruntime does not load it.
        """
        copy = deepcopy(view.model.proto)
        self._places = list(_places(copy.graph, view))
        self._session: Session | None = None
        if self._places:
            file = view.model.file
            folder = None if file is None else file.parent
            names = [name for place in self._places for name in (place.table, place.positions)]
            self._session = Session(tapped(copy, names), "cpu", spelled, folder)

    def find(self, feeds: Mapping[str, Array]) -> list[Lookup]:
        """The lookups of one run, in the order of the graph."""
        if self._session is None:
            return []
        names = {name for place in self._places for name in (place.table, place.positions)}
        inputs = {name: feeds[name] for name in names if name in feeds}
        found = {**inputs, **self._session.fetch(feeds, sorted(names - set(inputs)))}
        return [
            lookup
            for place in self._places
            for lookup in _read(place, found[place.table], np.asarray(found[place.positions]))
        ]


def _places(graph: onnx.GraphProto, view: GraphView) -> Iterator[_Place]:
    """The nodes that look something up at places that are not constants; marks are added."""
    for number, node in enumerate(list(graph.node)):
        known = is_onnx(node, *_ALONG, *_BY_AXES, "OneHot")
        place = 0 if node.op_type == "OneHot" else 1
        if not known or read_constant(view, node.input[place]) is not None:
            continue
        if node.op_type == "OneHot":
            yield _Place("OneHot", 0, node.input[1], node.input[0])
            continue
        shape = f"prelu_tools/table_{number}"
        graph.node.append(helper.make_node("Shape", [node.input[0]], [shape]))
        name = "batch_dims" if node.op_type in _BY_AXES else "axis"
        axis = attribute_of(node, name, 0)
        yield _Place(node.op_type, axis, shape, node.input[1])


def _read(place: _Place, table: Array, positions: Array) -> Iterator[Lookup]:
    if place.operator == "OneHot":
        yield Lookup(int(table.reshape(-1)[0]), positions)
    elif place.operator in _BY_AXES:
        for number in range(positions.shape[-1]):
            yield Lookup(int(table[place.axis + number]), positions[..., number])
    else:
        yield Lookup(int(table[place.axis]), positions)
