"""Kinds of option values: one parser each, for check files, Python and the command line."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple


class WrongValueError(ValueError):
    """A value that an option cannot have.

    Args:
        expected: what was expected, or for the command line the whole sentence.
        found: how an error in Python begins; None for the keyword and its value.
    """

    def __init__(self, expected: str, found: str | None = None) -> None:
        """Store the found and the expected value."""
        super().__init__(expected)
        self.found = found


class Kind(NamedTuple):
    """The kind of an option's value. Its functions raise WrongValueError."""

    read: Callable[[Any], Any]
    """The request's value for a plain value, as TOML has it."""
    schema: Mapping[str, Any]
    """The values that `read` accepts, as JSON Schema."""
    annotation: str = "str"
    """The type of the keyword argument."""
    in_python: str = ""
    """The expected values in Python's notation; "" to use the message of `read`."""
    from_python: Callable[[Any], Any] | None = None
    """The request's value for a keyword argument; None if `read` takes it."""
    from_text: Callable[[Any], Any] | None = None
    """The same for text of the command line, a tuple of texts where `many`; None if click knows the
    type."""
    type: Literal["text", "file", "folder", "flag", "number", "whole", "choice"] = "text"
    """As click knows it."""
    many: bool = False
    """Whether the option can be repeated on the command line."""
    low: float | None = None
    """The least number; None for any."""
    high: float | None = None
    """The largest number; None for any."""
    above: bool = False
    """Whether a number has to be above `low`."""
    words: tuple[str, ...] = ()
    """The choices."""
    is_read: bool = False
    """Whether it names a file that has to be there."""
    refuses_folder: bool = False
    """Whether the name of a folder is refused on the command line at once."""
    plain: Callable[[Any], Any] = lambda value: list(value) if isinstance(value, tuple) else value
    """The plain value that `read` takes, for the request's."""


def number(low: float, high: float | None = None, *, unit: str = "", above: bool = False) -> Kind:
    """A finite number from `low` to `high`; `unit` is such as ` of seconds`."""
    limits = f", {low:g} or more" if high is None else f" from {low:g} to {high:g}"

    def read(value: Any) -> float:
        found = finite(value)
        if found is None or found < low or (above and found == low):
            raise WrongValueError(f"a number{unit}{limits}")
        if high is not None and found > high:
            raise WrongValueError(f"a number{unit}{limits}")
        return found

    most = {} if high is None else {"maximum": high}
    return Kind(
        read, {"type": "number", "minimum": low, **most}, "float",
        f"a number{f' above {low:g}' if above else limits}",
        type="number", low=low, high=high, above=above,
    )  # fmt: skip


def whole(low: int | None = None) -> Kind:
    """A whole number, `low` or more if that is given."""
    said = "a whole number" + ("" if low is None else f", {low} or more")

    def read(value: Any) -> int:
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or (low is not None and value < low):
            raise WrongValueError(said)
        return int(value)

    least = {} if low is None else {"minimum": low}
    return Kind(read, {"type": "integer", **least}, "int", said, type="whole", low=low)


