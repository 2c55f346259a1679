"""What an output of a quantized candidate is called, by what was measured of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prelu_tools.commands.verify.quantized.judge import _doubts, _notes, _parity
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.parity import Deviation, OutputParity

INF = float("inf")


def _output(snr: float | None = 40.0, **fields: Any) -> OutputParity:
    deviation = Deviation(0.5, 0.5, 9, 0.1, 0.5, 0.99, snr)
    fields = {"n_mismatched": 7, "n_nonfinite_mismatch": 0, "verdict": "fail",
              "difference": "output y: 7 values differ", "limit": 0.25, "of_rounding": 9.0,
              "worst_of_rounding": 3.0, "deviation": deviation, **fields}  # fmt: skip
    return OutputParity("y", (2, 3), 0.5, 0.5, **fields)


def _measured(worst: float = 0.5, decibels: float | None = 30.0, **fields: Any) -> Any:
    return SimpleNamespace(**{"worst": worst, "decibels": decibels, "alike": 0.0, "directed": False,
                              **fields})  # fmt: skip


FITS = _measured()


def _plan(kind: str = "with static ranges", **fields: Any) -> Any:
    meaning = SimpleNamespace(kind=kind, words="to int8", steps={})
    return SimpleNamespace(**{"given": True, "is_limited": False, "meaning": meaning,
                              "label": "net.onnx", **fields})  # fmt: skip


RANDOM, LIMITED, DYNAMIC = _plan(given=False), _plan(is_limited=True), _plan("dynamic")


@pytest.mark.parametrize(
    ("plan", "output", "weights", "kernels", "verdict", "code"),
    [
        pytest.param(_plan(), _output(), FITS, FITS, "pass", None, id="as rounding explains"),
        pytest.param(_plan(), _output(), None, None, "pass", None, id="nothing is off"),
        pytest.param(_plan(), _output(n_nonfinite_mismatch=1), FITS, FITS, "fail", "not_finite",
                     id="NaN"),
        pytest.param(_plan(), _output(), _measured(1.0), FITS, "pass", None, id="just explained"),
        pytest.param(_plan(), _output(), _measured(1.01), FITS, "fail", "int8_weights_differ",
                     id="weights"),
        pytest.param(_plan(), _output(), _measured(alike=9.0), FITS, "pass", None,
                     id="a direction that nobody asked for"),
        pytest.param(_plan(), _output(), _measured(alike=1.01, directed=True), FITS, "fail",
                     "int8_weights_differ", id="weights that are all off alike"),
        pytest.param(_plan(), _output(), FITS, _measured(1.0), "pass", None, id="kernels, just"),
        pytest.param(_plan(), _output(), FITS, _measured(1.01), "fail", "int8_kernels_differ",
                     id="kernels"),
        pytest.param(_plan(), _output(), _measured(2.0), _measured(2.0), "fail",
                     "int8_weights_differ", id="both"),
        pytest.param(LIMITED, _output(), FITS, FITS, "fail", "", id="beyond what the user said"),
        pytest.param(LIMITED, _output(verdict="pass", difference=None), FITS, FITS, "pass", None,
                     id="within it"),
        pytest.param(LIMITED, _output(verdict="pass", difference=None), _measured(0.5, 1.0), FITS,
                     "pass", None, id="within it, whatever the steps"),
        pytest.param(_plan(), _output(10.0), FITS, FITS, "pass", None, id="10 dB"),
        pytest.param(_plan(), _output(9.9), FITS, FITS, "fail", "int8_snr", id="less"),
        pytest.param(_plan(), _output(9.9), _measured(2.0), FITS, "fail", "int8_weights_differ",
                     id="less, and the weights say why"),
        pytest.param(_plan(), _output(None), FITS, FITS, "pass", None, id="equal"),
        pytest.param(RANDOM, _output(9.9), FITS, FITS, "pass", None, id="less, at random"),
        pytest.param(RANDOM, _output(3.0), FITS, FITS, "pass", None, id="3 dB at random"),
        pytest.param(RANDOM, _output(2.9), FITS, FITS, "inconclusive", "int8_snr", id="hardly any"),
        pytest.param(RANDOM, _output(None), FITS, FITS, "pass", None, id="equal at random"),
        pytest.param(_plan(), _output(), _measured(0.5, 10.0), FITS, "pass", None, id="narrow"),
        pytest.param(_plan(), _output(), _measured(0.5, 9.9), FITS, "inconclusive",
                     "int8_steps_too_wide", id="wide steps of weights"),
        pytest.param(_plan(), _output(), FITS, _measured(0.5, 9.9), "inconclusive",
                     "int8_steps_too_wide", id="wide steps of values"),
        pytest.param(_plan(), _output(), _measured(0.5, None), None, "pass", None, id="no noise"),
        pytest.param(_plan("dynamic", given=False), _output(9.9), FITS, None, "inconclusive",
                     "int8_steps_too_wide", id="ranges that follow the inputs"),
        pytest.param(DYNAMIC, _output(10.0), FITS, None, "pass", None, id="and do well"),
        pytest.param(_plan(), _output(verdict="inconclusive"), FITS, FITS, "inconclusive", None,
                     id="NaN on both sides"),
    ],
)  # fmt: skip
def test_the_verdict_on_an_output(
    plan: Any, output: OutputParity, weights: Any, kernels: Any, verdict: str, code: str | None
) -> None:
    found = _parity(plan, output, weights, kernels)
    said = found.difference
    assert found.verdict == verdict
    assert found.n_mismatched == (0 if verdict == "pass" else 7)
    assert (found.limit, found.of_rounding, found.worst_of_rounding) == (None, None, None)
    assert (getattr(said, "code", None) or None) == (code or None)
    if code is None:
        assert said == (None if verdict == "pass" else output.difference)
    elif not code:
        assert said == output.difference
    else:
        assert isinstance(said, Reason)
        assert "output 'y':" in said


def test_everything_that_is_wrong_is_said() -> None:
    output = _output(n_nonfinite_mismatch=1)
    said = _parity(_plan(), output, _measured(2.5), _measured(3.5)).difference or ""
    assert said.count("; ") == 2
    assert "by 2.5 times what rounding" in said
    assert "by 3.5 times what rounding" in said
    assert "is 9.0 dB, below 10 dB" in (_parity(_plan(), _output(9.0), None, None).difference or "")
    alike = _measured(2.5, alike=4.5, directed=True)
    assert "by 4.5 times" in (_parity(_plan(), output, alike, None).difference or "")


def test_another_shape_is_told_as_it_is() -> None:
    output = _output(deviation=None)
    assert _parity(_plan(), output, _measured(9.0), _measured(9.0)) is output


def test_scales_that_are_too_wide_are_named() -> None:
    plan = _plan()
    plan.meaning.steps = {name: SimpleNamespace(is_coarse=name != "b") for name in "abcdefg"}
    (doubt,) = _doubts(plan)
    assert "the scales of a, c, d and 3 more are so wide" in doubt
    assert isinstance(doubt, Reason)
    assert doubt.code == "int8_scales_too_wide"
    plan.meaning.steps = {name: SimpleNamespace(is_coarse=True) for name in "abc"}
    (doubt,) = _doubts(plan)
    assert "the scales of a, b, c are so wide" in doubt
    assert list(_doubts(_plan())) == []


@pytest.mark.parametrize(
    ("plan", "codes"),
    [(_plan(), ["quantized_candidate"]),
     (_plan("weights only", given=False), ["quantized_candidate"]),
     (RANDOM, ["quantized_candidate", "int8_random_inputs"])],
)  # fmt: skip
def test_how_it_was_judged_is_said(plan: Any, codes: list[str]) -> None:
    notes = _notes(plan)
    assert [note.code for note in notes if isinstance(note, Reason)] == codes
    assert all(note.startswith("net.onnx") for note in notes)


def _said(plan: Any, output: OutputParity, weights: Any = FITS) -> str | None:
    return _parity(plan, output, weights, FITS).difference


def test_sentences_are_whole() -> None:
    """As a user reads them."""
    assert (_said(_plan(), _output(9.0)) or "").endswith("the ranges do not fit these inputs")
    assert _said(RANDOM, _output(2.0)) == (
        "output 'y': its signal-to-noise ratio is 2.0 dB on random inputs: the quantization ranges "
        "cut off most of it; use data like the calibration data (--inputs)"
    )
    assert _said(_plan(), _output(), _measured(0.5, 9.0)) == (
        "output 'y': rounding to the codes leaves a signal-to-noise ratio of 9.0 dB, which could "
        "explain almost any difference; at least 10 dB are needed"
    )
    plan = _plan()
    plan.meaning.steps = {name: SimpleNamespace(is_coarse=True) for name in "abcd"}
    assert list(_doubts(plan)) == [
        "the scales of a, b, c and 1 more are so wide that fewer than an eighth of the codes are "
        "used: rounding could explain any weights"
    ]
    assert _notes(RANDOM) == [
        "net.onnx is quantized to int8: its slopes may differ by half a quantization step, and "
        "each output by the effect of rounding to integer codes",
        "net.onnx: the signal-to-noise ratios are for random inputs; for meaningful ones, use data "
        "like the calibration data (--inputs)",
    ]


def test_reasons_stand_side_by_side() -> None:
    said = _parity(_plan(), _output(n_nonfinite_mismatch=1), _measured(2.5), None).difference or ""
    first, second = said.split("; ")
    assert first == "output 'y': NaN or infinite on one side only"
    assert second.startswith("output 'y': the quantized weights")
