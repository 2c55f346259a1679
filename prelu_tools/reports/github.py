"""GitHub's workflow commands: an annotation for each check that did not pass, where it is declared.

What stands in a log line of a runner may be taken for a command; nothing of a model's names is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.facts import reached
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.zoo.rows import headline

_MOST_REASONS = 20
_TITLE = "prelu-tools verify"
_NOTHING = "\u200b"  # takes no room


def render(result: Result, style: Style) -> str:
    """A line for the log and an annotation for each check that is not a pass, and the verdict.

    Raises:
        UsageError: it is not of `verify`.
    """
    result = cleaned(result)
    if isinstance(result, VerifyResult):
        return "".join(_one(result, style))
    if isinstance(result, BatchResult):
        return "".join(_batch(result, style))
    raise UsageError("github supports only results of `verify`")


def annotation(
    level: str,
    title: str,
    message: str,
    folder: str = "",
    file: str | None = None,
    line: int | None = None,
) -> str:
    """A workflow command, on a line of its own.

    Args:
        level: `error`, `warning` or `notice`.
        title: what it is called.
        message: what it says; it may have several lines.
        folder: the place in the repository that `file` is in.
        file: what it is about; None for nothing of the repository.
        line: where in it, from 1.
    """
    properties = {"title": title}
    if file is not None:
        properties = {"file": f"{folder}/{file}" if folder else file, **properties}
        if line is not None:
            properties = {**properties, "line": str(line)}
    order = [(key, properties[key]) for key in ("file", "line", "title") if key in properties]
    said = ",".join(f"{key}={_property(value)}" for key, value in order)
    return f"::{level} {said}::{_data(message)}\n"


def _one(result: VerifyResult, style: Style) -> Iterator[str]:
    if result.verdict != "pass":
        title = f"{_TITLE}: {result.reference}: {result.verdict}"
        yield annotation("error", title, _text(result.reasons), style.folder)
    yield _line(f"{result.verdict.upper()}  {result.reference}: {reached(result)}")


def _batch(result: BatchResult, style: Style) -> Iterator[str]:
    for entry in result.entries:
        yield _line(f"{entry.status} {entry.name}")
        if entry.status != "pass":
            title = f"{_TITLE}: {entry.name}: {entry.status}"
            place = (style.folder, entry.file, entry.line)
            yield annotation("error", title, _text(entry.reasons), *place)
    if not result.entries:
        yield annotation("error", _TITLE, "nothing was checked", style.folder, result.path)
    yield _line(f"{result.status.upper()}  {headline(result)}")


def _text(reasons: Iterable[str]) -> str:
    lines = list(reasons) or ["nothing was compared"]
    rest = len(lines) - _MOST_REASONS
    return "\n".join([*lines[:_MOST_REASONS], *([f"and {rest:,} more"] if rest > 0 else [])])


def _line(text: str) -> str:
    """A line that is not a command: these start with `::`, or have `##[` anywhere."""
    words = " ".join(text.split()).replace("##[", f"##{_NOTHING}[")
    return f"{_NOTHING if words.startswith('::') else ''}{words}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
