"""Files that git-LFS leaves in place of others until they are fetched."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError

_BEGIN, _LONGEST = b"version https://git-lfs.github.com/spec/", 1024
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""


def refuse_pointer(path: Path) -> None:
    """Reject a regular file that only says which file is to be fetched.

    Raises:
        PReLUToolsError: it is a pointer. Whoever reads a file says why it cannot be read.
    """
    begin = b""
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= _LONGEST:
            begin = path.read_bytes()
    if begin.startswith(_BEGIN):
        raise PReLUToolsError(
            f"{path} is not the file itself but a git-LFS pointer to it: run git lfs pull"
        )
