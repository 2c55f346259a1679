"""What a verification comes to: providers compared with each other, and everything summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.conclusion import agreements_of, conclude
from prelu_tools.commands.verify.reference.perturbed import PerturbedRuns
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity, Verdict
from prelu_tools.core.results.verification.result import Agreement, Coverage, VerifyResult
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import CALIBRATED, QUANTIZED, SENSITIVITY, Extent

GIVEN = Tolerance(0.0, 0.5, scaled=False, origin="given")
REQUEST = VerifyRequest("r", ("c",), tolerance=GIVEN, seed=5)
ROWS = np.array([[1, 2], [3, 4]], np.float32)


def _judged(
    model: str, provider: str | None, *ys: Array, name: str = "y", **changes: Any
) -> Judged:
    ran = None if provider is None else ProviderReport(provider, (provider,), ())
    report = CandidateReport(model, "pass", ran, GIVEN, (), (), None, ())
    return Judged(replace(report, **changes), [{name: y} for y in ys])


def _reference(
    *ys: Array, extent: Extent | None = None, perturbed: PerturbedRuns | None = None, **changes: Any
) -> Reference:
    def perturbed_to(unit: float) -> PerturbedRuns | None:
        assert unit == SINGLE
        return perturbed

    known: dict[str, Any] = {
        "outputs": [{"y": y} for y in ys],
        "extents": {"y": extent or Extent()},
        "perturbed_to": perturbed_to,
        "coverage": SimpleNamespace(exercised=2, total=3, unreached=lambda: ("a[2]",)),
        "notes": [], "doubts": [], "precision": "float64", "n_samples": 7, "n_searched": 2,
        "feeds": [{}, {}],
    }  # fmt: skip
    return cast(Reference, SimpleNamespace(**{**known, **changes}))


def _agreements(
    judged: Sequence[Judged], request: VerifyRequest = REQUEST, **known: Any
) -> tuple[Agreement, ...]:
    return agreements_of(_reference(ROWS, ROWS, **known), judged, request)


# Providers with each other


def test_every_further_provider_is_compared_with_the_first() -> None:
    near, far = ROWS + np.float32(0.5), ROWS + 1
    found = _agreements([
        _judged("c", "cpu", ROWS, ROWS),
        _judged("d", "cpu", far, far),
        _judged("c", "cuda", ROWS, near),
        _judged("c", "dml", ROWS, far),
        _judged("d", "cuda", far, far),
    ])  # fmt: skip
    assert [(x.model, x.providers, x.verdict) for x in found] == [
        ("c", ("cpu", "cuda"), "pass"),
        ("c", ("cpu", "dml"), "fail"),
        ("d", ("cpu", "cuda"), "pass"),
    ]
    assert [[(y.name, y.max_abs_diff, y.n_values) for y in x.outputs] for x in found] == [
        [("y", 0.5, 8)], [("y", 1.0, 8)], [("y", 0.0, 8)]
    ]  # fmt: skip


def test_what_did_not_run_is_compared_with_nothing() -> None:
    found = _agreements([
        _judged("c", "cpu"), _judged("c", "cuda", ROWS, ROWS), _judged("c", "dml", ROWS, ROWS),
        _judged("c", "rocm"),
    ])  # fmt: skip
    assert [x.providers for x in found] == [("cuda", "dml")]
    assert _agreements([_judged("c", "cpu", ROWS, ROWS)]) == ()


def test_one_run_is_enough_to_compare_providers() -> None:
    judged = [_judged("c", who, ROWS) for who in ("cpu", "cuda")]
    (found,) = agreements_of(_reference(ROWS), judged, REQUEST)
    assert (found.verdict, found.outputs[0].n_values) == ("pass", 4)


def test_one_provider_is_not_compared_with_itself() -> None:
    found = _agreements([_judged("c", who, ROWS, ROWS) for who in ("cpu", "cpu", "cuda")])
    assert [x.providers for x in found] == [("cpu", "cuda")]
    assert _agreements([_judged("c", None, ROWS, ROWS)] * 2) == ()


def test_runs_in_integer_codes_are_not_compared_with_each_other() -> None:
    codes = [_judged("c", who, ROWS, ROWS, tolerance=QUANTIZED) for who in ("cpu", "cuda")]
    plain = [_judged("d", who, ROWS, ROWS) for who in ("cpu", "cuda")]
    assert [x.model for x in _agreements([*codes, *plain])] == ["d"]


def test_limits_are_those_of_the_reference_s_output() -> None:
    """Whatever the candidate calls it."""
    request = replace(REQUEST, tolerance=CALIBRATED)
    for change, verdict in ((8, "pass"), (9, "fail")):
        judged = [
            _judged("c", "cpu", ROWS, ROWS, name="out"),
            _judged("c", "cuda", ROWS, ROWS + np.float32(change), name="out"),
        ]
        (found,) = _agreements(judged, request, extent=Extent(scale=1.0, own_error=1.0))
        assert (found.verdict, found.outputs[0].name) == (verdict, "out")


def test_each_value_has_the_limit_that_the_perturbed_runs_say() -> None:
    scales = [np.zeros((2, 2), np.float32), np.array([[0, 0], [0, 1]], np.float32)]
    perturbed = PerturbedRuns(2, [{"y": Spread(scale)} for scale in scales])
    request = replace(REQUEST, tolerance=SENSITIVITY)
    wrong = ROWS + np.array([[0, 0], [0, 1]], np.float32)
    for runs, verdict in (((ROWS, wrong), "pass"), ((wrong, ROWS), "fail"),
                          ((ROWS, ROWS + 1), "fail")):  # fmt: skip
        judged = [
            _judged("c", "cpu", ROWS, ROWS, name="out"), _judged("c", "cuda", *runs, name="out")
        ]  # fmt: skip
        assert _agreements(judged, request, perturbed=perturbed)[0].verdict == verdict


# All of it


def _conclude(
    reference: Reference,
    *judged: Judged,
    agreements: tuple[Agreement, ...] = (),
    request: VerifyRequest = REQUEST,
) -> VerifyResult:
    return conclude(reference, judged, agreements, request)


def test_what_passes_is_told_with_everything_that_is_known() -> None:
    first = replace(_judged("c", "cpu", ROWS), notes=("so am I", "it is old"))
    second = replace(_judged("d", "cpu", ROWS), notes=("so am I",))
    agreement = Agreement("c", ("cpu", "cuda"), (), "pass")
    reference = _reference(ROWS, notes=["it is old", "it is old"])
    assert _conclude(reference, first, second, agreements=(agreement,)) == VerifyResult(
        verdict="pass",
        reference="r",
        reference_precision="float64",
        versions=installed_versions(),
        seed=5,
        samples=7,
        coverage=Coverage(2, 3, ("a[2]",)),
        candidates=(first.report, second.report),
        reasons=(),
        agreements=(agreement,),
        n_searched=2,
        n_runs=2,
        notes=("it is old", "so am I"),
    )
    assert _conclude(reference, first, request=replace(REQUEST, layers=False)).coverage is None


@pytest.mark.parametrize(
    ("verdicts", "agreed", "expected"),
    [
        (("pass", "pass"), "pass", "pass"),
        (("pass", "inconclusive"), "pass", "inconclusive"),
        (("fail", "inconclusive"), "pass", "fail"),
        (("pass", "pass"), "fail", "fail"),
        (("pass", "pass"), "inconclusive", "inconclusive"),
    ],
)
def test_the_worst_of_all_counts(
    verdicts: Sequence[Verdict], agreed: Verdict, expected: Verdict
) -> None:
    judged = [_judged("c", "cpu", ROWS, verdict=verdict) for verdict in verdicts]
    agreement = Agreement("c", ("cpu", "cuda"), (), agreed)
    assert _conclude(_reference(ROWS), *judged, agreements=(agreement,)).verdict == expected


def test_reasons_name_their_model_and_stand_in_order() -> None:
    wrong = _judged(
        "c", "cpu", verdict="fail", reasons=(Reason("a: it is off", "layer_differs"), "c is old"),
        power=Power(2, 1, 0, 0, ("this",), 0, sampled=False),
    )  # fmt: skip
    right = _judged("d", "cpu", ROWS)
    output = OutputParity(
        "y", (1,), 1.0, 1.0, 1, 0, "fail", difference=Reason("output y: it differs", "differs")
    )
    agreement = Agreement("c", ("cpu", "cuda"), (output, replace(output, difference=None)), "fail")
    reference = _reference(
        ROWS,
        notes=["it is old", Reason("it was frozen", "branch_found"), Reason("so am I", "other")],
        doubts=[Reason("the reference is random", "random_outputs")],
    )
    request = replace(REQUEST, min_coverage=0.9, min_hits=1)
    found = _conclude(reference, wrong, right, agreements=(agreement,), request=request)
    assert list(map(str, found.reasons)) == [
        "c: a: it is off",
        "c is old",
        "c, cpu against cuda: output y: it differs",
        "the inputs reached 2 of 3 slopes; --min-coverage 0.9 requires more",
        "c: no layer was seen, and --min-hits requires one",
        "d: no layer was seen, and --min-hits requires one",
        "c: 1 of 2 planted slope faults were caught; --min-power 1 requires more (this)",
        "it was frozen",
        "the reference is random",
    ]
    assert [code_of(reason) for reason in found.reasons] == [
        "layer_differs", None, "differs", None, None, None, None, "branch_found", "random_outputs"
    ]  # fmt: skip
    assert found.verdict == "fail"


@pytest.mark.parametrize(
    ("recording", "advice"),
    [
        (None, "--search-seconds 80 lets it go on"),
        (object(), "record it again with --search-seconds 80"),
    ],
)
def test_a_search_that_ran_out_of_time_leaves_its_gates_open(recording: Any, advice: str) -> None:
    late, plain = Reason("it ran out of time", "search_out_of_time"), Reason("it is new", "other")
    layer = LayerParity("a", True, None, 0.0, 0, 1.0, "pass", least_positions=1)
    judged = _judged("c", "cpu", ROWS, layers=(layer,))
    reference = _reference(ROWS, notes=[plain, late], source=SimpleNamespace(recording=recording))
    request = replace(REQUEST, search_seconds=40.0)
    found = _conclude(reference, judged, request=request)
    assert (found.verdict, found.reasons, found.notes) == ("pass", (), (plain, late))
    request = replace(request, min_coverage=0.9, min_hits=2)
    found = _conclude(reference, judged, request=request)
    why = f", but the search ran out of time: {advice}"
    assert (found.verdict, found.notes) == ("inconclusive", (plain,))  # said once
    assert found.reasons == (
        f"the inputs reached 2 of 3 slopes; --min-coverage 0.9 requires more{why}",
        f"c: a: a slope met 1 negative value; --min-hits 2 requires more{why}",
    )


def test_sizes_of_the_candidate_are_no_verdict_on_its_interface() -> None:
    inputs = [TensorSpec("x", "float32", ("batch", 3), (1, 3))]
    source = SimpleNamespace(inputs=lambda: inputs, recording=None)
    reference = _reference(ROWS, notes=[Reason("they are its", "sizes_taken")], source=source)
    request = replace(REQUEST, strict_interface=True)
    found = _conclude(reference, _judged("c", "cpu", ROWS), request=request)
    assert (found.verdict, len(found.reasons)) == ("inconclusive", 1)
    assert found.reasons[0].endswith("state them with --input x:batch,3")


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_outdated_explains_a_failure_and_is_said_once(strict: bool) -> None:
    old, other = Reason("it is old", "record_is_stale"), "was exported from another version"
    mine, theirs = (Reason(f"{name} {other}", "candidate_of_other_version") for name in "cd")
    plain = Reason("it is new", "other")
    request = replace(REQUEST, strict_warnings=strict)

    def told(verdict: Verdict) -> tuple[list[str], tuple[str, ...]]:
        judged = _judged("c", "cpu", verdict=verdict, reasons=(Reason("a: it is off"),))
        reference = _reference(ROWS, notes=[old, mine, plain, theirs])
        found = _conclude(reference, judged, _judged("d", "cpu", ROWS), request=request)
        return [str(reason) for reason in found.reasons], found.notes

    hint = " (--strict-warnings makes warnings fail)"
    reasons, notes = told("fail")
    assert reasons == ["c: a: it is off", old, mine, *([f"{theirs}{hint}"] if strict else [])]
    assert notes == (plain, theirs)  # d passes
    reasons, notes = told("pass")
    assert reasons == ["c: a: it is off", *([f"{old}{hint}", mine, theirs] if strict else [])]
    assert notes == (old, mine, plain, theirs)


@pytest.mark.parametrize(
    ("changes", "request_changes", "verdict", "why"),
    [
        ({"doubts": ["it is random"]}, {}, "inconclusive", "it is random"),
        ({}, {"min_coverage": 0.9}, "fail",
         "the inputs reached 2 of 3 slopes; --min-coverage 0.9 requires more"),
        ({}, {"min_hits": 1}, "inconclusive", "c: no layer was seen, and --min-hits requires one"),
        ({}, {"min_power": 1.0}, "inconclusive",
         "c: power is unknown, and --min-power requires it"),
        ({"notes": [Reason("it was frozen", "branch_found")]}, {}, "pass", None),
        ({"notes": [Reason("it is old", "record_is_stale")]}, {}, "pass", None),
        ({"notes": [Reason("it is old", "record_is_stale")]}, {"strict_warnings": True}, "fail",
         "it is old (--strict-warnings makes warnings fail)"),
    ],
)  # fmt: skip
def test_a_doubt_or_a_gate_alone_decides(
    changes: dict[str, Any], request_changes: dict[str, Any], verdict: Verdict, why: str | None
) -> None:
    request = replace(REQUEST, **request_changes)
    found = _conclude(_reference(ROWS, **changes), _judged("c", "cpu", ROWS), request=request)
    assert (found.verdict, found.reasons) == (verdict, (why,) if why else ())
