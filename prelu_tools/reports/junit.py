"""JUnit's XML, which continuous integration shows: a suite for each candidate and provider.

A case a layer, a case an output, and one each for coverage, power and special values. What failed
is a `failure`, what could not be judged an `error`, what was not looked at `skipped`; no verdict
is without a case that has it, so that nothing looks like a pass that is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.verification import (
    Agreement,
    CandidateReport,
    LayerParity,
    OutputParity,
    Verdict,
    VerifyResult,
)
from prelu_tools.reports import Result, Style
from prelu_tools.reports.facts import (
    agreement_line,
    n_wrong,
    power_lines,
    reached,
    slope_word,
    special_lines,
    tapped,
    unreached,
)
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.tables.parts import moved, percentage
from prelu_tools.reports.zoo.rows import verification_of

_TAGS = {"fail": "failure", "inconclusive": "error"}
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render(result: Result, style: Style) -> str:
    """The result as an XML document.

    Raises:
        UsageError: it is not of `verify`.
    """
    result = cleaned(result)
    if isinstance(result, VerifyResult):
        root = _suites(result)
    elif isinstance(result, BatchResult) and result.command == "verify":
        root = _suites_of_all(result)
    else:
        raise UsageError("junit supports only results of `verify`")
    _count(root)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suites(result: VerifyResult) -> Element:
    root = Element("testsuites", name="prelu-tools verify")
    for report in result.candidates:
        root.append(_candidate(report, result))
    for agreement in result.agreements:
        root.append(_agreement(agreement))
    known = {f"{one.model}: {reason}" for one in result.candidates for reason in one.reasons}
    rest = [reason for reason in result.reasons if reason not in known]
    if (rest and result.verdict != "pass") or not _has(root, result.verdict):
        suite = SubElement(root, "testsuite", name=result.reference)
        _verdict(suite, result.verdict, rest or result.reasons)
    return root


def _suites_of_all(result: BatchResult) -> Element:
    """The suites of each job, its name before theirs; one without a result has an error."""
    root = Element("testsuites", name="prelu-tools verify")
    for entry in result.entries:
        found = verification_of(entry)
        if found is None:
            suite = SubElement(root, "testsuite", name=entry.name)
            _verdict(suite, "fail" if entry.status == "fail" else "inconclusive", entry.reasons)
            continue
        suites = list(_suites(found))
        suites[0].set("time", f"{entry.seconds:.3f}")
        for suite in suites:
            suite.set("name", f"{entry.name}: {suite.get('name')}")
            for case in suite.iter("testcase"):
                case.set("classname", suite.get("name", ""))
            root.append(suite)
    if not result.entries:
        _verdict(SubElement(root, "testsuite", name=result.path or "verify"), "inconclusive", ())
    if result.notes:
        SubElement(root[-1], "system-out").text = "\n".join(result.notes)
    return root


def _count(root: Element) -> None:
    for suite in (*root.findall("testsuite"), root):
        suite.set("tests", str(len(list(suite.iter("testcase")))))
        for name, tag in _COUNTS.items():
            suite.set(name, str(len(list(suite.iter(tag)))))


def _has(parent: Element, verdict: Verdict) -> bool:
    """Whether a case shows the verdict; a pass needs a case too."""
    return parent.find(f".//{_TAGS.get(verdict, 'testcase')}") is not None


def _verdict(suite: Element, verdict: Verdict, reasons: Sequence[str]) -> None:
    """A case for what no single part decides; it is never a pass, for there is nothing in it."""
    kept: Verdict = "fail" if verdict == "fail" else "inconclusive"
    _case(suite, "verdict", kept, "; ".join(reasons) or "nothing was compared", reasons)


def _candidate(report: CandidateReport, result: VerifyResult) -> Element:
    provider = f"[{report.provider.requested}]" if report.provider else ""
    suite = Element("testsuite", name=f"{report.model}{provider}")
    for layer in report.layers:
        _case(suite, layer.name, layer.verdict, layer.difference, _layer_details(layer))
    for output in report.outputs:
        _output(suite, output)
    if not (report.layers or report.outputs):
        _verdict(suite, report.verdict, report.reasons)
        return suite  # what else there is to say, such as the coverage, is not of this candidate
    _coverage(suite, result)
    _power(suite, report)
    _special(suite, report)
    if not _has(suite, report.verdict):
        _verdict(suite, report.verdict, report.reasons)
    _say(suite, report.reasons)
    return suite


def _case(
    suite: Element,
    name: str,
    verdict: Verdict,
    message: str | None = None,
    details: Sequence[str] = (),
) -> Element:
    """One case; where it is not a pass, what is wrong in a line, and more in its text."""
    case = SubElement(suite, "testcase", classname=suite.get("name", ""), name=name)
    if verdict != "pass":
        element = SubElement(case, _TAGS[verdict], message=message or f"{name}: {verdict}")
        element.text = "\n".join(details) or message or verdict
    return case


def _layer_details(layer: LayerParity) -> list[str]:
    coverage = "unknown" if layer.coverage is None else percentage(layer.coverage)
    place = f"place: {layer.parameter or layer.name} in the reference, node {layer.node}"
    return [
        f"slopes: {'equal' if layer.slopes_equal else layer.difference or slope_word(layer)}",
        f"isolated: {tapped(layer)}",
        f"end-to-end: {moved(layer.max_abs_diff)}",
        f"reached: {coverage}",
        *([place] if layer.node else []),
    ]


def _output(suite: Element, output: OutputParity) -> None:
    wrong = f"{n_wrong(output):,} elements are wrong, by up to {output.max_abs_diff:.2e}"
    details = [
        f"max abs diff: {output.max_abs_diff:.6e}",
        f"max rel diff: {output.max_rel_diff:.6e}",
        f"limit: {'unknown' if output.limit is None else format(output.limit, '.6e')}",
        f"wrong: {output.n_mismatched:,}, not finite on one side: {output.n_nonfinite_mismatch:,}",
    ]
    _case(suite, f"output {output.name}", output.verdict, output.difference or wrong, details)


def _coverage(suite: Element, result: VerifyResult) -> None:
    """What no input reached was not checked: of no slope at all, the case is skipped."""
    coverage = result.coverage
    case = _case(suite, "coverage", "pass")
    if coverage is None:
        SubElement(case, "skipped", message="what the layers are given cannot be seen")
    elif not coverage.exercised:
        SubElement(case, "skipped", message="no slope met a negative input")
    _say(case, (reached(result), *unreached(result)))


def _power(suite: Element, report: CandidateReport) -> None:
    case = _case(suite, "power", "pass")
    if report.power is None:
        SubElement(case, "skipped", message="no slope faults were planted")
        return
    if not report.power.planted:
        SubElement(case, "skipped", message="no slope fault could be planted")
    _say(case, tuple(power_lines(report.power)))


def _special(suite: Element, report: CandidateReport) -> None:
    wrong = special_lines(report.special, documented=False)
    case = _case(suite, "special values", "fail" if wrong else "pass", "; ".join(wrong), wrong)
    if not report.layers:
        SubElement(case, "skipped", message="there is no layer to give them to")
    _say(case, special_lines(report.special, documented=True))


def _say(case: Element, lines: Sequence[str]) -> None:
    if lines:
        SubElement(case, "system-out").text = "\n".join(lines)


def _agreement(agreement: Agreement) -> Element:
    first, second = agreement.providers
    suite = Element("testsuite", name=f"{agreement.model}[{first} and {second}]")
    for output in agreement.outputs:
        _output(suite, output)
    if not _has(suite, agreement.verdict):
        _verdict(suite, agreement.verdict, (agreement_line(agreement),))
    _say(suite, (agreement_line(agreement),))
    return suite
