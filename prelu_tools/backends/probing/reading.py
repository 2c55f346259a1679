"""Numbers that Python code reads from tensors: where, and their possible other values."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

_LIBRARIES: Final = ("torch", "keras", "tensorflow")


class TooLongError(Exception):
    """A run makes far more calls than it should."""


class Place(NamedTuple):
    """The expression of the user's code that reads a number; a line may have several."""

    file: str
    """The file's path."""
    line: int
    """The line."""
    column: int
    """Where in the line the expression begins."""
    end: int
    """Where it ends."""


class Read(NamedTuple):
    """A number that Python code read out of a tensor which depends on an input."""

    place: Place
    """Where."""
    value: Any
    """What it read: a boolean, where it decides by it."""


class Readings:
    """What was read in one run; one of the reads can be replaced."""

    def __init__(
        self, replaced: int = -1, replace: Callable[[Any], Any] | None = None, most: int = 0
    ) -> None:
        """Nothing is read yet.

        Args:
            replaced: which of the reads is replaced, in order; -1 for none.
            replace: makes the other value of the one that was read.
            most: calls of the framework after which a run is given up; 0 for no limit.
        """
        self.reads: list[Read] = []
        self.calls: list[str] = []
        """The functions of the framework that were called, with their parameters and numbers."""
        self._replaced = replaced
        self._replace = replace
        self._most = most

    def note(self, call: str) -> None:
        """Take a call down.

        Raises:
            TooLongError: there are too many.
        """
        self.calls.append(call)
        if self._most and len(self.calls) > self._most:
            raise TooLongError

    def read(self, value: Any) -> Any:
        """Note a value that was read, where user code reads it; the value to go on with."""
        place = place_of_user()
        if place is None:
            return value
        if len(self.reads) == self._replaced and self._replace is not None:
            value = self._replace(value)
        self.reads.append(Read(place, value))
        return value


def place_of_user() -> Place | None:
    """Where the user's own code is; in a library, where the model is one of its modules."""
    frame: FrameType | None = sys._getframe(1)
    own = _homes("prelu_tools")
    while frame is not None and frame.f_code.co_filename.startswith(own):
        frame = frame.f_back
    first = frame
    while frame is not None and frame.f_code.co_filename.startswith(_homes(*_LIBRARIES)):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith(own):
        frame = first
    if frame is None:
        return None
    # A condition of a loop is compiled twice: its place in the text shows that it is one.
    positions = islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    _, _, column, end = next(positions, (None, None, None, None))
    return Place(frame.f_code.co_filename, frame.f_lineno, column or 0, end or 0)


def _homes(*packages: str) -> tuple[str, ...]:
    loaded = [sys.modules[name] for name in packages if name in sys.modules]
    return tuple(f"{Path(str(module.__file__)).parent}{os.sep}" for module in loaded)
