"""Models at a URL: whatever fsspec reads (https, s3, gs, file, memory) is copied first.

The copy is in a temporary folder, which is removed when the block of `downloads` or the process
ends. A file of external data that an ONNX file names is copied too. Python sources are read from
files of this machine alone: code from a URL is never run.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any

from prelu_tools.core.errors import MissingExtraError, PReLUToolsError, UsageError

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")  # a single letter is a Windows drive
_LARGEST = 20_000_000_000
_LIMIT = "PRELU_TOOLS_MAX_DOWNLOAD"
_BLOCK = 1 << 20
_SAYS_WHEN = ("mtime", "LastModified", "Last-Modified", "updated", "created", "last_modified")
_SAYS_WHAT = ("ETag", "etag", "Content-MD5", "Digest", "md5Hash", "checksum")


class _Folder:
    """A temporary folder that is made when it is needed."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self.copies: dict[str, Path] = {}

    def new(self) -> Path:
        """An empty folder."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="prelu-tools-"))
        return Path(tempfile.mkdtemp(dir=self._path))

    def remove(self) -> None:
        """All of it."""
        self.copies.clear()
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None


_of_process = _Folder()
atexit.register(_of_process.remove)
_current: ContextVar[_Folder] = ContextVar("downloads", default=_of_process)


@contextmanager
def downloads() -> Iterator[None]:
    """What is copied within the block is gone after it."""
    folder = _Folder()
    token = _current.set(folder)
    try:
        yield
    finally:
        _current.reset(token)
        folder.remove()


def is_url(text: str) -> bool:
    """Whether a source is spelled as a URL."""
    return bool(_URL.match(text))


def local_copy(url: str) -> Path:
    """A copy of what is at a URL, under its own name: a file, or a folder with all that is in it.

    Raises:
        MissingExtraError: fsspec, or what it needs for this protocol, is not installed.
        PReLUToolsError: there is nothing, or it cannot be read.
    """
    folder = _current.get()
    if url not in folder.copies:
        system, path = _opened(url)
        target = folder.new() / _name(url)
        with _readable(url):
            if _is_folder(url, system, path):
                _refuse_large(url, system.du(path))
                system.get(path.rstrip("/") + "/", str(target) + os.sep, recursive=True)
            else:
                _fetch(url, system, path, target)
        folder.copies[url] = target
        if target.suffix == ".onnx":
            _copy_external_data(system, path, target)
    return folder.copies[url]


def _is_folder(url: str, system: Any, path: str) -> bool:
    """Whether a URL is a folder; web servers are not asked, because a listing may never end."""
    if url.partition("://")[0].lower() in ("http", "https"):
        return False
    return bool(system.isdir(path))


def _fetch(url: str, system: Any, path: str, target: Path) -> None:
    """Copy a file, and no more of it than a file may have: a server may say nothing of its size."""
    stated = system.info(path).get("size")
    if isinstance(stated, int):
        _refuse_large(url, stated)
    held = 0
    with system.open(path, "rb") as source, target.open("wb") as copy:
        while block := source.read(_BLOCK):
            held += len(block)
            _refuse_large(url, held)
            copy.write(block)


def _refuse_large(url: str, size: int) -> None:
    most = largest_copy()
    if size > most:
        raise PReLUToolsError(
            f"{url} has more than {most:,} bytes, the limit for downloads: download it yourself "
            f"and use the file, or raise the limit with {_LIMIT} (in bytes)"
        )


def largest_copy() -> int:
    """Bytes that a file at a URL may have: 20 GB, or what the environment says.

    Raises:
        UsageError: the environment says no number.
    """
    text = os.environ.get(_LIMIT, str(_LARGEST))
    if not text.isdecimal():
        raise UsageError(f"{_LIMIT} is {text!r}: expected a number of bytes")
    return int(text)


def matching(pattern: str) -> list[str]:
    """The URLs of all files that fit a pattern with wildcards, in order.

    Raises:
        MissingExtraError, PReLUToolsError: as in `local_copy`.
    """
    system, path = _opened(pattern)
    with _readable(pattern):
        return sorted(_as_url(pattern, system, found) for found in system.glob(path))


def files_in(url: str) -> list[str] | None:
    """The URLs of all files below a folder, in order; None if it is none.

    Raises:
        MissingExtraError, PReLUToolsError: as in `local_copy`.
    """
    system, path = _opened(url)
    with _readable(url):
        if not system.isdir(path):
            return None
        return sorted(_as_url(url, system, found) for found in system.find(path))


def url_identity(url: str) -> str | None:
    """What changes when the content does; None if the server says nothing of the kind."""
    system, path = _opened(url)
    with _readable(url):
        facts = system.info(path)
    telling = {key: str(facts[key]) for key in (*_SAYS_WHEN, *_SAYS_WHAT) if facts.get(key)}
    return str(sorted({"size": str(facts.get("size")), **telling}.items())) if telling else None


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there."""
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtraError("fsspec", "dask", f"to read {url}") from error
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:  # fsspec says which package to install
        raise PReLUToolsError(f"{url} cannot be read: {error}") from error
    return system, str(path)


@contextmanager
def _readable(url: str) -> Iterator[None]:
    """Whatever a file system raises is a sentence."""
    try:
        yield
    except PReLUToolsError:
        raise
    except FileNotFoundError as error:
        raise PReLUToolsError(f"{url} cannot be read: there is no such file") from error
    except Exception as error:  # of a hundred libraries, each with errors of its own
        raise PReLUToolsError(f"{url} cannot be read: {type(error).__name__}: {error}") from error


def _name(url: str) -> str:
    """The last part of the path, which shows the kind of a file."""
    path = _URL.sub("", url).split("?")[0].split("#")[0].rstrip("/")
    return PurePosixPath(path).name or "model"


def _as_url(like: str, system: Any, path: str) -> str:
    if is_url(path):
        return path
    protocol = like.partition("://")[0]
    inner = str(system._strip_protocol(path))
    return f"{protocol}://{inner if protocol in ('file', 'local') else inner.lstrip('/')}"


def _copy_external_data(system: Any, path: str, target: Path) -> None:
    """Copy the files next to the graph that hold its data; its reader rejects other places."""
    from prelu_tools.graph.io.reader import files_beside  # imports onnx, which few URLs need

    base = path.rpartition("/")[0]
    for name in files_beside(target):
        copy = target.parent / name
        with _readable(f"{base}/{name}"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            _fetch(f"{base}/{name}", system, f"{base}/{name}", copy)
