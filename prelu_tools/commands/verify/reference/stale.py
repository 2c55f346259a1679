"""Whether a record is up to date with its source and with the candidates' source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prelu_tools.backends.protocol.recording import RecordedFile
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.hashing import sha256_of
from prelu_tools.core.results.reasons import Reason
from prelu_tools.graph.io.metadata import SOURCE, SOURCE_HASH

_SAVED_MODEL = "saved_model.pb"


def stale_notes(
    record: str, made_of: RecordedFile, candidates: Mapping[str, Mapping[str, str]]
) -> Iterator[Reason]:
    """Whether the source's file has changed since it was recorded.

    Args:
        record: the record's file.
        made_of: the recorded source, as the file states it; untrusted.
        candidates: the metadata of each, by its label.
    """
    changed = _changed(Path(record).parent, made_of)
    if changed is not None:
        yield Reason(
            f"{changed} has changed since {record} was recorded: record it again",
            "record_is_stale",
        )
    for label, said in candidates.items():
        is_other = said.get(SOURCE_HASH, made_of.sha256) != made_of.sha256
        if is_other and said.get(SOURCE) == made_of.source:
            yield Reason(
                f"{label} was exported from another version of {made_of.source} than "
                f"{record} was recorded from: export or record it again",
                "candidate_of_other_version",
            )


def _changed(beside: Path, made_of: RecordedFile) -> Path | None:
    """The file that was found, if it differs at every place where it was found."""
    named = Path(made_of.path)
    found = {}
    for path in (named, beside / named, beside / named.name):
        with suppress(PReLUToolsError, OSError, ValueError):  # a name that no file can have
            if path.is_file() or (path / _SAVED_MODEL).is_file():
                found[path] = sha256_of(path)
    if not found or made_of.sha256 in found.values():
        return None
    return next(iter(found))
