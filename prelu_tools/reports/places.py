"""Where a source's file is, as programs that show reports beside code want to know it."""

from __future__ import annotations

import re
from pathlib import PurePath, PurePosixPath
from urllib.parse import quote

from prelu_tools.reports import Style

_CODE = re.compile(r"^(.*\.py):")


def file_of(source: str, style: Style) -> str | None:
    """The file of a source, from the current folder on where it is below it; None for a module.

    Args:
        source: as the user spells it: `models/net.onnx`, `nets.py:Net(10)@weights.pt`.
        style: it knows the current folder.
    """
    code = _CODE.match(source)
    if code is None and ":" in PurePath(source).name and "/" not in source:
        return None
    path = PurePath(code[1] if code else source)
    if style.current and path.is_absolute() and path.is_relative_to(style.current):
        path = path.relative_to(style.current)
    return path.as_posix()


def uri_of(file: str, style: Style) -> str:
    """A file as a URI, from the root of the repository on where that is known."""
    path = PurePosixPath(file)
    if path.is_absolute():
        return f"file://{quote(file)}"
    return quote(str(PurePosixPath(style.folder) / path if style.folder else path))
