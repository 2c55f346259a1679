"""Files that Git LFS leaves in place of others until they are fetched."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError

_BEGIN, _LONGEST = b"version https://git-lfs.github.com/spec/", 1024
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
_SHA256 = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)


def refuse_pointer(path: Path) -> None:
    """Reject a regular file that only says which file is to be fetched.

    Raises:
        PReLUToolsError: it is a pointer. Whoever reads a file says why it cannot be read.
    """
    if _pointer(path):
        raise PReLUToolsError(f"{path} is a Git LFS pointer, not the file: run git lfs pull")


def pointed_sha256(path: Path) -> str | None:
    """The hash of the file that a pointer stands for; None if it is no pointer."""
    found = _SHA256.search(_pointer(path))
    return None if found is None else found[1].decode()


def _pointer(path: Path) -> bytes:
    """The text of a pointer; nothing of another file."""
    begin = b""
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= _LONGEST:
            begin = path.read_bytes()
    return begin if begin.startswith(_BEGIN) else b""
