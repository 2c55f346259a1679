"""What is known to speak against a pair before anything is run."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from prelu_tools.backends.source_spec import python_parts
from prelu_tools.batch.init.references import OnnxFile, Reference
from prelu_tools.commands.verify.reference.stale import other_versions, stale_notes
from prelu_tools.core.python_code import read_code
from prelu_tools.core.results.reasons import Reason, as_reason, warnings_of

_WORD = "prelu"  # PReLU, MyPReLU, aten.prelu
_MOST_BYTES = 500_000_000
_GRAPHS = ("saved_model.pb", "keras_metadata.pb")


def doubts_of(reference: Reference, models: Sequence[OnnxFile]) -> Iterator[Reason]:
    """What speaks against comparing models with a reference, as far as their files say.

    Args:
        reference: the reference.
        models: the candidates, the one that was paired with it first.
    """
    label, first = reference.label, models[0]
    for model in models:
        if not model.has_prelu:
            yield Reason(
                f"{model.path.as_posix()} has no PReLU, but {label} has: if its export lost the "
                "slopes, its check will fail",
                "prelu_lost",
            )
    if reference.paired_by != "metadata" and first.stated is not None:
        why = "has the same name" if reference.paired_by == "name" else "is the only one here"
        yield Reason(
            f"{first.path.as_posix()} says that it was exported from {first.stated.label}, which "
            f"was not found; it is compared with {label}, which {why}",
            "paired_by_name",
        )
    said = {model.path.as_posix(): model.said for model in models}
    made = reference.recording
    if made is None:
        yield from other_versions(label, said)
    elif made.source_file is not None:
        notes = stale_notes(label, made.source_file, said)
        yield from map(as_reason, warnings_of(notes))


def mentions_prelu(reference: Reference, folder: Path) -> bool:
    """Whether a reference has a PReLU, as far as its text says.

    Args:
        reference: a record, a model file, or a class or function.
        folder: what it is relative to.
    """
    if reference.recording is not None:
        return bool(reference.recording.layers)
    parts = python_parts(reference.label)
    if parts is None:
        return _file_mentions(folder / reference.label)
    module, _, call = parts[0].partition(":")
    code = read_code(folder / module)
    if code is None:
        return False
    texts = {maker.name: ast.unparse(maker.node) for maker in code.makers}
    left, seen = [call.partition("(")[0]], set[str]()
    while left:
        name = left.pop()
        text = texts.get(name, "")
        if _WORD in text.lower():
            return True
        seen.add(name)
        left += [other for other in texts if other in text and other not in seen]
    return False


def _file_mentions(path: Path) -> bool:
    """Whether the part of a model file that describes its layers has the word."""
    with suppress(OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return any(_WORD.encode() in part.lower() for part in _descriptions(path))
    return False


def _descriptions(path: Path) -> Iterator[bytes]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                if one.filename.endswith(".json") and one.file_size < _MOST_BYTES:
                    yield archive.read(one)
        return
    for file in [path / name for name in _GRAPHS] if path.is_dir() else [path]:
        if file.is_file() and file.stat().st_size < _MOST_BYTES:
            yield file.read_bytes()
