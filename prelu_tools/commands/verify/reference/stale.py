"""Whether records and candidates are up to date with their source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from prelu_tools.backends.protocol.recording import RecordedFile
from prelu_tools.backends.source_spec import base_name, path_spans
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.hashing import sha256_of
from prelu_tools.core.results.reasons import (
    OTHER_VERSION,
    RECORD_IS_STALE,
    RECORD_NOT_CHECKED,
    Reason,
)
from prelu_tools.graph.io.metadata import SOURCE, SOURCE_HASH, properties

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
    exported = {
        label: said[SOURCE_HASH]
        for label, said in candidates.items()
        if said.get(SOURCE) == made_of.source and SOURCE_HASH in said
    }
    found, why_none = _hashes(Path(record).parent, made_of)
    is_current = made_of.sha256 in found.values()
    if not found:
        yield Reason(
            f"{why_none}, so whether {record} is up to date was not checked", RECORD_NOT_CHECKED
        )
    elif not is_current:
        again = "export and record" if made_of.sha256 in exported.values() else "record"
        yield Reason(
            f"{next(iter(found))} has changed since {record} was recorded: {again} it again",
            RECORD_IS_STALE,
        )
    for label, sha256 in exported.items():
        if sha256 != made_of.sha256:
            again = "record" if sha256 in found.values() else "export or record"
            yield Reason(
                f"{label} was exported from another version of {made_of.source} than "
                f"{record} was recorded from: {'export' if is_current else again} it again",
                OTHER_VERSION,
            )


def other_versions(reference: str, candidates: Mapping[str, Mapping[str, str]]) -> Iterator[Reason]:
    """A sentence for each candidate that was exported when the reference's file was different.

    Args:
        reference: the source.
        candidates: the metadata of each, by its label.
    """
    with suppress(PReLUToolsError):  # a model in memory, or a file that cannot be read
        name, files = base_name(reference), path_spans(reference)
        hashed = [
            label
            for label, said in candidates.items()
            if said.get(SOURCE) == name and SOURCE_HASH in said
        ]
        if hashed and files and "://" not in reference:
            learned = Path(reference[slice(*files[-1])])
            sha256 = sha256_of(learned)
            for label in hashed:
                if candidates[label][SOURCE_HASH] != sha256:
                    yield Reason(
                        f"{label} was exported from another version of {learned}: export it again",
                        OTHER_VERSION,
                    )


def stated_by(opened: Sequence[Linked]) -> dict[str, dict[str, str]]:
    """The metadata of each candidate that is an ONNX file, by its label."""
    graphs = {item.label: item.source.graph for item in opened}
    return {
        label: properties(graph.model.proto) for label, graph in graphs.items() if graph is not None
    }


def _hashes(beside: Path, made_of: RecordedFile) -> tuple[dict[Path, str], str]:
    """The hash of the file at each place where it was found, and why there is none."""
    named, why = Path(made_of.path), f"{made_of.path} is not here"
    found = {}
    for path in (named, beside / named, beside / named.name):
        try:
            if path.is_file() or (path / _SAVED_MODEL).is_file():
                found[path] = sha256_of(path)
        except PReLUToolsError as error:
            why = str(error)
        except (OSError, ValueError):  # a name that no file can have
            continue
    return found, why
