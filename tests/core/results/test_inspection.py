"""What the result of an inspection works out by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.statistics import Thresholds, slope_statistics
from prelu_tools.core.results.inspection import Finding, InspectResult, LayerReport, LayerUsage

NEAR = Thresholds(near=0.1)


def _report(name: str, *slopes: float, findings: tuple[Finding, ...] = ()) -> LayerReport:
    values = np.array(slopes, np.float32).reshape(1, -1, 1, 1)
    layer = PReLULayer(name, (name,), None, "prelu", values, None, values.shape, None, True)
    return LayerReport(layer, slope_statistics(values, NEAR), (), findings)


def _result(*reports: LayerReport, findings: tuple[Finding, ...] = ()) -> InspectResult:
    return InspectResult("net.onnx", "onnx", 18, "pytorch", 9, reports, findings)


def test_statistics_of_a_model_are_those_of_all_its_slopes() -> None:
    found = _result(_report("a", 0.5, -1.0), _report("b", 2.0, 0.05, 0.0)).statistics
    assert found is not None
    assert (found.count, found.min, found.max, found.n_negative) == (5, -1.0, 2.0, 1)
    assert found.mean == pytest.approx(np.mean([0.5, -1, 2, 0.05, 0]), rel=1e-6)
    assert found.n_near_zero == 2  # as each layer counted them


def test_a_model_without_layers_has_no_statistics() -> None:
    assert _result().statistics is None


def test_findings_of_the_model_come_before_those_of_its_layers() -> None:
    one, two, three = (Finding(code, "info", "text") for code in ("one", "two", "three"))
    result = _result(
        _report("a", 0.5, findings=(two,)), _report("b", 0.5, findings=(three,)), findings=(one,)
    )
    assert result.all_findings == (one, two, three)


@pytest.mark.parametrize(
    ("share", "unused"), [([0.0, 0.5, 0.0], (0, 2)), ([0.1, 1.0, 1e-9], ()), ([0.0], (0,))]
)
def test_slopes_that_the_data_never_used(share: list[float], unused: tuple[int, ...]) -> None:
    assert LayerUsage(np.array(share), 0.5).unused == unused


def test_how_long_it_took_is_no_difference() -> None:
    result = _result(_report("a", 0.5))
    assert replace(result, seconds=9.0) == result
    assert replace(result, path="other.onnx") != result
