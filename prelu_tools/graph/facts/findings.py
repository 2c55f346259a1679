"""Findings about a graph; `docs/findings.md` explains each code and its source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import onnx

from prelu_tools.core.prelu.slopes import Shape, broadcasts
from prelu_tools.core.results.inspection import Finding, Severity
from prelu_tools.graph.match.constants import read_constant

if TYPE_CHECKING:
    from prelu_tools.graph.match.layers import LocatedLayer
    from prelu_tools.graph.match.recognise import Match, NearMiss
    from prelu_tools.graph.view import GraphView

_FLOAT64_OPSETS = range(16, 19)  # where onnxruntime's CPU provider has a kernel or can inline
_FIRST_OPSET = 7


class _Place(NamedTuple):
    """One PReLU in its graph, and the layer that it belongs to."""

    view: GraphView
    match: Match
    layer: str


def graph_findings(located: LocatedLayer) -> Iterator[Finding]:
    """Findings about a layer that need its graph; the same one for several calls comes once."""
    places = [_Place(view, match, located.layer.name) for view, match in located.calls]
    found = [finding for place in places for finding in _place_findings(place)]
    yield from dict.fromkeys(found)


def _place_findings(place: _Place) -> Iterator[Finding]:
    yield from _operator(place)
    yield from _slope_shape(place)
    if place.match.rounds:
        yield _finding(
            place,
            "rounded",
            "info",
            "it equals PReLU up to rounding: the last bits of its outputs may differ from those of "
            "a PRelu node",
        )
    if place.match.form == "where_mask":
        yield _finding(
            place,
            "mask_form",
            "warning",
            "both branches are multiplied by a mask, so an infinite input becomes NaN (0 * inf) "
            "where the source gives infinity; export it with prelu-tools, as one PRelu node",
        )


def _operator(place: _Place) -> Iterator[Finding]:
    """The node itself: its opset and its types."""
    if place.match.form != "prelu":
        return
    opset = place.view.model.opset
    if opset < _FIRST_OPSET:
        yield _finding(
            place,
            "old_opset",
            "error",
            f"opset {opset} is older than {_FIRST_OPSET}: onnxruntime has no kernel for its PRelu; "
            "export the model with prelu-tools, which raises the opset",
        )
    kind = place.view.element_type(place.match.x)
    slope_kind = place.view.element_type(place.match.node.input[1])
    if kind is not None and slope_kind is not None and kind != slope_kind:
        names = onnx.TensorProto.DataType.Name
        yield _finding(
            place,
            "type_mismatch",
            "error",
            f"its input is {names(kind)} and its slope {names(slope_kind)}: runtimes reject "
            "that; cast the slope",
        )
    if kind == onnx.TensorProto.DOUBLE and opset not in _FLOAT64_OPSETS:
        yield _finding(
            place,
            "float64_kernel",
            "error",
            f"onnxruntime's CPU provider has no float64 PRelu at opset {opset}: export in float32, "
            "or at opset 16 to 18",
        )
    if kind == onnx.TensorProto.BFLOAT16:
        yield _finding(
            place,
            "bfloat16_kernel",
            "error",
            "onnxruntime's CPU provider has no bfloat16 PRelu: export in float32",
        )


def _slope_shape(place: _Place) -> Iterator[Finding]:
    """How the slope is laid over the input, and who reads it otherwise."""
    if place.match.form != "prelu":
        return
    constant = read_constant(place.view, place.match.node.input[1])
    shape = place.view.shape(place.match.x)
    if constant is None or shape is None or constant.values.size == 1:
        return
    slope = constant.values.shape
    if place.view.model.opset < _FIRST_OPSET:
        return
    if len(slope) == 1 and len(shape) >= 3:
        yield from _one_dimensional(place, slope[0], shape)
    elif not broadcasts(slope, shape):
        yield _finding(
            place,
            "no_broadcast",
            "error",
            f"a slope of shape {list(slope)} does not broadcast to an input of {_text(shape)}; "
            "expected [C, 1, 1] on NCHW",
        )


def _one_dimensional(place: _Place, size: int, shape: Shape) -> Iterator[Finding]:
    """A slope [C] on an input of rank 3 or more belongs to the last axis, by the spec."""
    fix = f"make it [{', '.join([str(size), *['1'] * (len(shape) - 2)])}]"
    channels, last = shape[1], shape[-1]
    if size == last and size == channels:
        yield _finding(
            place,
            "slope_two_readings",
            "error",
            f"a slope of shape [{size}] on an input of {_text(shape)} is ambiguous: onnxruntime "
            "applies it to the last axis, OpenVINO to the channels, and both run; "
            f"{fix} if the channels are meant",
        )
    elif size == last:
        yield _finding(
            place,
            "slope_last_axis",
            "info",
            f"a slope of shape [{size}] on an input of {_text(shape)} belongs to the last axis, "
            "which is correct by the spec; ncnn and MNN misread it: "
            f"{[1] * (len(shape) - 1) + [size]} is right in MNN, and no shape is right in ncnn",
        )
    elif last is not None or size == channels:
        yield _finding(
            place,
            "slope_axis",
            "error",
            f"a slope of shape [{size}] on an input of {_text(shape)} belongs to the last axis, "
            "where it does not fit: onnxruntime rejects it, OpenVINO uses the channels; "
            f"{fix}",
        )


def _text(shape: Shape) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def max_findings(missed: Iterable[NearMiss]) -> Iterator[Finding]:
    """Nodes that are max(x, a*x) with a slope above 1: no PReLU, and surely meant as one."""
    for near in missed:
        miss, last = near.miss, near.node.op_type
        if last == "Max" and miss is not None and miss.y > miss.wanted > 0 and near.form == "max":
            yield Finding(
                "max_above_one",
                "error",
                "max(x, a*x) with a slope above 1 gives a*x for positive inputs: this is not "
                "PReLU; export the layer with prelu-tools",
                near.node.name or near.node.output[0],
            )


def quantizer_finding() -> Finding:
    """What onnxruntime's static quantizer does with PRelu nodes."""
    return Finding(
        "quantizer",
        "info",
        "onnxruntime's int8 quantizer leaves PRelu in floating point, which is slow; prelu-tools "
        "quantize does not (docs/howto/int8.md)",
    )


def _finding(place: _Place, code: str, severity: Severity, message: str) -> Finding:
    return Finding(code, severity, message, place.layer)
