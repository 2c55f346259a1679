"""Results made by hand, and the gold files that reports of them are compared with.

A gold file is what a report is to look like, to the letter. To renew them after a change that is
meant, run the tests with `PRELU_RENEW_GOLD=1`, and read the difference before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prelu_tools.core.options import InputOption, ModelOutput
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.statistics import slope_health, slope_statistics
from prelu_tools.core.process.timing import Latency, Ratio
from prelu_tools.core.results.comparison import CompareResult, LayerChange
from prelu_tools.core.results.export import (
    DoctorItem,
    DoctorResult,
    ExportResult,
    RefusedRoute,
)
from prelu_tools.core.results.inspection import (
    Finding,
    InspectResult,
    LayerReport,
    LayerUsage,
    OtherActivation,
    RefusedForm,
)
from prelu_tools.core.results.optimization import (
    EqualityReport,
    Exactness,
    LayerChoice,
    OptimizeResult,
)
from prelu_tools.core.results.reasons import VALUES_DIFFER, Reason
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import (
    Deviation,
    LayerParity,
    OutputParity,
    SpecialValue,
)
from prelu_tools.core.results.verification.result import Agreement, Coverage, VerifyResult

HOSTILE = "</script><img src=x onerror=alert(1)>"
GOLD = Path(__file__).parents[2] / "reports" / "gold"


def assert_gold(name: str, text: str) -> None:
    """Compare a report with its gold file, or rewrite it where the environment asks for it."""
    path = GOLD / name
    if os.environ.get("PRELU_RENEW_GOLD"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def layer(
    name: str,
    slopes: object,
    *,
    form: str = "prelu",
    nodes: tuple[str, ...] | None = None,
    findings: Sequence[Finding] = (),
    usage: LayerUsage | None = None,
    preceding: int | None = 1000,
) -> LayerReport:
    """A layer on an input of rank 4: one slope, one a channel, or one a position."""
    values = np.asarray(slopes, np.float32)
    aligned = values.reshape((1, *values.shape, *(1,) * (3 - values.ndim)))
    input_shape = (None, *(size if size > 1 else 7 for size in aligned.shape[1:]))
    made = PReLULayer(
        name=name,
        nodes=nodes or (name,),
        parameter=f"{name}.weight",
        form=form,
        slopes=aligned,
        input_shape=input_shape,
        stored_shape=values.shape,
        preceding_parameters=preceding,
        same_instance=True,
    )
    health = slope_health(values)
    return LayerReport(made, slope_statistics(values), health, tuple(findings), usage)


def model(
    *layers: LayerReport,
    path: str = "net.onnx",
    findings: Sequence[Finding] = (),
    others: Sequence[OtherActivation] = (),
    refused: Sequence[RefusedForm] = (),
    notes: tuple[str, ...] = (),
) -> InspectResult:
    """A model of these layers."""
    return InspectResult(
        path=path,
        format="onnx",
        opset=18,
        producer="pytorch 2.13.0",
        n_parameters=1_234_567,
        layers=layers,
        findings=tuple(findings),
        others=tuple(others),
        refused=tuple(refused),
        notes=notes,
    )


def usual() -> InspectResult:
    """A model with a bit of everything."""
    shape = Finding("slope_rank", "error", "the slope [4] stands on an input of rank 4", "c|d")
    start = Finding("at_init", "warning", "all slopes are 0.25", "b.act")
    one = Finding("one_slope", "info", "one slope for all channels", "c|d")
    usage = LayerUsage(np.array([0.5, 0.0, 0.25, 0.25]), 0.125)
    return model(
        layer("stem.act", [-0.5, 0.0, 0.25, 1.5], usage=usage),
        layer("b.act", [0.25] * 8, findings=[start], nodes=("b.act", "b.act_1"), preceding=None),
        layer("c|d", 0.75, form="relu_neg", findings=[one, shape]),
        findings=[Finding("quantizer", "info", "no rule for PRelu | see *docs*")],
        others=[OtherActivation("relu_1", "Relu", 0.0), OtherActivation("lr", "LeakyRelu", 0.1)],
        refused=[RefusedForm("add_3", "relu_sub", "the branches read x and y")],
        notes=("prefix `module.` was removed",),
    )


def compared() -> CompareResult:
    """Two models: a layer equal, one moved and renamed, one of other size, one only there."""
    return CompareResult(
        left=model(layer("a", [0.1, 0.2]), layer("b", [0.3, -0.4]), layer("c", 0.5), path="a.onnx"),
        right=model(layer("a", [0.1, 0.2]), layer("x", [0.3, 0.4]), path="b.onnx"),
        changes=(
            LayerChange("a", None, 2, None, 0.0, 0.0, 0, 0),
            LayerChange(
                *(
                    "b",
                    "x",
                    2,
                    Reason(
                        "1 of 2 slopes differ, the largest difference at index 1", VALUES_DIFFER
                    ),
                ),
                *(0.8, 0.4, 1, 1, (1, -0.4, 0.4)),
            ),
            LayerChange("c", None, 1, "only in a.onnx", None, None, None),
        ),
    )


def verified() -> VerifyResult:
    """A check that failed in one layer, with a bit of everything."""
    wrong = OutputParity(
        name="y",
        shape=(16, 10),
        max_abs_diff=1.5e-7,
        max_rel_diff=2.5e-3,
        n_mismatched=3,
        n_nonfinite_mismatch=1,
        verdict="fail",
        deviation=Deviation(1.5e-7, 2.5e-3, 12, 1e-8, 1.4e-7, 0.99, 40.5),
        top1_agreement=0.9375,
        limit=1.2e-7,
        of_rounding=2.25,
        difference="output y: 3 of 160 values differ",
    )
    candidate = CandidateReport(
        model="net.onnx",
        verdict="fail",
        provider=ProviderReport("cpu", ("CPUExecutionProvider",), (), {"threads": "1"}),
        tolerance=Tolerance(0.0, 1.2e-7, scaled=False, origin="calibrated", multiple=8, ulps=4),
        outputs=(wrong,),
        layers=_layers(),
        first_divergence="act2",
        reasons=("act2: channels 3 and 7 swapped",),
        special=_special(),
        power=Power(36, 35, 34, 30, ("act1[3]: slope 0.25 made 0.26",), 8, sampled=True),
    )
    same = OutputParity("y", (16, 10), 1e-9, 1e-8, 0, 0, "pass")
    return VerifyResult(
        verdict="fail",
        reference="nets.py:Net",
        reference_precision="float32",
        versions={"onnxruntime": "1.31.1"},
        seed=7,
        samples=16,
        coverage=Coverage(468, 544, ("act1[3]",)),
        candidates=(candidate,),
        reasons=("net.onnx: act2: channels 3 and 7 swapped",),
        agreements=(Agreement("net.onnx", ("cpu", "openvino"), (same,), "pass"),),
        n_searched=4,
        n_runs=3,
        notes=("the reference was run in float32: torch has no float64 for it",),
    )


def _layers() -> tuple[LayerParity, ...]:
    """A layer that passes, one that differs, and one of which little is known."""
    apart = Deviation(2e-8, 1e-7, 3, 1e-9, 1e-8, 1.0, 120.0)
    right = LayerParity(
        *("act1", True, None, 2e-8, 0, 0.998, "pass"),
        deviation=apart,
        limit=1e-7,
        n_slopes=512,
        n_by_value=512,
        n_by_behaviour=460,
        least_positions=3,
        provider="CPUExecutionProvider",
        parameter="act1.weight",
        node="act1",
    )
    wrong = LayerParity(
        *("act2", False, "act2: channels 3 and 7 swapped", 0.25, 1234, 0.5, "fail"),
        n_slopes=32,
        n_by_value=30,
        n_by_behaviour=0,
        least_positions=0,
        parameter="act2.weight",
        node="act2",
    )
    unknown = LayerParity("act3", False, "act3: [C] in doubt", None, None, None, "inconclusive")
    return right, wrong, unknown


def _special() -> tuple[SpecialValue, ...]:
    """One kind that is documented, in two layers, and one that is not."""
    why = "ONNX leaves the sign of a zero open"
    return (
        SpecialValue("act1", "PRelu", -0.5, -0.0, 0.0, -0.0, why),
        SpecialValue("act2", "PRelu", -0.25, -0.0, 0.0, -0.0, why),
        SpecialValue("act2", "relu_neg", 0.25, float("inf"), float("inf"), 1e30, None),
    )


def exported(verification: VerifyResult | None = None) -> ExportResult:
    """A file that was written."""
    layers = tuple(report.layer for report in usual().layers)
    notes = ("the batch is dynamic",)
    refused = (RefusedRoute("dynamo", "no rule for aten::thing"),)
    inputs = (
        InputOption("image", ("batch", 3, "h", 112)), InputOption("mask", ("batch", 112), "bool"),
    )  # fmt: skip
    outputs = (ModelOutput("embedding", ("batch", "2*h"), "float16"),)
    return ExportResult(
        "nets.py:Net", "net.onnx", 1234, 18, "torch 2.13.0", layers, 24, verification, notes,
        refused, "net.onnx.data", 3_000_000_000, inputs=inputs, outputs=outputs,
    )  # fmt: skip


def optimized() -> OptimizeResult:
    """A model with a layer that was timed, one that was not, and one that was taken back."""
    ratio = Ratio(0.345, 0.34, 0.352, 172)
    layers = (
        LayerChoice(
            "stem|act", (1, 64, 56, 56), 64, "prelu", "relu_mul", "timing", 1.2e-3, ratio, 0
        ),
        LayerChoice("act2", (1, 256), 256, "relu_neg", "max", "cost model", None, None, None),
        LayerChoice("act3", None, 1, "prelu", "prelu", "exactness", None, None, 1),
    )
    return OptimizeResult(
        source="net.onnx",
        path="fast.onnx",
        n_bytes=4_190_000,
        target="onnxruntime-cpu",
        exact=Exactness("approximate", 4),
        layers=layers,
        held=EqualityReport(False, True, False, 2, 9, "A | B", "1.31.1"),
        latency=Latency(20.98e-3, 7.23e-3, ratio, 2, (("x", (1, 3, 112, 112)),)),
        verification=verified(),
        notes=("1 of 12 groups of layers were not timed",),
    )


def examined() -> DoctorResult:
    """A machine on which something is missing."""
    return DoctorResult(
        python="3.11.7",
        platform="Linux x86_64",
        core=(DoctorItem("onnx", "ok", "1.23.2"),),
        extras=(DoctorItem("torch: torch", "missing", "", "pip install 'prelu-tools[torch]'"),),
        providers=(DoctorItem("cuda", "broken", "libcudart.so.12 | not found", "install it"),),
    )
