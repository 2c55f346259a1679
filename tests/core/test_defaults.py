"""What results and options hold where nothing is said, and what results say in a line."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools.core.domains import InputDomain, SizesTried, Values
from prelu_tools.core.options import ConversionOptions, OtherInputs, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer, SlopeParameter
from prelu_tools.core.prelu.statistics import Thresholds
from prelu_tools.core.process.timing import Latency, Ratio
from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.export import (
    DoctorItem,
    DoctorResult,
    ExportResult,
    InitCheck,
    InitResult,
    RefusedRoute,
)
from prelu_tools.core.results.inspection import Finding, InspectResult, LayerReport
from prelu_tools.core.results.optimization import (
    EqualityReport,
    Exactness,
    LayerChoice,
    OptimizeResult,
)
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.decisions import Decision
from prelu_tools.core.results.verification.parity import Deviation, LayerParity, OutputParity
from prelu_tools.core.results.verification.result import BaselineReport, VerifyResult

NOTHING = cast(Any, None)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SourceOptions, {"inputs": (), "custom_objects": (), "allow_unsafe_load": False,
                         "show_chatter": False, "is_shared": False, "other": None}),
        (ConversionOptions, {"opset": 18, "input_layout": "keep", "output_layout": "keep",
                             "slope_axis": None, "is_verified": True}),
        (OtherInputs, {"more": (), "unlike": (), "is_turned": False}),
        (ExportResult, {"notes": (), "refused": (), "data_path": None, "n_data_bytes": 0,
                        "optimized": None, "inputs": (), "outputs": ()}),
        (RefusedRoute, {}),
        (InitResult, {"ignored": (), "ignored_models": ()}),
        (DoctorItem, {"advice": ""}),
        (InitCheck, {"variants": (), "inputs": (), "n_models": 1, "needed": (), "notes": (),
                     "paired_by": "name", "record_of": None, "recorded_file": None}),
        (Finding, {"layer": None}),
        (LayerReport, {"findings": (), "usage": None}),
        (InspectResult, {"others": (), "refused": (), "notes": (), "failures": (), "seconds": 0.0}),
        (Exactness, {"kind": "layer", "ulps": 0}),
        (OptimizeResult, {"notes": ()}),
        (Thresholds, {"near": 0.01}),
        (Ratio, {}),
        (OutputParity, {"deviation": None, "top1_agreement": None, "limit": None,
                        "of_rounding": None, "difference": None, "worst_of_rounding": None,
                        "n_values": 0, "n_border": 0, "remark": None, "doubt": None}),
        (LayerParity, {"deviation": None, "limit": None, "n_slopes": 0, "n_by_value": 0,
                       "n_by_behaviour": 0, "least_positions": None, "provider": None,
                       "parameter": None, "node": None, "note": None,
                       "found": "pattern", "slope_step": None, "slope_error": None}),
        (Tolerance, {"multiple": None, "ulps": None}),
        (CandidateReport, {"special": (), "power": None, "interface": (), "seconds": 0.0}),
        (VerifyResult, {"agreements": (), "n_searched": 0, "n_runs": 0, "notes": (), "inputs": (),
                        "baseline": None, "quick": False, "seconds": 0.0}),
        (Decision, {"by_sizes": False}),
        (ProviderReport, {"is_runtime": False}),
        (DoctorResult, {"runtimes": ()}),
        (Latency, {"clock": "wall", "waited": 0.0, "sizes_from": "model"}),
        (BatchEntry, {"text": None, "reasons": (), "candidates": (), "file": None, "line": None,
                      "worker": None, "seconds": 0.0, "shown": None}),
        (BatchResult, {"path": None, "workers": (), "notes": ()}),
        (SlopeParameter, {"call": 0}),
        (PReLULayer, {"axes": None, "positions": (), "start": None, "rounds": False}),
        (Values, {"low": 0.0, "high": 0.0, "is_any": False, "is_whole": False, "tops": (),
                  "up_to": "", "is_falling": False, "origin": "usual"}),
        (InputDomain, {"low": None, "high": None}),
        (SizesTried, {"tried": (), "refused": ()}),
        (Deviation, {}),
        (BaselineReport, {"worse": (), "unknown": (), "lost": ()}),
    ],
)  # fmt: skip
def test_what_is_not_said_is_nothing(kind: Any, expected: dict[str, Any]) -> None:
    found = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in expected.items()
    }


def test_a_check_has_no_options_of_its_own() -> None:
    check = InitCheck("net", "net.pt2", ("net.onnx",))
    assert (check.options, check.withheld) == ({}, {})


def test_an_inspection_in_a_line() -> None:
    result = InspectResult("net.onnx", "onnx", 18, "torch", 9, (), ())
    assert repr(result) == "<InspectResult net.onnx: 0 PReLU layers, 0 slopes>"


def test_an_optimization_has_the_warnings_of_its_verification_too() -> None:
    stale, size = Reason("it is old", "record_is_stale"), Reason("one", "sizes_not_checked")
    verification = cast(Any, SimpleNamespace(warnings=(size, stale)))
    result = OptimizeResult("a.onnx", "b.onnx", 1, "portable", Exactness(), (), NOTHING, None,
                            verification, (Reason("a note"), stale))  # fmt: skip
    assert result.warnings == (stale, size)
    export = ExportResult("a", "b", 1, 18, "torch", (), 3, verification, (Reason("note"), stale))
    assert export.warnings == (stale, size)
    assert replace(export, verification=None).warnings == (stale,)


@pytest.mark.parametrize(("verification", "held"), [(None, "not verified"), (object(), "verified")])
def test_an_export_in_a_line(verification: Any, held: str) -> None:
    layers = cast(Any, (None, None))
    result = ExportResult("a.pt2", "b.onnx", 1, 18, "torch", layers, 3, verification)
    assert repr(result) == f"<ExportResult a.pt2 -> b.onnx: 2 PReLU layers, {held}>"


def _choice(before: str, form: str) -> LayerChoice:
    return LayerChoice("a", None, 1, before, form, "timing", None, None, None)


@pytest.mark.parametrize(
    ("latency", "words"),
    [
        (None, ""),
        (Latency(2.0, 1.0, Ratio(0.4567, 0.4, 0.5, 9), 1, ()), ", 0.46 of the time"),
    ],
)
def test_an_optimization_in_a_line(latency: Latency | None, words: str) -> None:
    held = EqualityReport(True, True, True, 0, 1, "", "")
    layers = (_choice("prelu", "relu"), _choice("max", "max"), _choice("max", "prelu"))
    result = OptimizeResult(
        "a.onnx", "b.onnx", 1, "portable", Exactness(), layers, held, latency, NOTHING
    )
    assert result.n_changed == 2
    expected = f"<OptimizeResult a.onnx -> b.onnx: 2 of 3 PReLU layers rewritten{words}>"
    assert repr(result) == expected
