"""What a pickle would run, found without running it.

A pickle is a program: it names functions by module and name, and calls them as it is loaded. Its
operations are listed with the standard library's `pickletools`, and none of them is executed.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

_LARGEST: Final = 64 << 20
_MOST: Final = 5
_MOST_IN_A_ROW: Final = 16
_MOST_OPERATIONS: Final = 500_000
_HARMLESS: Final = re.compile(
    r"collections\.OrderedDict|torch\._utils\._rebuild_\w+|torch\.\w*Storage|torch\.Size"
    r"|torch\.storage\.\w+|torch\.b?float\d*|torch\.u?int\d+|torch\.bool|torch\.device"
    r"|numpy(\._?core)?(\.multiarray|\.numeric)?\.(ndarray|dtype|_reconstruct|_frombuffer|scalar)"
)
_NUMPY: Final = re.compile(r"numpy\..*\.scalar")
_BYTES: Final = "_codecs.encode"
"""What older protocols write bytes with, as those of a NumPy scalar."""
_PUTS: Final = ("PUT", "BINPUT", "LONG_BINPUT")
_GETS: Final = ("GET", "BINGET", "LONG_BINGET")


def wanted_by(data: bytes) -> tuple[str, ...]:
    """The functions and classes that a pickle names, as `module.name`, except those for tensors.

    Whatever it cannot make out it leaves out: the answer is for an error message, and no proof that
    a pickle is harmless.
    """
    return _but_harmless(_all_named(data))


def _but_harmless(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not _HARMLESS.fullmatch(name))


def _all_named(data: bytes) -> tuple[str, ...]:
    found: dict[str, None] = {}
    stream = io.BytesIO(data[:_LARGEST])
    try:
        for _ in range(_MOST_IN_A_ROW):  # torch's older files are several, one after the other
            for name in _named(stream):
                found[name] = None
    except Exception:  # damaged, or at its end: the names so far are known
        pass
    return tuple(found)


def _named(stream: io.BytesIO) -> Iterator[str]:
    """The names in one pickle."""
    texts: list[str] = []
    memo: dict[int, str] = {}
    for operation, argument, _ in islice(pickletools.genops(stream), _MOST_OPERATIONS):
        name = operation.name
        if name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif name == "STACK_GLOBAL" and len(texts) > 1:
            yield ".".join(texts[-2:])
        elif name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif name in _PUTS and isinstance(argument, int):
            memo[argument] = texts[-1] if texts else ""
        elif name in _GETS and isinstance(argument, int):
            texts.append(memo.get(argument, ""))
        elif isinstance(argument, str):
            texts.append(argument)


def wanted_by_file(path: Path) -> tuple[str, ...]:
    """The same for a file: a pickle, or a zip archive with pickles in it, as torch.save writes."""
    return _but_harmless(_named_by_file(path))


def why_unsafe(path: Path) -> str:
    """Why a file is not loaded, as a part of a sentence: what it would run, or plainly holds."""
    named = _named_by_file(path)
    wanted = _but_harmless(named)
    if set(wanted) <= {_BYTES} and any(map(_NUMPY.fullmatch, named)):
        return "it holds NumPy scalars, which PyTorch does not load by default"
    return f"loading it would run {in_words(wanted)}"


def _named_by_file(path: Path) -> tuple[str, ...]:
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return _all_named(file.read(_LARGEST))
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            found: dict[str, None] = {}
            for name in names[:_MOST]:
                with archive.open(name) as member:
                    found |= dict.fromkeys(_all_named(member.read(_LARGEST)))
            return tuple(found)
    except Exception:
        return ()


def in_words(wanted: tuple[str, ...]) -> str:
    """The first few functions that a file would run, for a sentence."""
    if not wanted:
        return "code from the file"
    more = f" and {len(wanted) - _MOST:,} more" if len(wanted) > _MOST else ""
    return f"{', '.join(wanted[:_MOST])}{more}, which the file names"
