"""The sentences about a verification: each says what is so, and none says more."""

from __future__ import annotations

import dataclasses

import pytest
from made_results import verified

from prelu_tools.core.results.verification.candidate import Power, Tolerance
from prelu_tools.core.results.verification.parity import (
    LayerParity,
    OutputParity,
    SpecialValue,
    Verdict,
)
from prelu_tools.core.results.verification.result import Agreement, Coverage, VerifyResult
from prelu_tools.reports.sentences import (
    agreement_line,
    n_wrong,
    of_rounding,
    power_details,
    power_lines,
    power_share,
    proven,
    reached,
    tapped,
    tolerances,
    unreached,
    where,
)
from prelu_tools.reports.special_values import special_lines


def _held_to(*used: Tolerance) -> VerifyResult:
    (one,) = verified().candidates
    candidates = tuple(dataclasses.replace(one, tolerance=tolerance) for tolerance in used)
    return dataclasses.replace(verified(), candidates=candidates)


def test_inputs_and_what_they_reached() -> None:
    result = verified()
    assert reached(result) == (
        "tested with 16 samples and 4 found by a search, seed 7; 468 of 544 slopes "
        "reached by a negative value"
    )
    assert (
        reached(dataclasses.replace(result, n_searched=0, coverage=None))
        == "tested with 16 samples, seed 7"
    )


def test_slopes_that_were_not_reached() -> None:
    names = tuple(f"a[{i}]" for i in range(9))
    result = dataclasses.replace(verified(), coverage=Coverage(1, 10, names))
    assert unreached(result) == ("not reached: a[0], a[1], a[2], a[3], a[4] and 4 more",)
    assert unreached(dataclasses.replace(result, coverage=None)) == ()
    assert unreached(dataclasses.replace(result, coverage=Coverage(10, 10, ()))) == ()


def test_each_tolerance_once_and_in_words() -> None:
    given = Tolerance(1e-3, 1e-5, scaled=False, origin="given")
    scaled = dataclasses.replace(given, scaled=True)
    calibrated = Tolerance(0, 0, scaled=False, origin="calibrated", multiple=8.0, ulps=0.0)
    assert tolerances(_held_to(given, scaled, given, calibrated)) == (
        "tolerance: 0.001 of each value plus 1e-05 (given)",
        "tolerance: 0.001 of each value plus 1e-05 of the largest value (given)",
        "tolerance: 8 times the reference's own float32 rounding (calibrated)",
    )
    (report,) = verified().candidates
    nothing = dataclasses.replace(report, outputs=())
    assert tolerances(dataclasses.replace(verified(), candidates=(nothing,))) == ()


def test_where_it_ran() -> None:
    (report,) = verified().candidates
    assert where(report) == "CPUExecutionProvider"
    assert where(dataclasses.replace(report, provider=None)) == ""


def test_how_slopes_are_proven() -> None:
    (report,) = verified().candidates
    assert proven(report) == (
        "slopes: 542 of 544 equal bit for bit, 460 of these confirmed by correct results "
        "(30 are in layers that differ)",
    )
    assert proven(dataclasses.replace(report, layers=())) == ()
    failed = next(layer for layer in report.layers if layer.verdict == "fail")
    others = [layer for layer in report.layers if layer.verdict != "fail"]
    one = dataclasses.replace(failed, n_slopes=1, n_by_value=1)
    (said,) = proven(dataclasses.replace(report, layers=(*others, one)))
    assert said.endswith("(1 is in a layer that differs)")


@pytest.mark.parametrize(
    ("ulp", "text"), [(None, "-"), (0, "0 ulp"), (12345, "12,345 ulp"), (2**40, "1.1e+12 ulp")]
)
def test_a_layer_by_itself(ulp: int | None, text: str) -> None:
    assert tapped(LayerParity("a", True, None, None, ulp, None, "pass")) == text


@pytest.mark.parametrize(
    ("times", "text"),
    [(None, "-"), (float("nan"), "-"), (0.0, "0.0x"), (1.14, "1.1x"), (2e9, "2.0e+09x")],
)
def test_a_multiple_of_the_rounding(times: float | None, text: str) -> None:
    output = OutputParity("y", (1,), 0.0, 0.0, 0, 0, "pass", of_rounding=times)
    assert of_rounding(output) == text


def test_wrong_elements_are_counted_together() -> None:
    assert n_wrong(OutputParity("y", (9,), 0.0, 0.0, 3, 2, "fail")) == 5


