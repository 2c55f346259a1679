"""The results of `verify`: what they hold where nothing is said, and power over all candidates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import (
    InterfaceDifference,
    OutputParity,
    Verdict,
)
from prelu_tools.core.results.verification.result import VerdictError, VerifyResult

TOLERANCE = Tolerance(0.0, 0.0, scaled=True, origin="given")


def test_a_provider_without_options() -> None:
    assert ProviderReport("cpu", ("CPUExecutionProvider",), ()).options == {}


def _report(power: Power | None) -> CandidateReport:
    return CandidateReport("m", "pass", None, TOLERANCE, (), (), None, (), power=power)


def _result(*powers: Power | None) -> VerifyResult:
    reports = tuple(map(_report, powers))
    return VerifyResult("pass", "r", "float64", {}, 0, 1, None, reports, ())


ONE = Power(5, 4, 3, 2, ("a: moved",), 1, False)
TWO = Power(50, 40, 30, 20, ("b: moved", "b: negated"), 10, True)


def test_power_over_all_candidates() -> None:
    both = ("a: moved", "b: moved", "b: negated")
    assert _result(ONE, None, TWO).power == Power(55, 44, 33, 22, both, 11, True)
    assert _result(ONE).power == ONE
    hidden = replace(ONE, hidden=3)
    assert _result(hidden, ONE, hidden).power == replace(_result(ONE, ONE, ONE).power, hidden=6)
    assert _result(ONE, ONE).power == Power(10, 8, 6, 4, ("a: moved",) * 2, 2, False)


def test_power_that_was_never_measured_is_none() -> None:
    assert _result().power is None
    assert _result(None, None).power is None


def test_a_result_is_true_and_handed_back_where_it_is_a_pass() -> None:
    passed = _result(None)
    assert bool(passed) is True
    assert passed.raise_for_verdict() is passed


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_result_that_is_no_pass_is_raised_with_its_reasons(verdict: Verdict) -> None:
    others = (replace(_report(None), model="n"), _report(None))
    found = replace(_result(None), verdict=verdict, reasons=("slopes differ", "so do outputs"))
    found = replace(found, candidates=found.candidates + others)
    assert bool(found) is False
    with pytest.raises(VerdictError) as raised:
        found.raise_for_verdict()
    assert str(raised.value) == f"{verdict}: m, n compared with r; slopes differ; so do outputs"
    assert raised.value.result is found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("output_missing", "output 'y' of the reference is missing"),
        ("output_additional", "output 'y': the reference has no such output"),
        ("output_renamed", "output 'z' is called 'y' in the reference"),
        ("output_axes", "output 'y' has the reference's axes permuted as z"),
        ("output_size_fixed", "output 'y' is fixed to z; the reference accepts any size"),
        ("output_type", "output 'y' is z (x in the reference)"),
    ],
)
def test_a_difference_of_the_interface_in_words(code: str, words: str) -> None:
    assert InterfaceDifference("output", "y", code, "x", "z").words == words


@pytest.mark.parametrize(
    ("verdict", "doubt", "proven"),
    [
        ("pass", None, "pass"),
        ("pass", "it is constant", "inconclusive"),
        ("fail", "it is constant", "fail"),
        ("fail", None, "fail"),
    ],
)
def test_a_pass_that_is_in_doubt_proves_nothing(
    verdict: Verdict, doubt: str | None, proven: Verdict
) -> None:
    assert OutputParity("y", (1,), 0.0, 0.0, 0, 0, verdict, doubt=doubt).proves == proven


def test_how_long_a_candidate_took_is_no_difference() -> None:
    assert replace(_report(None), seconds=9.0) == _report(None)
    assert replace(_report(None), model="n") != _report(None)
