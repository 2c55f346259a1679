"""Many jobs, one verdict; and results that are read back from their documents."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args

import numpy as np
import pytest
from made_results import verified

from prelu_tools.core.prelu.statistics import slope_statistics
from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, Status
from prelu_tools.core.results.export import InitCheck, InitResult
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.reading import from_document
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import BaselineReport, VerifyResult
from prelu_tools.reports import Style
from prelu_tools.reports.writers.json import one_line


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("pass",), "pass"),
        (("pass", "pass"), "pass"),
        (("pass", "fail"), "fail"),
        (("fail", "error"), "fail"),
        (("error", "fail", "inconclusive"), "fail"),
        (("pass", "error"), "inconclusive"),
        (("error",), "inconclusive"),
        (("inconclusive", "pass"), "inconclusive"),
        ((), "inconclusive"),
    ],
)
def test_the_verdict_over_all(statuses: tuple[Status, ...], expected: Verdict) -> None:
    entries = tuple(BatchEntry(str(n), "a", status) for n, status in enumerate(statuses))
    result = BatchResult("verify", entries)
    assert result.status == expected
    assert result.exit_code == {"pass": 0, "fail": 1, "inconclusive": 3}[expected]
    assert result.summary == {kind: statuses.count(kind) for kind in result.summary}
    assert set(result.summary) == {*get_args(Verdict), "error"}


@pytest.mark.parametrize("command", ["inspect", "export"])
def test_what_has_no_verdict_is_ok_or_not(command: Command) -> None:
    statuses: tuple[Status, ...] = ("ok", "ok", "fail", "error")
    entries = tuple(BatchEntry(str(n), "a", status) for n, status in enumerate(statuses))
    result = BatchResult(command, entries)
    assert result.summary == {"ok": 2, "fail": 1, "error": 1}
    assert (result.status, result.exit_code) == ("fail", 1)
    good = BatchResult(command, entries[:2])
    assert (good.status, good.exit_code) == ("ok", 0)
    assert BatchResult(command, (entries[0], BatchEntry("p", "a", "pass"))).exit_code == 0


def test_warnings_and_findings_are_read_from_the_document() -> None:
    found = {"code": "dead", "severity": "warning", "message": "it is dead", "layer": "a"}
    whole = {"code": "no_prelu", "severity": "info", "message": "there is none"}
    statistics = dataclasses.asdict(slope_statistics(np.array([0.25, np.nan])))
    layer = {
        "name": "a",
        "form": "prelu",
        "sharing": "channel-wise",
        "slope_shape": [2],
        "statistics": {**statistics, "max": "NaN"},
        "health": [],
        "findings": [found],
    }
    document = {"kind": "inspect", "notes": ["it is old"], "note_codes": ["record_is_stale"],
                "findings": [whole], "statistics": None, "layers": [layer]}  # fmt: skip
    entry = BatchEntry("c", "a", "ok", json.dumps(document))
    assert entry.warnings == ("it is old",)
    assert entry.findings == (Finding(**whole), Finding(**found))  # type: ignore[arg-type]
    assert entry.inspection is not None
    (seen,) = entry.inspection.layers
    assert (seen.name, seen.slope_shape, seen.statistics.count) == ("a", (2,), 2)
    assert np.isnan(seen.statistics.max)
    other = BatchEntry("c", "a", "ok", json.dumps({**document, "kind": "export"}))
    assert (other.findings, other.inspection) == ((), None)
    none = BatchEntry("c", "a", "error")
    assert (none.warnings, none.findings) == ((), ())


def test_an_entry_without_a_document_says_why() -> None:
    entry = BatchEntry("c", "a", "error", None, ("no such file", "nor folder"))
    said = "no such file; nor folder"
    assert (entry.document, entry.verification, entry.error) == (None, None, said)
    known = BatchEntry("c", "a", "ok", '{"kind": "inspect"}')
    assert (known.document, known.verification, known.error) == ({"kind": "inspect"}, None, None)


def _held() -> VerifyResult:
    reasons = (Reason("a layer is missing", "layer_not_found"), "something else")
    baseline = BaselineReport("b.json", "fail", 2.0, 3, unknown=("x",))
    return dataclasses.replace(verified(), reasons=reasons, baseline=baseline)


@pytest.mark.parametrize("result", [verified(), _held()])
def test_a_verification_is_read_back_as_it_was(result: VerifyResult) -> None:
    text = one_line(result, Style())
    found = from_document(VerifyResult, json.loads(text))
    assert found == result
    assert json.loads(one_line(found, Style())) == json.loads(text)
    assert list(map(code_of, found.reasons)) == list(map(code_of, result.reasons))
    assert BatchEntry("c", "a", "fail", text).verification == result


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0, 1e-45])
def test_figures_keep_their_value(value: float) -> None:
    (old,) = verified().candidates
    output = dataclasses.replace(old.outputs[0], max_abs_diff=value, limit=value)
    result = dataclasses.replace(
        verified(), candidates=(dataclasses.replace(old, outputs=(output,)),)
    )
    found = from_document(VerifyResult, json.loads(one_line(result, Style())))
    assert str(found.candidates[0].outputs[0].max_abs_diff) == str(value)
    assert str(found.candidates[0].outputs[0].limit) == str(value)


def test_a_document_that_lacks_a_field_is_none() -> None:
    document: dict[str, Any] = json.loads(one_line(verified(), Style()))
    del document["candidates"], document["seed"]
    with pytest.raises(KeyError, match="candidates, seed"):
        from_document(VerifyResult, document)


def test_the_warnings_of_a_new_list_are_those_of_all_its_checks() -> None:
    first, second = Reason("it is old", "stale"), Reason("it is random", "random")
    checks = (InitCheck("a", "r", ("c",), notes=(first, second)), InitCheck("b", "r", ("d",)),
              InitCheck("c", "r", ("e",), notes=(first,)))  # fmt: skip
    assert InitResult("checks.toml", None, checks, ()).warnings == (first, second, first)
    assert InitResult("checks.toml", None, checks[1:2], ()).warnings == ()
