"""What runtimes do with a PReLU layer: a forecast, from a table with its sources.

Nothing here is measured on the user's machine; `verify --provider` is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

from prelu_tools.core.results.inspection import Finding
from prelu_tools.graph.match.layers import LocatedLayer

_T = onnx.TensorProto


@dataclass(frozen=True)
class Target:
    """One runtime."""

    types: Mapping[int, str]
    """Types that it has a PRelu kernel for, as `TensorProto.DataType`, with their names."""
    remark: str
    """What it does with a PRelu node."""
    source: str
    """Where that is from."""


TARGETS: Mapping[str, Target] = {
    "onnxruntime-cpu": Target(
        {_T.FLOAT: "float32", _T.FLOAT16: "float16", _T.DOUBLE: "float64"},
        "runs in one kernel, which since 1.27 takes about 14 times as long on inputs of both signs",
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
        "runs as a native PReLU; a one-dimensional slope with the size of axis 1 is applied to it",
        "https://github.com/openvinotoolkit/openvino/issues/35958",
    ),
}


def forecast(located: LocatedLayer, name: str) -> Iterator[Finding]:
    """What the runtime `name` of `TARGETS` does with a layer."""
    target = TARGETS[name]
    layer = located.layer.name
    view, match = located.calls[0]
    kind = view.element_type(match.x)
    if match.form != "prelu":
        n_nodes = len({node.output[0] for node in match.nodes})
        message = f"{name} runs it as {n_nodes} nodes, or what its fusions make of them"
        yield Finding("target", "info", message, layer)
        return
    if kind is not None and kind not in target.types:
        found = onnx.TensorProto.DataType.Name(kind)
        message = (
            f"{name} has no PRelu kernel for {found}, only for "
            f"{', '.join(target.types.values())} ({target.source})"
        )
        yield Finding("target", "error", message, layer)
        return
    yield Finding("target", "info", f"{name}: {target.remark} ({target.source})", layer)
