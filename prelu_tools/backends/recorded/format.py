"""The file of a record: an `.npz` file with a header in JSON (docs/reference/record.md)."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from prelu_tools.backends.protocol.recording import Recording
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.documents import Stored, WrongDocumentError, flatten, rebuild
from prelu_tools.core.files.npz import NpzFile, write_arrays
from prelu_tools.core.results.reasons import listed

FORMAT: Final = "prelu-tools record"
VERSION: Final = 1
"""The version of the format. A reader rejects a newer one; optional additions keep the number."""
_HEADER: Final = "header"
_LARGEST_HEADER: Final = 16 << 20
_BFLOAT16: Final = "bfloat16"
"""Key of the names of arrays that are of this type, which numpy's files do not know: their bits are
stored as uint16."""


def write_recording(path: Path, recording: Recording) -> None:
    """Write a record: the same bytes for the same record.

    Raises:
        OSError: it cannot be written.
    """
    arrays: dict[str, Stored] = {}
    body = flatten(recording, arrays)
    with_bits: list[str] = []

    def storable(name: str, stored: Stored) -> Array:
        values = stored.load()
        if values.dtype.name != _BFLOAT16:
            return values
        with_bits.append(name)
        return values.view(np.uint16)

    def header() -> Array:
        document = {"format": FORMAT, "format_version": VERSION, _BFLOAT16: with_bits, **body}
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return np.frombuffer(text.encode(), np.uint8)

    members = [(name, partial(storable, name, stored)) for name, stored in arrays.items()]
    with path.open("wb") as file:
        write_arrays(file, [*members, (_HEADER, header)])


def read_recording(path: Path, label: str) -> Recording:
    """Read the header of a record; an array is read when it is needed.

    Args:
        path: the file.
        label: what to call it.

    Raises:
        PReLUToolsError: it is not a record, is damaged, or is of a newer format.
    """
    file = NpzFile(path)
    try:
        for fault in file.faults():
            raise PReLUToolsError(f"{label} is rejected: {fault}")
        document = _document(file, label)
        with_bits = rebuild(frozenset[str], document.get(_BFLOAT16, []), file.array, _BFLOAT16)
        found: Recording = rebuild(Recording, document, partial(_array, file, with_bits))
    except WrongDocumentError as error:
        file.close()
        raise PReLUToolsError(f"{label} is damaged: in its header, {error}") from error
    except BaseException:
        file.close()
        raise
    return found


def _document(file: NpzFile, label: str) -> dict[str, Any]:
    if _HEADER not in file.names:
        raise PReLUToolsError(_no_record(file, label))
    size = file.n_bytes(_HEADER)
    if size > _LARGEST_HEADER:
        raise PReLUToolsError(
            f"{label} is rejected: its header has {size:,} bytes, more than {_LARGEST_HEADER:,}"
        )
    try:
        document = json.loads(file.array(_HEADER).astype(np.uint8).tobytes())
    except (ValueError, RecursionError) as error:
        raise PReLUToolsError(f"{label} is damaged: its header is not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PReLUToolsError(_no_record(file, label))
    version = document.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise PReLUToolsError(f"{label} is damaged: its format_version is {version!r:.60}")
    if version > VERSION:
        raise PReLUToolsError(
            f"{label} is a record of format {version}, but this version of prelu-tools reads "
            f"formats up to {VERSION}: update it (pip install -U prelu-tools), or record the "
            "model again"
        )
    return document


def _no_record(file: NpzFile, label: str) -> str:
    has = listed(file.names, 3) or "of none"
    return (
        f"{label} is not a record of a model (it has the arrays {has}): expected "
        "a file that `prelu-tools record` wrote; pass inputs with --inputs"
    )


def _array(file: NpzFile, with_bits: Collection[str], name: str) -> Array:
    values = file.array(name)
    if name in with_bits and values.dtype == np.uint16:
        import ml_dtypes

        return values.view(ml_dtypes.bfloat16)
    return values
