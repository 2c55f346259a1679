"""Faults that users of each runtime reported: reproduced by a small model, named, and mended.

docs/runtimes.md has the table with the threads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from between_convolutions import save_between_convolutions
from onnx import helper
from running import ROOT
from tflite_files import TfliteFile
from tiny_models import save_graph

from prelu_tools.api import export, verify
from prelu_tools.core.results.verification.candidate import CandidateReport

pytestmark = pytest.mark.runtimes

FAULTS = {
    "https://github.com/Tencent/ncnn/issues/6056": ("ncnn", [4, 6], (1, 1, 6)),
    "https://github.com/alibaba/MNN/pull/4119": ("mnn", [4, 5, 6], (1, 5, 1)),
    "https://github.com/openvinotoolkit/openvino/issues/35958": ("openvino", [4, 5, 4], (4,)),
}
LITERT = "https://github.com/PINTO0309/onnx2tf/pull/467"


def _named(report: CandidateReport) -> None:
    """The layer fails, alone; it is the first one that differs."""
    assert report.verdict == "fail", report.reasons
    (layer,) = report.layers
    assert (layer.name, layer.verdict) == ("act", "fail")
    assert any(reason.startswith("act: ") for reason in report.reasons)


@pytest.mark.parametrize("thread", FAULTS)
def test_what_was_reported_fails_there_and_what_export_writes_does_not(
    tmp_path: Path, thread: str
) -> None:
    runtime, shape, slope = FAULTS[thread]
    path = save_between_convolutions(tmp_path / "net.onnx", shape, slope)
    result = verify(path, path, runtime=runtime, samples=4, search_seconds=0.0)
    on_cpu, on_runtime = result.candidates
    assert on_cpu.verdict == "pass"
    _named(on_runtime)
    axis = -1 if runtime == "openvino" else None  # the size of two axes: which one is meant?
    made = export(path, tmp_path / "made.onnx", target=runtime, quick=True, slope_axis=axis)  # type: ignore[arg-type]
    assert made.verification is not None
    assert made.verification.verdict == "pass"


def test_slopes_that_a_converter_laid_along_another_axis_of_a_tflite_file(tmp_path: Path) -> None:
    slopes = np.array([0.25, -0.5, 1.5, 0.125], np.float32)
    node = helper.make_node("PRelu", ["x", "act.weight"], ["y"], name="act")
    shape: list[int | str] = ["batch", 4, 5, 4]
    tensors = {"act.weight": slopes.reshape(1, 1, 4)}
    right = save_graph(tmp_path / "net.onnx", [node], {"x": shape}, {"y": shape}, tensors)
    file = TfliteFile()
    x = file.tensor("x", (1, 4, 5, 4))
    alpha = file.constant("act.weight", slopes.reshape(4, 1, 1))
    y = file.operator("PRELU", [x, alpha], file.tensor("y", (1, 4, 5, 4)))
    wrong = file.save(tmp_path / "net.tflite", [x], [y])
    result = verify(right, wrong, samples=4, search_seconds=0.0)
    for report in result.candidates:  # XNNPACK, and the built-in kernels
        _named(report)
        assert "slopes are laid out as [1, 4, 1, 1], expected [1, 1, 1, 4]" in str(
            report.layers[0].difference
        )


def test_the_page_names_every_thread() -> None:
    page = (ROOT / "docs/runtimes.md").read_text(encoding="utf-8")
    assert all(f"({thread})" in page for thread in (*FAULTS, LITERT))