@pytest.mark.parametrize(
    ("planted", "detected", "share"),
    [(36, 36, "1.00"), (1000, 999, "0.99"), (3, 0, "0.00"), (0, 0, "-")],
)
def test_power_is_never_rounded_up(planted: int, detected: int, share: str) -> None:
    assert power_share(Power(planted, detected, 0, 0, (), 0, sampled=False)) == share


def test_power_in_words() -> None:
    escaped = tuple(f"fault {i}" for i in range(7))
    assert list(power_lines(Power(36, 29, 20, 29, escaped, 1, sampled=True))) == [
        "power 0.80: the checks caught 29 of 36 slope faults planted in a copy of the candidate "
        "(layers showed 20 of them, outputs 29), "
        "a sample of the possible faults",
        "escaped: fault 0, fault 1, fault 2, fault 3, fault 4 and 2 more",
    ]
    assert list(power_lines(Power(1, 1, 1, 1, (), 0, sampled=False))) == [
        "power 1.00: the checks caught 1 of 1 slope fault planted in a copy of the candidate "
        "(layers showed 1 of them, outputs 1)"
    ]
    assert list(power_lines(Power(0, 0, 0, 0, (), 2, sampled=False))) == [
        "power unknown: the inputs reach no slope, so no fault could be planted",
    ]
    assert list(power_details(Power(9, 9, 9, 9, (), 1, sampled=False, hidden=2))) == [
        "2 more planted faults would not change any layer by more than rounding does on these "
        "inputs",
        "1 more planted fault cannot be seen: no input reaches its slope",
    ]


def _special(layer: str, slope: float, documented: str | None = "torch says so") -> SpecialValue:
    return SpecialValue(layer, "PRelu", slope, -0.0, 0.0, -0.0, documented)


def test_special_values_of_one_kind_are_one_sentence() -> None:
    values = [_special(f"a{i}", -0.1 * (i + 1), None) for i in range(4)]
    start = "special values: -0.0 with a negative slope gives -0.0 in PRelu, 0.0 in the reference, "
    assert special_lines(values, documented=False) == (f"{start}in 4 layers (not documented)",)
    assert special_lines(values[:2], documented=False)[0].startswith(f"{start}in a0, a1 (")
    assert special_lines(values, documented=True) == ()


def test_what_is_documented_is_one_sentence_for_each_reason() -> None:
    values = [_special(f"a{i}", 0.1 * (i - 2)) for i in range(4)]
    values.append(dataclasses.replace(values[0], value=0.0))
    values.append(_special("b", 0.5, "runtimes do so"))
    assert special_lines(values, documented=True) == (
        "special values: permitted difference in 4 layers for -0.0 and 0.0 (torch says so)",
        "special values: permitted difference in b for -0.0 (runtimes do so)",
    )
    assert special_lines(values, documented=False) == ()


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        (0.25, "slope 0.25"),
        (-0.0, "slope -0.0"),
        (float("nan"), "slope NaN"),
        (float("-inf"), "slope -inf"),
    ],
)
def test_one_slope_is_named(slope: float, words: str) -> None:
    values = [_special("a", slope, None), _special("b", slope, None)]
    (line,) = special_lines(values, documented=False)
    assert f"-0.0 with {words} gives" in line
    assert "in a, b (" in line


def test_special_values_that_differ_in_anything_are_told_apart() -> None:
    nan = float("nan")
    one = _special("a", 0.25, None)
    changes = ({"value": nan}, {"slope": -0.25}, {"form": "where"}, {"found": nan})
    others = [dataclasses.replace(one, **change) for change in changes]
    others.append(dataclasses.replace(one, expected=nan))
    lines = special_lines([one, *others, *others], documented=False)
    assert len(lines) == 6
    assert lines[-1] == "special values: 1 more kind"
    assert "NaN with slope 0.25 gives -0.0 in PRelu" in lines[1]
    assert all(line.endswith("in a (not documented)") for line in lines[:-1])


@pytest.mark.parametrize(
    ("verdict", "difference", "words"),
    [
        ("pass", None, "m: cpu and cuda agree within 1.0e-01"),
        ("fail", None, "m: cpu and cuda differ in y (by up to 1.0e-01)"),
        ("fail", "2 are NaN", "m: cpu and cuda differ in y (2 are NaN)"),
        ("inconclusive", None, "m: cpu and cuda cannot be compared"),
    ],
)
def test_whether_providers_agree(verdict: Verdict, difference: str | None, words: str) -> None:
    output = OutputParity("y", (1,), 0.1, 0.1, 0, 0, verdict, difference=difference)
    other = OutputParity("z", (1,), 0.01, 0.1, 0, 0, "pass")
    assert agreement_line(Agreement("m", ("cpu", "cuda"), (other, output), verdict)) == words
