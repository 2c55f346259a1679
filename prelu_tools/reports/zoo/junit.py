"""Many models as JUnit's XML: a case a model. No model without a verdict looks like a pass."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from prelu_tools.core.results.batch import BatchResult, Status
from prelu_tools.reports.printable import printable
from prelu_tools.reports.zoo.rows import rows_of

_TAGS: dict[Status, str] = {"fail": "failure", "inconclusive": "error", "error": "error"}


def batch_suites(result: BatchResult) -> Element:
    """One suite; where nothing was checked, with a case that says so."""
    root = Element("testsuites", name=f"prelu-tools {result.command}")
    suite = SubElement(root, "testsuite", name=f"{result.command} of many models")
    for row, entry in zip(rows_of(result), result.entries, strict=True):
        case = SubElement(
            suite, "testcase", classname=suite.get("name", ""), name=row.name,
            time=f"{entry.seconds:.3f}",
        )  # fmt: skip
        if row.status in _TAGS:
            message = "; ".join(row.reasons) or row.status
            SubElement(case, _TAGS[row.status], message=message).text = "\n".join(row.reasons)
    if not result.entries:
        case = SubElement(suite, "testcase", classname=suite.get("name", ""), name="verdict")
        SubElement(case, "error", message="nothing was checked")
    if result.notes:
        SubElement(suite, "system-out").text = "\n".join(map(printable, result.notes))
    return root