def choice(*words: str, is_checked: bool = True) -> Kind:
    """One of some words; unchecked, the command refuses others, and says why."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or (is_checked and value not in words):
            raise WrongValueError(f"one of {', '.join(words)}{did_you_mean(value, words)}")
        return value

    kind: Literal["choice", "text"] = "choice" if is_checked else "text"
    return Kind(read, {"enum": list(words)}, type=kind, words=words)


def did_you_mean(value: Any, words: Sequence[str]) -> str:
    """The end of a sentence that names the word which was meant; "" if none is near."""
    import difflib  # only where something is wrong: help starts without it

    lowered = {word.lower(): word for word in words}
    near = difflib.get_close_matches(str(value).lower(), lowered, n=1)
    return f"; did you mean {lowered[near[0]]}?" if near else ""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise WrongValueError("text that is not empty")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise WrongValueError("a list of texts, with at least one")
    if not all(isinstance(item, str) and item.strip() for item in value):
        raise WrongValueError("a list of texts that are not empty")
    return tuple(value)


def _path(value: Any) -> Path:
    return Path(_text(os.fspath(value) if isinstance(value, os.PathLike) else value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("true or false")
    return value


def _layouts(value: Any) -> dict[str, str]:
    expected = 'a table as in { reference = "nchw", candidate = "nhwc" }'
    if not isinstance(value, Mapping):
        raise WrongValueError(expected)
    for layout in value.values():
        if layout not in ("nchw", "nhwc"):
            raise WrongValueError(expected, f"layout {layout!r}")
    return dict(value)


def _layouts_of_text(given: Sequence[str]) -> dict[str, str]:
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


def _ranges(value: Any) -> dict[str, tuple[float, float]]:
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


def _ranges_of_text(given: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Each LOW,HIGH for every input, or NAME=LOW,HIGH."""
    found = {}
    for text in given:
        name, _, limits = text.rpartition("=")
        try:
            found.update(_ranges({name: limits}))
        except WrongValueError:
            raise WrongValueError(
                f"{text!r} is not a valid range: expected LOW,HIGH or NAME=LOW,HIGH, as in "
                "image=0,255"
            ) from None
    return found


def finite(value: Any) -> float | None:
    """A finite number, or None; a boolean is none."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def two_numbers(value: object) -> tuple[float, float] | None:
    """Two finite numbers from `A,B` or from a sequence; None if there are none."""
    parts: Any = _listed(value)
    if isinstance(value, str):
        try:
            parts = [float(part) for part in value.split(",")]
        except ValueError:
            return None
    found = [finite(part) for part in parts] if isinstance(parts, list) else []
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return found[0], found[1]


def _listed(value: Any) -> Any:
    """A list from an ordered iterable; anything else unchanged."""
    is_list = hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))
    return list(value) if is_list else value


PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
"""The schema of a list of two numbers."""
TWO_NUMBERS = {"type": "string", "pattern": "^[^,]+,[^,]+$"}
"""The schema of two numbers in a text."""
_TEXT = {"type": "string", "pattern": r"\S"}

TEXT = Kind(_text, _TEXT)
TEXTS = Kind(
    _texts, {"type": "array", "items": _TEXT, "minItems": 1}, "str | Sequence[str]",
    from_python=lambda value: _texts([value] if isinstance(value, str) else _listed(value)),
    many=True,
)  # fmt: skip
"""Several texts, at least one; in Python, one alone too."""
FILE = Kind(_path, _TEXT, "PathLike", type="file")
"""A file to write."""
READ_FILE = FILE._replace(is_read=True)
"""A file to read."""
OWN_FILE = FILE._replace(refuses_folder=True)
"""A file that is the tool's own, and never a folder."""
FOLDER = Kind(_path, _TEXT, "PathLike", type="folder")
VALUES = Kind(_path, _TEXT, "Values", type="file", is_read=True)
"""A file of arrays by name; in Python, such arrays too, which are written to one first."""
FLAG = Kind(
    _flag, {"type": "boolean"}, "bool", "True or False",
    lambda value: _flag(bool(value) if isinstance(value, int) and value in (0, 1) else value),
    type="flag",
)  # fmt: skip
SHARE = number(0, 1)
LAYOUTS = Kind(
    _layouts, {"type": "object", "additionalProperties": {"enum": ["nchw", "nhwc"]}},
    "Mapping[str, Layout]", "one of nchw, nhwc", from_text=_layouts_of_text, many=True,
)  # fmt: skip
"""Axis orders by name."""
RANGES = Kind(
    _ranges, {"type": "object", "additionalProperties": {"anyOf": [PAIR, TWO_NUMBERS]}},
    "Range | Mapping[str, Range]", "(low, high), as in (0, 255)",
    lambda value: _ranges(value if isinstance(value, Mapping) else {"": value}),
    _ranges_of_text, many=True,
    plain=lambda value: {name: list(limits) for name, limits in value.items()},
)  # fmt: skip
"""The values that inputs may take, by name, by "" for all others; in Python, one alone for all."""
