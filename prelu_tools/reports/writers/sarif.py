"""SARIF 2.1.0, which GitHub's code scanning shows: a result for each finding and each reason.

A result's `ruleId` is its stable code, its location the model's file. A model is not text, so the
region is the file's first line; the layer is a logical location. For `verify`, the location is the
candidate's file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import quote

from prelu_tools import __version__
from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.inspection import Finding, InspectResult, Severity
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.places import file_of
from prelu_tools.reports.printable import cleaned, printable_json
from prelu_tools.reports.sentences import other_warnings, own_reasons

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_FIGURE = re.compile(r"\d[\d.,e+-]*")
Level = Literal["error", "warning", "note"]
_OF_SEVERITY: dict[Severity, Level] = {"error": "error", "warning": "warning", "info": "note"}
_OF_VERDICT: dict[Verdict, Level] = {"pass": "note", "fail": "error", "inconclusive": "warning"}


@dataclass(frozen=True)
class _Found:
    """One result."""

    code: str
    level: Level
    message: str
    source: str
    """The model, as the user spells it."""
    layer: str | None = None
    line: int = 1


def render(result: Result, style: Style) -> str:
    """The results of one run as a SARIF log.

    Raises:
        UsageError: it is neither of `verify` nor of `inspect`.
    """
    found = list(_found(cleaned(result)))
    codes = list(dict.fromkeys(one.code for one in found))
    driver = {"name": "prelu-tools", "version": __version__, "rules": [*map(_rule, codes)]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes, style) for one in found],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return printable_json(json.dumps(log, indent=2, ensure_ascii=False)) + "\n"


def _found(result: Result) -> Iterator[_Found]:
    if isinstance(result, InspectResult | SeriesResult):
        yield from _findings(result.all_findings, result.path)
    elif isinstance(result, CompareResult):
        yield from (*_found(result.left), *_found(result.right))
    elif isinstance(result, VerifyResult):
        yield from _verified(result)
    elif isinstance(result, BatchResult):
        for entry in result.entries:
            yield from _entry(entry)
    else:
        raise UsageError("sarif supports only results of `verify` and `inspect`")


def _findings(findings: Iterable[Finding], path: str) -> Iterator[_Found]:
    for one in findings:
        yield _Found(one.code, _OF_SEVERITY[one.severity], one.message, path, one.layer)


def _entry(entry: BatchEntry) -> Iterator[_Found]:
    """What is wrong with one job; without a result, at the place where it is declared."""
    found = cleaned(entry.verification)
    if found is not None:
        yield from _verified(found)
        return
    yield from _findings(cleaned(entry.findings), entry.path)
    level: Level = "error" if entry.status == "fail" else "warning"
    source = entry.file if entry.text is None and entry.file else entry.path
    for reason in entry.reasons:
        yield _Found(_code(reason, entry.status), level, reason, source, line=entry.line or 1)


def _verified(result: VerifyResult) -> Iterator[_Found]:
    """What each candidate is not, what is wrong with the whole, and what is proven less."""
    level = _OF_VERDICT[result.verdict]
    for report in result.candidates:
        yield from _candidate(report)
    for reason in own_reasons(result):
        yield _Found(_code(reason, result.verdict), level, reason, result.reference)
    for note in other_warnings(result):
        yield _Found(_code(note, result.verdict), "warning", note, result.reference)


def _candidate(report: CandidateReport) -> Iterator[_Found]:
    layers = {layer.name: layer for layer in report.layers}
    for reason in report.reasons:
        layer = layers.get(reason.partition(": ")[0])
        verdict = report.verdict if layer is None else layer.verdict
        name = None if layer is None else layer.name
        yield _Found(_code(reason, verdict), _OF_VERDICT[verdict], reason, report.model, name)


def _code(reason: str, otherwise: str) -> str:
    return code_of(reason) or {"fail": "models_differ"}.get(otherwise, "no_verdict")


def _rule(code: str) -> dict[str, Any]:
    words = code.replace("_", " ").capitalize()
    return {"id": code, "shortDescription": {"text": f"{words}."}}


def _result(found: _Found, codes: list[str], style: Style) -> dict[str, Any]:
    file = file_of(found.source, style)
    place: dict[str, Any] = {}
    if file is not None:
        place["physicalLocation"] = {
            "artifactLocation": _artifact(file),
            "region": {"startLine": found.line},
        }
    if found.layer is not None:
        place["logicalLocations"] = [{"name": found.layer, "kind": "member"}]
    elif file is None:
        place["logicalLocations"] = [{"name": found.source, "kind": "module"}]
    return {
        "ruleId": found.code,
        "ruleIndex": codes.index(found.code),
        "level": found.level,
        "message": {"text": found.message},
        "locations": [place],
        "partialFingerprints": {"preluTools/v1": _fingerprint(found)},
    }


def _artifact(file: str) -> dict[str, str]:
    if PurePath(file).is_absolute():
        return {"uri": PurePath(file).as_uri()}
    return {"uri": quote(file), "uriBaseId": "%SRCROOT%"}


def _fingerprint(found: _Found) -> str:
    """What stays the same from run to run while the figures of a message change."""
    about = found.layer or _FIGURE.sub("#", found.message)
    text = "\0".join((found.code, found.source, about))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
