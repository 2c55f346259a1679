"""Is a pickle nothing but names and tensors? Decided from its operations, without executing them.

A plain pickle can neither call anything nor hash without end, so torch may read it directly. All
others are first read where they can do no harm.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LARGEST: Final = 16 << 20
_MOST: Final = 2_000_000  # operations
_LONGEST_KEY: Final = 64  # values in a tuple that is a key
_NAMES: Final = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch \w*Storage"
    r"|torch Size|torch b?float\d*|torch u?int\d+|torch bool|torch (half|double|long|int|short)"
)
_OBJECT: Final = -1  # a value that is not a key
_MARK: Final = -2
_ATOMS: Final = (
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_TUPLE",
)  # fmt: skip
_GETS: Final = ("BINGET", "LONG_BINGET")
_PUTS: Final = ("BINPUT", "LONG_BINPUT")
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def is_plain(data: bytes) -> bool:
    """Whether a pickle is plain, as far as that is certain."""
    try:
        return len(data) <= _LARGEST and _Stack().runs(data)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError):
        return False


class _Stack:
    """The stack of an unpickler: of each value how many it is made of, or that it is not a key."""

    def __init__(self) -> None:
        self._values: list[int] = []
        self._memo: dict[int, int] = {}

    def runs(self, data: bytes) -> bool:
        """Whether every operation is known, and every key is short."""
        for count, (operation, argument, _) in enumerate(pickletools.genops(data)):
            name = operation.name
            if name == "STOP":
                return len(self._values) == 1
            if count > _MOST or not self._step(name, argument):
                return False
        return False

    def _step(self, name: str, argument: object) -> bool:
        values = self._values
        if name in _ATOMS:
            values.append(1)
        elif name in _GETS and isinstance(argument, int):
            values.append(self._memo[argument])
        elif name in _PUTS and isinstance(argument, int):
            self._memo[argument] = values[-1]
        elif name == "GLOBAL":
            values.append(1)
            return _NAMES.fullmatch(str(argument)) is not None
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "MARK"):
            values.append(_MARK if name == "MARK" else _OBJECT)
        elif name in _TUPLES:
            self._tuple([values.pop() for _ in range(_TUPLES[name])])
        else:
            return name == "PROTO" or self._other(name)
        return True

    def _other(self, name: str) -> bool:
        known: dict[str, Callable[[], bool]] = {
            "TUPLE": lambda: self._tuple(self._marked()),
            "SETITEMS": lambda: self._keys(self._marked()[::2]),
            "SETITEM": lambda: self._keys([self._values.pop(), self._values.pop()][1:]),
            "APPENDS": lambda: bool(self._marked()) or True,
            "APPEND": lambda: bool(self._values.pop()),
            "BINPERSID": lambda: self._replace(1),
            "REDUCE": lambda: self._replace(2),
            "BUILD": lambda: bool(self._values.pop()),
        }
        return name in known and known[name]()

    def _marked(self) -> list[int]:
        """The values above the last mark, lowest first."""
        found = []
        while (value := self._values.pop()) != _MARK:
            found.append(value)
        return found[::-1]

    def _tuple(self, parts: list[int]) -> bool:
        whole = _OBJECT if _OBJECT in parts else min(1 + sum(parts), _LONGEST_KEY + 1)
        self._values.append(whole)
        return True

    def _replace(self, count: int) -> bool:
        del self._values[-count:]
        self._values.append(_OBJECT)
        return True

    def _keys(self, keys: list[int]) -> bool:
        return all(0 < key <= _LONGEST_KEY for key in keys)


def all_plain(path: Path) -> bool:
    """Whether the pickle in an archive of torch's is plain; False for every other file."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            small = all(archive.getinfo(name).file_size <= _LARGEST for name in names)
            return bool(names) and small and all(is_plain(archive.read(name)) for name in names)
    except Exception:  # it is not an archive, or a broken one: whoever reads it says so
        return False
