"""What a Python source reads besides its own file: the modules that it imports, and its data."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from prelu_tools.backends.source_spec import python_parts

_watched: set[str] | None = None


def is_python(sources: Sequence[str]) -> bool:
    """Whether a source is Python code, which may read anything."""
    return any(python_parts(text) is not None for text in sources)


@contextmanager
def reading() -> Iterator[set[str]]:
    """The files that this process opens for reading within the block, as Python sees them.

    Files that are not there afterwards, and those of packages that are installed, are left out; so
    are those that only a native library opens.
    """
    global _watched
    _hook()
    found: set[str] = set()
    _watched = found
    try:
        yield found
    finally:
        _watched = None
        found &= {path for path in found if os.path.isfile(path) and is_own(path)}  # noqa: PTH113


def own_modules() -> set[str]:
    """The files of all modules that this process has loaded and that are no installed package's."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return {
        os.path.abspath(path)  # noqa: PTH100
        for path in files
        if path and is_own(path) and os.path.isfile(path)  # noqa: PTH113
    }


def is_own(path: str) -> bool:
    """Whether a file belongs to the user, and not to Python, to a package or to this process."""
    where = os.path.abspath(path)  # noqa: PTH100
    return not where.startswith(_others())


@cache
def _others() -> tuple[str, ...]:
    """Where the files of others are."""
    places = [*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()]
    places += [sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[1])]
    places += ["/proc", "/sys", "/dev"]
    if os.path.basename(tempfile.gettempdir()).startswith("prelu-tools-"):  # noqa: PTH119
        places.append(tempfile.gettempdir())
    return tuple(f"{place.rstrip(os.sep)}{os.sep}" for place in places)


@cache
def _hook() -> None:
    """Record opened files; this cannot be undone, and costs little."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if _watched is None or event != "open":
            return
        path, mode, flags = arguments
        written = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(
            (flags or 0) & (os.O_WRONLY | os.O_RDWR)
        )  # fmt: skip
        if isinstance(path, (str, bytes)) and not written:
            _watched.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100

    sys.addaudithook(hear)
