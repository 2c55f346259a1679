"""What changed from one model to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prelu_tools.commands.inspect.command import inspect_source
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.preflight import check_request
from prelu_tools.core.prelu.slopediff import compare_slopes, line_up
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.comparison import CompareResult, LayerChange
from prelu_tools.core.results.inspection import InspectResult


def compare_sources(left: str, right: str, request: InspectRequest) -> CompareResult:
    """Pair the layers of two models, by name and then by order, and describe the changes.

    Raises:
        PReLUToolsError: a source cannot be read.
    """
    request = replace(request, options=replace(request.options, is_shared=True))
    for text in (left, right):
        check_request(request, text, inspects=True)
    return compare(inspect_source(left, request), inspect_source(right, request))


def compare(first: InspectResult, second: InspectResult) -> CompareResult:
    """The same for two models that were inspected."""
    pairs = line_up(
        [report.layer for report in first.layers], [report.layer for report in second.layers]
    )
    changes = {a.name: _change(a, b) for a, b in pairs.pairs}
    changes |= {layer.name: _one_sided(layer, f"only in {first.path}") for layer in pairs.missing}
    order = [changes[report.layer.name] for report in first.layers]
    order += [_one_sided(layer, f"only in {second.path}") for layer in pairs.unexpected]
    return CompareResult(first, second, tuple(order))


def _change(left: PReLULayer, right: PReLULayer) -> LayerChange:
    difference = compare_slopes(left, right)
    change = LayerChange(
        name=left.name,
        other_name=None if left.name == right.name else right.name,
        n_slopes=int(left.slopes.size),
        difference=difference.description or difference.note,
        max_abs_change=None,
        mean_change=None,
        n_sign_changes=None,
    )
    if left.slopes.size != right.slopes.size:
        return change
    before, after = (layer.slopes.reshape(-1).astype("float64") for layer in (left, right))
    moved = after - before
    where = int(np.argmax(np.nan_to_num(abs(moved), nan=np.inf)))
    differs = before.view("u8") != after.view("u8")
    return replace(
        change,
        max_abs_change=float(abs(moved).max()),
        mean_change=float(moved.mean()),
        n_sign_changes=int((np.sign(before) * np.sign(after) < 0).sum()),
        n_changed=int(differs.sum()),
        largest=(where, float(before[where]), float(after[where])) if differs.any() else None,
    )


def _one_sided(layer: PReLULayer, where: str) -> LayerChange:
    return LayerChange(layer.name, None, int(layer.slopes.size), where, None, None, None)
