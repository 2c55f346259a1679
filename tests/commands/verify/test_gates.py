"""What a user demands beyond parity: each gate, just met and just not, and what it says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.gates import (
    coverage_gate,
    hits_gate,
    power_gate,
    sizes_gate,
    warnings_gate,
)
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.candidate import CandidateReport, Power, Tolerance
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.core.results.verification.result import Coverage

REQUEST = VerifyRequest("a", ("b",))
TOLERANCE = Tolerance(0.0, 0.0, scaled=True, origin="given")


@pytest.mark.parametrize(
    ("least", "exercised", "total", "expected"),
    [
        (None, 0, 4, None),
        (0.5, 2, 4, None),
        (0.5, 3, 4, None),
        (0.0, 0, 4, None),
        (0.5, 1, 4, ("fail", "the inputs reached 1 of 4 slopes; --min-coverage 0.5 requires more")),
        (0.5, 0, 0, None),  # that there is no PReLU is a reason of its own
        (0.5, 0, 1, ("fail", "the inputs reached 0 of 1 slopes; --min-coverage 0.5 requires more")),
    ],
)
def test_the_gate_of_coverage(
    least: float | None, exercised: int, total: int, expected: tuple[str, str] | None
) -> None:
    request = replace(REQUEST, min_coverage=least)
    assert coverage_gate(Coverage(exercised, total, ()), request) == expected


def test_a_search_that_ran_out_of_time_gives_no_verdict_where_it_mattered() -> None:
    more, report = "--search-seconds 60 lets it go on", _hit(1, 0)
    for found in (
        coverage_gate(Coverage(1, 4, ()), replace(REQUEST, min_coverage=0.5), more),
        hits_gate(report, replace(REQUEST, min_hits=1), more),
    ):
        assert found is not None
        assert found[0] == "inconclusive"
        assert found[1].endswith(f"requires more, but the search ran out of time: {more}")
        assert code_of(found[1]) == "search_out_of_time"
    assert coverage_gate(Coverage(2, 4, ()), replace(REQUEST, min_coverage=0.5), more) is None


def test_coverage_needs_a_slope_even_where_no_prelu_is_fine() -> None:
    request = replace(REQUEST, min_coverage=0.5, allow_no_prelu=True)
    words = "there is no slope, and --min-coverage (in a list: min_coverage) requires one"
    assert coverage_gate(Coverage(0, 0, ()), request) == ("inconclusive", words)


def test_coverage_that_was_not_looked_at() -> None:
    words = "--min-coverage cannot be checked with --no-layers"
    assert coverage_gate(None, replace(REQUEST, min_coverage=0.5)) == ("inconclusive", words)
    assert coverage_gate(None, REQUEST) is None


@pytest.mark.parametrize(
    ("least", "hits", "expected"),
    [
        (None, (0, 1), None),
        (2, (2, 5), None),
        (2, (2, None), None),
        (3, (5, 2), ("fail", "m: 1: a slope met 2 negative values; --min-hits 3 requires more")),
        (1, (0, None), ("fail", "m: 0: a slope met 0 negative values; --min-hits 1 requires more")),
        (1, (1, 0), ("fail", "m: 1: a slope met 0 negative values; --min-hits 1 requires more")),
        (1, (None,), ("inconclusive", "m: no layer was seen, and --min-hits requires one")),
        (1, (), ("inconclusive", "m: no layer was seen, and --min-hits requires one")),
    ],
)
def test_the_gate_of_hits(
    least: int | None, hits: tuple[int | None, ...], expected: tuple[str, str] | None
) -> None:
    assert hits_gate(_hit(*hits), replace(REQUEST, min_hits=least)) == expected


def _hit(*hits: int | None) -> CandidateReport:
    layers = tuple(
        LayerParity(str(n), True, None, 0.0, 0, 1.0, "pass", least_positions=found)
        for n, found in enumerate(hits)
    )
    return replace(_report(None), layers=layers)


def _report(power: Power | None) -> CandidateReport:
    return CandidateReport("m", "pass", None, TOLERANCE, (), (), None, (), power=power)


def _power(detected: int, planted: int) -> Power:
    return Power(planted, detected, 0, 0, ("one", "two", "three", "four"), 0, sampled=False)


@pytest.mark.parametrize(
    ("least", "power", "expected"),
    [
        (None, None, None),
        (None, _power(4, 4), None),
        (None, _power(0, 0), None),
        (0.5, _power(2, 4), None),
        (0.5, _power(3, 4), None),
        (0.0, _power(0, 1), None),
        (0.5, None, ("inconclusive", "m: power is unknown, and --min-power requires it")),
        (
            0.0, _power(0, 0),
            ("inconclusive", "m: no fault could be planted in slopes that the inputs reach, and "
             "--min-power requires some"),
        ),
        (
            None, _power(3, 4),
            ("fail", "m: 3 of 4 planted slope faults were caught; --min-power 1 requires more "
             "(one; two; three)"),
        ),
        (
            0.5, _power(1, 4),
            ("fail", "m: 1 of 4 planted slope faults were caught; --min-power 0.5 requires more "
             "(one; two; three)"),
        ),
    ],
)  # fmt: skip
def test_the_gate_of_power(
    least: float | None, power: Power | None, expected: tuple[str, str] | None
) -> None:
    assert power_gate(_report(power), replace(REQUEST, min_power=least)) == expected


@pytest.mark.parametrize("least", [None, 0.0, 1.0])
def test_slopes_that_rounding_hides_are_not_shown(least: float | None) -> None:
    request = replace(REQUEST, min_power=least)
    found = power_gate(_report(replace(_power(0, 0), hidden=7)), request)
    assert found is not None
    verdict, why = found
    assert (verdict, code_of(why)) == ("inconclusive", "slopes_not_shown")
    assert "(7 were tried): use other inputs (--inputs or --input-range)" in why
    assert power_gate(_report(replace(_power(1, 1), hidden=7)), request) is None
    caught_nothing = power_gate(_report(replace(_power(0, 1), hidden=7)), request)
    assert (caught_nothing is None) is (least == 0.0)


@pytest.mark.parametrize("code", ["sizes_taken", "sizes_disagree"])
def test_sizes_of_the_candidate_cannot_be_compared_with_it(code: str) -> None:
    inputs = [TensorSpec("x", "float32", ("batch", 3), (1, 3)), TensorSpec("n", "int64", (), ())]
    source, strict = SimpleNamespace(inputs=lambda: inputs), replace(REQUEST, strict_interface=True)

    def asked(request: VerifyRequest, *notes: str) -> tuple[str, str] | None:
        reference: Any = SimpleNamespace(source=source, notes=notes)
        return sizes_gate(reference, request)

    assert asked(REQUEST, Reason("they are its", code)) is None
    assert asked(strict, Reason("a note", "sizes_freed"), "a note") is None
    found = asked(strict, Reason("they are its", code))
    assert found is not None
    assert (found[0], code_of(found[1])) == ("inconclusive", "sizes_not_stated")
    assert found[1] == (
        "--strict-interface cannot compare the sizes of the inputs, because the reference does not "
        "state them: state them with --input x:batch,3 --input n:"
    )


def test_warnings_are_allowed_unless_they_are_not() -> None:
    notes = [Reason("the record is old", "record_is_stale"), "a note", Reason("x", "sizes_taken")]
    strict = replace(REQUEST, strict_warnings=True)
    assert warnings_gate(notes, REQUEST) == []
    assert warnings_gate(notes[1:], strict) == []
    found = warnings_gate([*notes, Reason("y", "size_fixed")], strict)
    assert found == [
        ("fail", "the record is old (--strict-warnings makes warnings fail)"), ("fail", "y")
    ]  # fmt: skip
    assert [code_of(why) for _, why in found] == ["has_warnings", "has_warnings"]
