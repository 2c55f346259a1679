"""The environment of a step on a GitHub runner, and its summary."""

from __future__ import annotations

import os
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError

MOST_BYTES = 1_000_000
"""The size limit of a step's summary; GitHub drops a summary of more than 1 MiB altogether."""
_CUT = "\n\n*Truncated: a summary is limited to 1 MB.*\n"


def folder() -> str:
    """The current folder as seen from the root of the repository; "" if that is itself."""
    root = os.environ.get("GITHUB_WORKSPACE")
    if not root:
        return ""
    here, above = Path.cwd().resolve(), Path(root).resolve()
    return "" if here == above or above not in here.parents else here.relative_to(above).as_posix()


def is_summary(path: str) -> bool:
    """Whether a file is the step's summary, which all that the step runs has in common."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    return bool(summary) and Path(path).resolve() == Path(summary or "").resolve()


def append_summary(markdown: str) -> None:
    """Put blocks of Markdown after what is in the step's summary; nothing if there is none.

    A block that is too long is cut, with a note.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    path = Path(name)
    try:
        there = path.stat().st_size if path.exists() else 0
        room = MOST_BYTES - there - 2
        text = markdown.encode("utf-8", "backslashreplace")
        if len(text) > room:
            kept = text[: max(0, room - len(_CUT))].rpartition(b"\n\n")[0]
            text = kept + _CUT.encode() if room > len(_CUT) else b""
        with path.open("ab") as file:
            file.write((b"\n" if there else b"") + text)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error
