"""Files that git-LFS leaves in place of others until they are fetched."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError

_BEGIN, _LONGEST = b"version https://git-lfs.github.com/spec/", 1024
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""


def refuse_pointer(path: Path) -> None:
    """Reject a regular file that only says which file is to be fetched.

    Raises:
        OSError: it cannot be read.
        PReLUToolsError: it is a pointer.
    """
    if not path.is_file() or path.stat().st_size > _LONGEST:
        return
    if path.read_bytes().startswith(_BEGIN):
        raise PReLUToolsError(
            f"{path} is not the file itself but a git-LFS pointer to it: run git lfs pull"
        )
