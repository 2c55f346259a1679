"""The JSON of `verify`: the fields of the contract, and what was added to them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from json_schemas import errors
from made_results import assert_gold, verified

from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Style, render


def _document(result: VerifyResult) -> Any:
    return json.loads(render(result, "json", Style()), parse_constant=pytest.fail)


def _bare() -> VerifyResult:
    """A result of which as little is known as can be."""
    (full,) = verified().candidates
    bare = CandidateReport(
        full.model, "inconclusive", None, full.tolerance, (), (), None, ("no such file",)
    )
    return dataclasses.replace(
        verified(), candidates=(bare,), coverage=None, agreements=(), notes=(), n_searched=0
    )


def _not_numbers() -> VerifyResult:
    """A result in which numbers are none."""
    (full,) = verified().candidates
    nan = float("nan")
    special = dataclasses.replace(full.special[0], value=nan, found=-float("inf"))
    output = dataclasses.replace(full.outputs[0], max_abs_diff=nan, max_rel_diff=nan)
    candidate = dataclasses.replace(full, special=(special,), outputs=(output,))
    return dataclasses.replace(verified(), candidates=(candidate,))


@pytest.mark.parametrize("result", [verified(), _bare(), _not_numbers()])
def test_it_is_what_the_schema_says(result: VerifyResult) -> None:
    assert errors("verify", _document(result)) == []


def test_the_whole_document() -> None:
    assert_gold("verify.json", render(verified(), "json", Style()))


def test_every_field_of_the_results_is_there() -> None:
    result = verified()
    document = _document(result)
    names = _fields(result)
    codes = {"reason_codes", "note_codes"}
    assert set(document) == {"schema_version", "kind", "power", "warnings", *codes, *names}
    (candidate,) = result.candidates
    (found,) = document["candidates"]
    for part, one in (
        (found, candidate),
        (found["outputs"][0], candidate.outputs[0]),
        (found["layers"][0], candidate.layers[0]),
        (found["special"][0], candidate.special[0]),
        (found["power"], candidate.power),
        (found["tolerance"], candidate.tolerance),
        (found["provider"], candidate.provider),
        (document["agreements"][0], result.agreements[0]),
    ):
        assert set(part) - codes == _fields(one)


def _fields(result: Any) -> set[str]:
    """All but what differs from run to run: a time."""
    return {field.name for field in dataclasses.fields(result) if field.compare}


def test_power_at_the_top_is_that_of_all_candidates() -> None:
    twice = dataclasses.replace(verified(), candidates=verified().candidates * 2)
    power = _document(twice)["power"]
    assert (power["planted"], power["detected"], len(power["escaped"])) == (72, 70, 2)
    assert _document(_bare())["power"] is None


def test_numbers_that_json_lacks_are_words() -> None:
    (candidate,) = _document(_not_numbers())["candidates"]
    assert candidate["outputs"][0]["max_abs_diff"] == "NaN"
    assert (candidate["special"][0]["value"], candidate["special"][0]["found"]) == (
        "NaN",
        "-Infinity",
    )


def test_codes_stand_beside_the_sentences() -> None:
    (full,) = verified().candidates
    random = Reason("it is random", "candidate_random")
    report = dataclasses.replace(full, reasons=(random, "words"))
    noted = (Reason("it never ran", "branch_not_taken"),)
    result = dataclasses.replace(
        verified(), candidates=(report,), reasons=(random.within("c"),), notes=noted
    )
    document = _document(result)
    assert document["candidates"][0]["reason_codes"] == ["candidate_random", None]
    assert document["reasons"] == ["c: it is random"]
    assert document["reason_codes"] == ["candidate_random"]
    assert document["note_codes"] == ["branch_not_taken"]
