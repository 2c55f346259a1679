"""The axis orders that an export was asked for: what has them, and what its file says of them."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from prelu_tools.backends.protocol.interface import Conversion
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.errors import UsageError
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.graph.io.inputs import input_of
from prelu_tools.graph.io.metadata import state_boundary
from prelu_tools.graph.passes.cleaning.layouts import (
    boundary_axes,
    inputs_with_layout,
    outputs_with_layout,
)


def refuse_idle_layouts(conversion: Conversion, request: ExportRequest) -> None:
    """Reject a layout for inputs or outputs that nothing has, except in a batch.

    Raises:
        UsageError: there is one.
    """
    graph = conversion.model.proto.graph
    if request.options.is_shared:
        return
    if conversion.input_layouts is not None and not inputs_with_layout(graph):
        _refuse("--input-layout is for inputs of rank 3 or more", request, graph.input)
    if conversion.output_layouts is not None and not outputs_with_layout(graph):
        expected = "outputs of rank 4 or more, and of rank 3 if an input has rank 3"
        _refuse(f"--output-layout is for {expected}", request, graph.output)


def _refuse(what: str, request: ExportRequest, values: Sequence[onnx.ValueInfoProto]) -> None:
    shown = ", ".join(input_of(value).text for value in values)
    raise UsageError(f"{what}, but {request.source} has none ({shown}): leave it out")


def moved_axes(conversion: Conversion) -> dict[str, str]:
    """The metadata that says how inputs and outputs were moved from the source's axes."""
    graph = conversion.model.proto.graph
    return state_boundary(boundary_axes(graph, conversion.input_layouts, conversion.output_layouts))


def layouts_by_role(layouts: tuple[Layout, Layout] | None) -> dict[str, Layout]:
    """The layouts of source and result as `VerifyRequest` has them; the same ones if not moved."""
    mine, theirs = layouts or ("nchw", "nchw")
    return {"reference": mine, "candidate": theirs}
