"""What onnxruntime-web does with a graph: slow forms, and nodes that leave WebGPU."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx

from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.reasons import listed
from prelu_tools.graph.walk import OWN

if TYPE_CHECKING:
    from prelu_tools.graph.match.layers import LocatedLayer
    from prelu_tools.graph.view import GraphView

OPERATORS: Final = Path(__file__).with_name("webgpu_operators.json")
"""Which operators have a WebGPU kernel: measured by `make webgpu-operators`."""
SLOWER: Final[Mapping[str, float]] = {
    "relu_mul": 7.2, "relu_neg": 7.2, "max_min": 1.6, "depthwise": 1.7,
}  # fmt: skip
"""Times a PRelu node on [1, 64, 112, 112] in WebAssembly: measured by `make bench-web`."""
_ONE_NODE: Final = ("prelu", "relu", "identity", "leaky_relu")
_PAGE: Final = "docs/runtimes.md#onnxruntime-web"
_FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
_NO_FLOATS: Final = ("Size", "Shape", "NonZero", "NonMaxSuppression", "IsNaN", "IsInf")
_SHOWN: Final = 6


def form_findings(located: LocatedLayer) -> Iterator[Finding]:
    """A layer in a form that is fast elsewhere; once, however often the layer is called."""
    forms = dict.fromkeys(match.form for match in located.matches if match.form not in _ONE_NODE)
    for form in forms:
        times = SLOWER.get(form)
        slow = (
            f"it takes up to {times:g} times as long as a PRelu node in WebAssembly"
            if times
            else "it consists of several nodes, which WebGPU runs one by one"
        )
        yield Finding(
            "forms_for_native_cpu",
            "warning",
            f"it is written as {form}, which suits kernels other than onnxruntime-web's: {slow}; "
            f"prelu-tools optimize --target onnxruntime-web writes one PRelu node ({_PAGE})",
            located.layer.name,
        )


def webgpu_findings(views: Iterable[GraphView]) -> Iterator[Finding]:
    """Floating-point nodes for whose operators WebGPU has no kernel.

    Operators that compute sizes are on the CPU in any case; operators that were not measured are
    skipped.
    """
    known = _table()
    found: dict[str, int] = {}
    newer: set[str] = set()
    for view in views:
        opset = max((n for n in known["opsets"] if n <= view.model.opset), default=None)
        for node in view.graph.node if opset is not None else ():
            kernels = known["operators"].get(node.op_type) if node.domain in OWN else None
            if kernels is None or opset not in kernels["without"] or not _computes(view, node):
                continue
            found[node.op_type] = found.get(node.op_type, 0) + 1
            if kernels["with"]:
                newer.add(node.op_type)
    if not found:
        return
    names = [f"{op} ({count:,})" if count > 1 else op for op, count in sorted(found.items())]
    shown = listed(names, _SHOWN)
    others = ", ".join(sorted(newer)[:_SHOWN])
    advice = f"; at other opsets it has kernels for {others}" if newer else ""
    total = sum(found.values())
    yield Finding(
        "webgpu_fallback",
        "warning",
        f"on WebGPU, {total:,} node{'s run' if total > 1 else ' runs'} on the CPU, with copies "
        f"there and back, because there is no kernel: {shown}{advice} ({known['version']}; "
        f"{_PAGE})",
        None,
    )


def _computes(view: GraphView, node: onnx.NodeProto) -> bool:
    """Whether a node gives floats that are not constant."""
    outputs = [name for name in node.output if name]
    if not outputs or view.is_constant(outputs[0]):
        return False
    kind = view.element_type(outputs[0])
    return kind in _FLOATS or (kind is None and node.op_type not in _NO_FLOATS)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(OPERATORS.read_text(encoding="utf-8"))
    return table
