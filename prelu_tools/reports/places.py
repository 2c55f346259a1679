"""Where a source's file is, for programs that show a report next to these files."""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePath

from prelu_tools.reports import Style

_CODE = re.compile(r"(.*\.py):")
_WITH_WEIGHTS = re.compile(r"(.+?\.\w+)@.+\.\w+")


def file_of(source: str, style: Style) -> str | None:
    """The file of a source: from the root of the repository on if that is known.

    Below the current folder it is relative, elsewhere absolute, with forward slashes; None for a
    module and for what is at a URL.

    Args:
        source: as the user spells it: `models/net.onnx`, `nets.py:Net(10)@weights.pt`.
        style: it knows the current folder, and its place in the repository.
    """
    found = _CODE.match(source) or _WITH_WEIGHTS.fullmatch(source)
    file = found[1] if found else source
    if "://" in source or (not found and re.fullmatch(r"[\w.]+:[^\\/].*", source)):
        return None
    path = PurePath(file)
    if style.current and path.is_absolute() and path.is_relative_to(style.current):
        path = path.relative_to(style.current)
    return posixpath.normpath(posixpath.join(style.folder, path.as_posix()))
