"""The files that a result depends on, and whether they have changed."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prelu_tools.backends.remote import is_url, url_identity
from prelu_tools.backends.source_spec import parse_source_spec
from prelu_tools.core.errors import PReLUToolsError

Files = dict[str, str | None]
"""By path: a hash of the content; by URL: what its server says. None if it is unknown."""
_BLOCK = 1 << 20


def files_behind(sources: Sequence[str], beside: Iterable[Path] = ()) -> Files:
    """All files that these sources name, as they are now; a URL is not looked into.

    For a Python source, these are its own file and the weights; the files that it imports and reads
    are found as it runs (`batch/reading.py`).
    """
    found: Files = {}
    for text in sources:
        head, at, weights = text.rpartition("@")
        if is_url(text):
            found[text] = _of_url(text)
        elif at and is_url(weights):
            found[weights] = _of_url(weights)
            found |= identities(_paths(head))
        else:
            found |= identities(_paths(text))
    return found | identities(beside)


def identities(paths: Iterable[Path]) -> Files:
    """A fingerprint that shows whether these files have changed; for a folder, all files in it."""
    return {str(file): _of_file(file) for path in paths for file in _each(path)}


def is_as_it_was(files: Files) -> bool:
    """Whether every file is there and unchanged, as far as that is known."""
    for name, known in files.items():
        now = _of_url(name) if is_url(name) else _of_file(Path(name))
        if known is None or now != known:
            return False
    return bool(files)


def _of_url(url: str) -> str | None:
    try:
        return url_identity(url)
    except PReLUToolsError:
        return None


def _of_file(path: Path) -> str | None:
    """A hash of the content: builds that fix their times, `cp -p` and `tar` keep size and time."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except (OSError, ValueError):
        return None
    return f"blake2b {digest.hexdigest()}"


def _each(path: Path) -> Iterator[Path]:
    """The file; of a folder, every file in it; of an ONNX file, its external data too."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
        return
    yield path
    if path.suffix == ".onnx" and path.is_file():
        from prelu_tools.graph.io.reader import files_beside  # with onnx

        yield from (path.parent / name for name in files_beside(path))


def _paths(text: str) -> Iterator[Path]:
    try:
        source_spec = parse_source_spec(text)
    except PReLUToolsError:
        return
    if source_spec.file is not None:
        yield source_spec.file
    if source_spec.weights is not None:
        yield source_spec.weights
    if source_spec.module is not None:
        yield from _module_file(source_spec.module)


def _module_file(module: str) -> Iterator[Path]:
    if module.endswith(".py"):
        yield Path(module)
        return
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return
    if spec is not None and spec.origin:
        yield Path(spec.origin)
