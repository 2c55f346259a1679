"""A recorded run of a source, which replaces it where its framework is not installed."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.recorded.format import read_recording
from prelu_tools.backends.recorded.source import RecordedSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, label: str, _options: SourceOptions) -> RecordedSource:
    """Read the facts of a record; its arrays are read when they are needed.

    Raises:
        PReLUToolsError: it is not a record, is damaged, or is of a newer format.
    """
    return RecordedSource(label, read_recording(path, label))


def is_record(path: Path) -> bool:
    """Whether a file is a record that can be read."""
    try:
        read_recording(path, str(path))
    except PReLUToolsError:
        return False
    return True
