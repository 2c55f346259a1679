"""JUnit XML for continuous integration: a suite for each candidate and provider.

For `verify`, a case for each layer and output, and one each for coverage, power and special values.
A failed check is a `failure`, one that could not be judged an `error`, one that was not made
`skipped`; every verdict has a case, so nothing looks like a pass that is not. A warning that a
pass proves less than it seems to is a case of its own, `skipped` with its text.

For `inspect`, a case for each layer and one for the model: a finding of severity error is a
`failure`, and so is anything that a gate (`--fail-on`, `--expect-layers`) rejects; a warning is
`skipped`, with its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.inspection import Finding, InspectResult
from prelu_tools.core.results.quantization import QuantizeResult
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity, Verdict
from prelu_tools.core.results.verification.result import Agreement, VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.sentences import (
    agreement_line,
    n_wrong,
    other_warnings,
    own_reasons,
    power_lines,
    reached,
    slope_word,
    tapped,
    unreached,
)
from prelu_tools.reports.special_values import special_lines
from prelu_tools.reports.words import moved, percentage

_TAGS = {"fail": "failure", "inconclusive": "error"}
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render(result: Result, style: Style) -> str:
    """The result as an XML document.

    Raises:
        UsageError: it is of another command than `verify`, `quantize` and `inspect`.
    """
    result = cleaned(result)
    if isinstance(result, VerifyResult):
        root = _suites(result)
    elif isinstance(result, QuantizeResult):
        root = _suites_of_quantized(result)
    elif isinstance(result, BatchResult):
        root = _suites_of_all(result) if result.command == "verify" else _suites_of_models(result)
    elif isinstance(result, InspectResult):
        root = _suites_of_layers([result])
    elif isinstance(result, CompareResult):
        root = _suites_of_layers([result.left, result.right])
    elif isinstance(result, SeriesResult):
        root = _suites_of_series(result)
    else:
        raise UsageError("junit supports only results of `verify`, `quantize` and `inspect`")
    _count(root)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suites(result: VerifyResult) -> Element:
    root = Element("testsuites", name="prelu-tools verify")
    _took(root, result.seconds)
    for report in result.candidates:
        root.append(_took(_candidate(report, result), report.seconds))
    for agreement in result.agreements:
        root.append(_agreement(agreement))
    rest = own_reasons(result)
    suite = Element("testsuite", name=result.reference)
    if (rest and result.verdict != "pass") or not _has(root, result.verdict):
        _verdict(suite, result.verdict, rest or result.reasons)
    for note in other_warnings(result):
        SubElement(_case(suite, code_of(note) or "warning", "pass"), "skipped", message=note)
    if len(suite):
        root.append(suite)
    return root


def _suites_of_quantized(result: QuantizeResult) -> Element:
    """The suites of its verification, and what else decided; without one, nothing was compared."""
    if result.verification is None:
        root = Element("testsuites", name="prelu-tools quantize")
        suite = SubElement(root, "testsuite", name=result.path)
        case = _case(suite, "verdict", "pass")
        SubElement(case, "skipped", message="nothing was compared (--no-verify)")
        return root
    root = _suites(result.verification)
    root.set("name", "prelu-tools quantize")
    own = [one for one in result.reasons if one not in result.verification.reasons]
    if own:
        suite = SubElement(root, "testsuite", name=f"{result.path}: losses")
        _verdict(suite, "fail", own)
    return root


def _took(element: Element, seconds: float) -> Element:
    """The element with its time, if that is known.

    The parts of a candidate or a model are checked together: each case has an even share, so that
    programs which add up the times of cases find the whole.
    """
    if not seconds:
        return element
    element.set("time", f"{seconds:.3f}")
    cases = element.findall("testcase")
    for case in cases:
        case.set("time", f"{seconds / len(cases):.4f}")
    return element


def _suites_of_all(result: BatchResult) -> Element:
    """The suites of each job, its name before theirs; one without a result has an error."""
    root = Element("testsuites", name="prelu-tools verify")
    for entry in result.entries:
        found = cleaned(entry.verification)
        if found is None:
            suite = SubElement(root, "testsuite", name=entry.name)
            _verdict(suite, "fail" if entry.status == "fail" else "inconclusive", entry.reasons)
            continue
        suites = list(_suites(found))
        _took(suites[0], entry.seconds)
        for suite in suites:
            if suite.get("name") != entry.name:
                suite.set("name", f"{entry.name}: {suite.get('name')}")
            for case in suite.iter("testcase"):
                case.set("classname", suite.get("name", ""))
            root.append(suite)
    _took(root, sum(entry.seconds for entry in result.entries))
    if not result.entries:
        _verdict(SubElement(root, "testsuite", name=result.path or "verify"), "inconclusive", ())
    if result.notes:
        SubElement(root[-1], "system-out").text = "\n".join(result.notes)
    return root


def _suites_of_models(result: BatchResult) -> Element:
    """A case a model; where nothing was checked, one that says so."""
    root = Element("testsuites", name=f"prelu-tools {result.command}")
    suite = SubElement(root, "testsuite", name=result.path or f"{result.command} of many models")
    for entry in result.entries:
        verdict: Verdict = "pass" if entry.status == "ok" else "inconclusive"
        verdict = "fail" if entry.status == "fail" else verdict
        message = "; ".join(entry.reasons) or entry.status
        findings = cleaned(entry.findings)
        if verdict == "pass" and findings:
            case = _findings(suite, entry.name, findings)
        else:
            case = _case(suite, entry.name, verdict, message, entry.reasons)
        _took(case, entry.seconds)
    if not result.entries:
        _verdict(suite, "inconclusive", ("nothing was checked",))
    _say(suite, result.notes)
    return root


def _suites_of_layers(results: Sequence[InspectResult]) -> Element:
    """A suite a model, a case a layer."""
    root = Element("testsuites", name="prelu-tools inspect")
    for result in results:
        suite = SubElement(root, "testsuite", name=result.path)
        _findings(suite, "model", result.findings)
        for report in result.layers:
            _findings(suite, report.layer.name, report.findings)
        if result.failures:
            _case(suite, "gates", "fail", "; ".join(result.failures), result.failures)
        _say(suite, result.notes)
        _took(suite, result.seconds)
    return _took(root, sum(result.seconds for result in results))


def _suites_of_series(result: SeriesResult) -> Element:
    """A suite with a case for the series, and one for each layer."""
    root = Element("testsuites", name="prelu-tools inspect")
    suite = SubElement(root, "testsuite", name=result.path)
    for name in (None, *(layer.name for layer in result.layers)):
        own = [finding for finding in result.findings if finding.layer == name]
        _findings(suite, name or "series", own)
    if result.failures:
        _case(suite, "gates", "fail", "; ".join(result.failures), result.failures)
    _say(suite, result.notes)
    return root


def _findings(suite: Element, name: str, findings: Sequence[Finding]) -> Element:
    """One case: the worst of its findings decides, and all are said."""
    words = [f"{one.severity} {one.code}: {one.message}" for one in findings]
    by_kind = dict(zip(words, (one.severity for one in findings), strict=True)).items()
    errors = [text for text, severity in by_kind if severity == "error"]
    warnings = [text for text, severity in by_kind if severity == "warning"]
    case = _case(suite, name, "fail" if errors else "pass", "; ".join(errors), errors)
    if warnings and not errors:
        SubElement(case, "skipped", message="; ".join(warnings))
    said = {"error"} if errors else {"error", "warning"}  # in the case's own message
    _say(case, [text for text, severity in by_kind if severity not in said])
    return case


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
    messages = [wrong.get("message", "") for tag in _TAGS.values() for wrong in suite.iter(tag)]
    _say(suite, [one for one in report.reasons if not one.startswith(tuple(messages))])
    return suite


def _case(
    suite: Element,
    name: str,
    verdict: Verdict,
    message: str | None = None,
    details: Sequence[str] = (),
) -> Element:
    """One case; if it is not a pass, what is wrong in a line, and more in its text."""
    case = SubElement(suite, "testcase", classname=suite.get("name", ""), name=name)
    if verdict != "pass":
        element = SubElement(case, _TAGS[verdict], message=message or f"{name}: {verdict}")
        element.text = "\n".join(details) or message or verdict
    return case


def _layer_details(layer: LayerParity) -> list[str]:
    coverage = "unknown" if layer.coverage is None else percentage(layer.coverage)
    place = f"place: {layer.parameter or layer.name} in the reference, node {layer.node}"
    return [
        f"slopes: {slope_word(layer)}",
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
    message = output.difference or output.doubt or wrong
    _case(suite, f"output {output.name}", output.proves, message, details)


def _coverage(suite: Element, result: VerifyResult) -> None:
    """What no input reached was not checked: of no slope at all, the case is skipped."""
    coverage = result.coverage
    case = _case(suite, "coverage", "pass")
    if coverage is None:
        SubElement(case, "skipped", message="the inputs of the layers cannot be observed")
    elif not coverage.exercised:
        SubElement(case, "skipped", message="no negative value reached any slope")
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
        SubElement(case, "skipped", message="there is no layer to test")
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
