"""Kinds of option values: one parser each, for check files, Python and the command line."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


class WrongValueError(ValueError):
    """A value that an option cannot have.

    Args:
        expected: what was expected, or for the command line the whole sentence.
        found: how an error in Python begins; None for the keyword and its value.
    """

    def __init__(self, expected: str, found: str | None = None) -> None:
        """Keep what was found beside what was expected."""
        super().__init__(expected)
        self.found = found


@dataclass(frozen=True)
class Kind:
    """What the value of an option may be."""

    annotation: ClassVar[str] = "str"
    """The type of the keyword argument."""
    many: ClassVar[bool] = False
    """Whether the option can be repeated on the command line."""
    reads_text: ClassVar[bool] = False
    """Whether `from_text` has work to do: click reads all other kinds."""

    def read(self, value: Any) -> Any:
        """The request's value for a plain value, as TOML has it.

        Raises:
            WrongValueError: this kind does not take the value.
        """
        if not isinstance(value, str) or not value.strip():
            raise WrongValueError("text that is not empty")
        return value

    def from_python(self, value: Any) -> Any:
        """The same for a keyword argument."""
        return self.read(value)

    def from_text(self, given: Any) -> Any:
        """The same for text of the command line; a tuple of texts where `many`."""
        return given

    @property
    def in_python(self) -> str:
        """What a caller in Python is told was expected; "" for what `read` says."""
        return ""

    @property
    def schema(self) -> dict[str, Any]:
        """What `read` takes, as JSON Schema."""
        return {"type": "string", "pattern": r"\S"}


@dataclass(frozen=True)
class Texts(Kind):
    """Several texts, at least one; in Python, one alone too."""

    annotation = "str | Sequence[str]"
    many = True

    def read(self, value: Any) -> tuple[str, ...]:
        """A tuple of a list."""
        if not isinstance(value, list) or not value:
            raise WrongValueError("a list of texts, with at least one")
        if not all(isinstance(item, str) and item.strip() for item in value):
            raise WrongValueError("a list of texts that are not empty")
        return tuple(value)

    def from_python(self, value: Any) -> tuple[str, ...]:
        """A text alone is a list of one."""
        return self.read([value] if isinstance(value, str) else _listed(value))

    @property
    def schema(self) -> dict[str, Any]:
        """An array."""
        return {"type": "array", "items": TEXT.schema, "minItems": 1}


@dataclass(frozen=True)
class File(Kind):
    """A path."""

    annotation = "PathLike"
    folder: bool = False
    """Whether it has to be a folder, where it exists."""

    def read(self, value: Any) -> Path:
        """Any text that is not empty."""
        return Path(super().read(value))

    def from_python(self, value: Any) -> Path:
        """A path too."""
        return self.read(os.fspath(value) if isinstance(value, os.PathLike) else value)


@dataclass(frozen=True)
class Values(File):
    """A file of arrays by name; in Python, such arrays too, which are written to one first."""

    annotation = "Values"


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    annotation = "bool"

    def read(self, value: Any) -> bool:
        """No number and no text is one."""
        if not isinstance(value, bool):
            raise WrongValueError("true or false")
        return value

    def from_python(self, value: Any) -> bool:
        """0 and 1 are, in Python."""
        return self.read(bool(value) if isinstance(value, int) and value in (0, 1) else value)

    @property
    def in_python(self) -> str:
        """In Python's words."""
        return "True or False"

    @property
    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Number(Kind):
    """A finite number within limits, both of which are allowed."""

    annotation = "float"
    low: float
    high: float = math.inf
    unit: str = ""
    """Such as ` of seconds`."""
    above: bool = False
    """Whether it has to be above `low`."""

    def read(self, value: Any) -> float:
        """A float."""
        number = finite(value)
        in_range = number is not None and self.low <= number <= self.high
        if number is None or not in_range or (self.above and number == self.low):
            most = f" from {self.low:g} to {self.high:g}"
            limits = f", {self.low:g} or more" if self.high == math.inf else most
            raise WrongValueError(f"a number{self.unit}{limits}")
        return number

    @property
    def in_python(self) -> str:
        """The limits."""
        if self.above:
            return f"a number above {self.low:g}"
        limits = "on" if self.high == math.inf else f"to {self.high:g}"
        return f"a number from {self.low:g} {limits}"

    @property
    def schema(self) -> dict[str, Any]:
        """A number."""
        most = {} if self.high == math.inf else {"maximum": self.high}
        return {"type": "number", "minimum": self.low, **most}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number; none is below `low`, where that is given."""

    annotation = "int"
    low: int | None = None

    def read(self, value: Any) -> int:
        """An int; no boolean."""
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or (self.low is not None and value < self.low):
            least = "" if self.low is None else f", {self.low} or more"
            raise WrongValueError(f"a whole number{least}")
        return int(value)

    @property
    def in_python(self) -> str:
        """The limit."""
        return "a whole number" + ("" if self.low is None else f" from {self.low} on")

    @property
    def schema(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", **({} if self.low is None else {"minimum": self.low})}


@dataclass(frozen=True)
class Choice(Kind):
    """One of some words."""

    words: tuple[str, ...]
    is_checked: bool = True
    """Whether others are refused here, and not by the command, which says why."""

    def read(self, value: Any) -> str:
        """The word."""
        if not isinstance(value, str) or (self.is_checked and value not in self.words):
            raise WrongValueError(f"one of {', '.join(self.words)}")
        return value

    @property
    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Layouts(Kind):
    """Axis orders by name."""

    annotation = "Mapping[str, Layout]"
    many = True
    reads_text = True

    def read(self, value: Any) -> dict[str, str]:
        """A table of nchw and nhwc."""
        if not isinstance(value, Mapping):
            raise WrongValueError(self._expected)
        for layout in value.values():
            if layout not in ("nchw", "nhwc"):
                raise WrongValueError(self._expected, f"layout {layout!r}")
        return dict(value)

    def from_text(self, given: Sequence[str]) -> dict[str, str]:
        """Each NAME=nchw or NAME=nhwc."""
        found = {}
        for text in given:
            name, _, layout = text.rpartition("=")
            if not name or layout not in ("nchw", "nhwc"):
                raise WrongValueError(
                    f"{text!r} is not a valid layout: expected NAME=nchw or NAME=nhwc, where NAME "
                    "is reference, candidate or a model's path"
                )
            found[name] = layout
        return found

    _expected: ClassVar[str] = 'a table as in { candidate = "nhwc" }, of nchw and nhwc'

    @property
    def in_python(self) -> str:
        """The layouts."""
        return "one of nchw, nhwc"

    @property
    def schema(self) -> dict[str, Any]:
        """An object."""
        return {"type": "object", "additionalProperties": {"enum": ["nchw", "nhwc"]}}


@dataclass(frozen=True)
class Ranges(Kind):
    """The values that inputs may take, by name; by "" for all others."""

    annotation = "Range | Mapping[str, Range]"
    many = True
    reads_text = True

    def read(self, value: Any) -> dict[str, tuple[float, float]]:
        """A table of [LOW, HIGH] or `LOW,HIGH`."""
        expected = 'a table as in { image = [0, 255], "" = [-1, 1] }, "" for all others'
        if not isinstance(value, Mapping):
            raise WrongValueError(expected)
        found = {}
        for name, limits in value.items():
            pair = two_numbers(limits)
            if pair is None or not pair[0] < pair[1]:
                raise WrongValueError(expected, f"range {limits!r}")
            found[name] = pair
        return found

    def from_python(self, value: Any) -> dict[str, tuple[float, float]]:
        """One range alone is for every input."""
        return self.read(value if isinstance(value, Mapping) else {"": value})

    def from_text(self, given: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Each LOW,HIGH for every input, or NAME=LOW,HIGH."""
        found = {}
        for text in given:
            name, _, limits = text.rpartition("=")
            try:
                found.update(self.read({name: limits}))
            except WrongValueError:
                raise WrongValueError(
                    f"{text!r} is not a range: expected LOW,HIGH or NAME=LOW,HIGH, as in "
                    "image=0,255"
                ) from None
        return found

    @property
    def in_python(self) -> str:
        """Of one range."""
        return "(low, high), as in (0, 255)"

    @property
    def schema(self) -> dict[str, Any]:
        """An object."""
        return {"type": "object", "additionalProperties": {"anyOf": [PAIR, TWO_NUMBERS]}}


TEXT, TEXTS, FLAG, SHARE = Kind(), Texts(), Flag(), Number(0, 1)
PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
"""The schema of a list of two numbers."""
TWO_NUMBERS = {"type": "string", "pattern": "^[^,]+,[^,]+$"}
"""The schema of two numbers in a text."""


def finite(value: Any) -> float | None:
    """A finite number, or None; a boolean is none."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def two_numbers(value: object) -> tuple[float, float] | None:
    """Two finite numbers from `A,B` or from a sequence; None where there are none."""
    if isinstance(value, str):
        try:
            parts: Any = [float(part) for part in value.split(",")]
        except ValueError:
            return None
    else:
        parts = _listed(value)
    found = [finite(part) for part in parts] if isinstance(parts, list) else []
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return found[0], found[1]


def _listed(value: Any) -> Any:
    """A list of what can be gone through in order; anything else as it is."""
    is_list = hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))
    return list(value) if is_list else value
