"""Signs of a hostile zip archive."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_START: Final = b"PK\x03\x04"
_KNOWN: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may take any amount of memory


def faults_of(archive: zipfile.ZipFile, path: Path) -> Iterator[str]:
    """What is wrong with an archive, as the end of a sentence about it.

    Args:
        archive: open.
        path: its file.
    """
    with path.open("rb") as file:
        if file.read(len(_START)) != _START:
            yield "it has other data before the zip archive, so it can be read in two ways"
    seen: set[str] = set()
    for info in archive.infolist():
        name = info.filename
        if name in seen:
            yield f"it has {name!r} twice"
        seen.add(name)
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[:1]:
            yield f"its {name!r} is outside the archive"
        if stat.S_ISLNK(info.external_attr >> 16):
            yield f"its {name!r} is a link"
        if info.compress_type not in _KNOWN:
            yield f"its {name!r} is compressed by an unsupported method"
