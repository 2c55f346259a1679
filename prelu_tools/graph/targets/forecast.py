"""What runtimes do with a PReLU layer: a forecast, from a table with its sources.

Nothing here is measured on the user's machine; `verify --provider` and `--runtime` are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx

from prelu_tools.core.results.inspection import Finding
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.targets.slope_shapes import (
    RULES,
    WAYS,
    Plan,
    answer_of,
    measured_runtimes,
    plan_for,
)
from prelu_tools.graph.targets.web import form_findings, webgpu_findings
from prelu_tools.graph.view import GraphView

_T = onnx.TensorProto


@dataclass(frozen=True)
class Target:
    """One runtime."""

    types: Mapping[int, str]
    """Types that it has a PRelu kernel for, as `TensorProto.DataType`, with their names."""
    remark: str
    """Its treatment of a PRelu node."""
    source: str
    """Where that is from."""
    measured: str | None = None
    """Its name in the table of slope shapes, or in `RULES`; None if neither knows it."""
    of_forms: Callable[[LocatedLayer], Iterator[Finding]] = lambda _: iter(())
    """A remark on layers that are not PRelu nodes."""
    of_model: Callable[[Iterable[GraphView]], Iterator[Finding]] = lambda _: iter(())
    """A remark on the graphs of a model."""


_PAGE = "docs/runtimes.md"
_FLOATS: Mapping[int, str] = {_T.FLOAT: "float32", _T.FLOAT16: "float16"}

TARGETS: Mapping[str, Target] = {
    "onnxruntime-cpu": Target(
        {_T.FLOAT: "float32", _T.FLOAT16: "float16", _T.DOUBLE: "float64"},
        "runs in one kernel; since 1.27, inputs of both signs take it 15 to 43 times as long",
        "docs/findings.md#target",
    ),
    "onnxruntime-cuda": Target(
        {_T.FLOAT: "float32", _T.FLOAT16: "float16", _T.DOUBLE: "float64"},
        "runs in one kernel",
        "https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md",
    ),
    "tensorrt": Target(
        {_T.FLOAT: "float32", _T.FLOAT16: "float16", _T.BFLOAT16: "bfloat16"},
        "becomes a ParametricReLU layer; on DLA its slopes have to be constants",
        "https://docs.nvidia.com/deeplearning/tensorrt/operators/docs/ParametricReLU.html",
    ),
    "openvino": Target(
        {_T.FLOAT: "float32", _T.FLOAT16: "float16", _T.BFLOAT16: "bfloat16"},
        "runs as a native PReLU; applies a one-dimensional slope to axis 1 if the sizes match, "
        "where ONNX applies it to the last axis",
        "https://github.com/openvinotoolkit/openvino/issues/35958",
        "openvino",
    ),
    "ncnn": Target(
        _FLOATS,
        "applies slopes of any shape to the axis after the batch",
        _PAGE,
        "ncnn",
    ),
    "mnn": Target(_FLOATS, "reads slopes of this shape correctly", _PAGE, "mnn"),
    "onnxruntime-web": Target(
        {_T.FLOAT: "float32", _T.FLOAT16: "float16", _T.DOUBLE: "float64"},
        "runs in one kernel, in WebAssembly and on WebGPU",
        _PAGE,
        "onnxruntime-web",
        form_findings,
        webgpu_findings,
    ),
    "litert": Target(
        _FLOATS,
        "becomes a PRELU operator in TensorFlow's converter, and Relu, Mul and Sub in litert-torch",
        _PAGE,
    ),
    "coreml": Target(
        {_T.FLOAT: "float32"},
        "runs in Core ML with slopes [C,1,1] on four axes, or with one slope; otherwise on the CPU",
        "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/providers/coreml/"
        "builders/impl/activation_op_builder.cc",
        "coreml",
    ),
    "qnn": Target(
        _FLOATS,
        "becomes a Prelu operator, as LeakyRelu does",
        "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/providers/qnn/builder/"
        "opbuilder/base_op_builder.h",
    ),
}


def forecast_model(views: Iterable[GraphView], name: str) -> Iterator[Finding]:
    """How the runtime `name` of `TARGETS` treats the rest of a model."""
    return TARGETS[name].of_model(views)


def forecast(located: LocatedLayer, name: str) -> Iterator[Finding]:
    """How the runtime `name` of `TARGETS` treats a layer."""
    target = TARGETS[name]
    layer = located.layer.name
    view, match = located.calls[0]
    kind = view.element_type(match.x)
    if match.form != "prelu":
        n_nodes = len({node.output[0] for node in match.nodes})
        message = f"{name} runs it as {n_nodes:,} nodes, unless it fuses them"
        yield Finding("target", "info", message, layer)
        yield from target.of_forms(located)
        return
    if kind is not None and kind not in target.types:
        found = onnx.TensorProto.DataType.Name(kind)
        message = (
            f"{name} has no PRelu kernel for {found}, only for "
            f"{', '.join(target.types.values())} ({target.source})"
        )
        yield Finding("target", "error", message, layer)
        return
    answer, misread = _measured(located, name, target)
    if misread:
        yield Finding("target", "error", misread, layer)
        return
    fits = "; these slopes are applied correctly" if answer == "right" else ""
    message = f"{name}: {target.remark} ({target.source}){fits}"
    yield Finding("target", "info", message, layer)


def _measured(located: LocatedLayer, name: str, target: Target) -> tuple[str | None, str]:
    """A runtime's measured treatment of the slope's shape, and the problem with it."""
    view, match = located.calls[0]
    shape, slope = view.shape(match.x), view.shape(match.node.input[1])
    if target.measured is None or shape is None or slope is None or None in slope:
        return None, ""
    sizes = [size or 0 for size in slope]
    answer = answer_of(target.measured, shape, sizes)
    if answer in (None, "right"):
        return answer, ""
    plan = plan_for(target.measured, shape, sizes)
    if target.measured in RULES and answer == "refused":
        does = "runs PRelu on the CPU"
    else:
        does = "gives wrong values without a warning" if answer == "wrong" else "rejects the model"
    text = ", ".join("?" if size is None else str(size) for size in shape)
    measured = measured_runtimes().get(target.measured, target.source)
    return answer, (
        f"{name} {does} for a slope of shape {sizes} on an input of [{text}]: "
        f"{_advice(plan, name)} ({measured}; {_PAGE})"
    )


def _advice(plan: Plan | None, name: str) -> str:
    """The form that is right there, and the command that writes it."""
    if plan is None:
        return "all forms that were tried give wrong values there"
    if plan.way == "prelu":
        return f"{list(plan.slope)} is right; export --target {name} writes it"
    return f"export --target {name} writes it {WAYS[plan.way]}, which gives the right values"
