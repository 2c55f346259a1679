"""The hash of a file or of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.pointers import pointed_sha256, refuse_pointer

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """The hash of a file; of a folder, of the names and contents of all files in it, in order.

    The hash of a Git LFS pointer is that of the file it stands for.

    Raises:
        PReLUToolsError: it cannot be read, or is a folder with a pointer in it.
    """
    if (pointed := pointed_sha256(path)) is not None:
        return pointed
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    try:
        for file in files:
            if file != path:
                refuse_pointer(file)
                digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
            with file.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    digest.update(block)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
