"""What may stand in a check of a list of checks: each key, what its value means, what is wrong."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prelu_tools.core.layout import Layout
from prelu_tools.core.options import InputOption
from prelu_tools.core.tolerance import CALIBRATED
from prelu_tools.core.verification import Tolerance


class WrongValueError(ValueError):
    """A value that a key cannot have; its text says what was expected."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise WrongValueError("text that is not empty")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise WrongValueError("a list of texts, with at least one")
    try:
        return tuple(_text(item) for item in value)
    except WrongValueError:
        raise WrongValueError("a list of texts that are not empty") from None


def _path(value: Any) -> Path:
    return Path(_text(value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("true or false")
    return value


def _number(value: Any) -> float | None:
    """A finite number, or None; a boolean is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _share(value: Any) -> float:
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise WrongValueError("a number from 0 to 1")
    return number


def _seconds(value: Any) -> float:
    number = _number(value)
    if number is None or number < 0:
        raise WrongValueError("a number of seconds, 0 or more")
    return number


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise WrongValueError(f"a whole number, {least} or more")
        return value

    return read


def _layouts(value: Any) -> dict[str, Layout]:
    good = isinstance(value, dict) and all(item in ("nchw", "nhwc") for item in value.values())
    if not good:
        raise WrongValueError('a table as in { candidate = "nhwc" }, of nchw and nhwc')
    return dict(value)


def given_tolerance(value: object) -> Tolerance:
    """What `calibrated`, the text `RTOL,ATOL` or a pair of numbers mean.

    Raises:
        WrongValueError: it is none of these, or a number is negative or not finite.
    """
    if value == "calibrated":
        return CALIBRATED
    pair = _pair(value)
    if pair is None or min(pair) < 0:
        raise WrongValueError("calibrated, or RTOL,ATOL as in 1e-4,1e-6")
    return Tolerance(*pair, scaled=False, origin="given")


def given_range(value: object) -> tuple[float, float]:
    """What the text `LOW,HIGH` or a pair of numbers mean.

    Raises:
        WrongValueError: it is neither, a number is not finite, or LOW is not below HIGH.
    """
    pair = _pair(value)
    if pair is None or not pair[0] < pair[1]:
        raise WrongValueError("LOW,HIGH as in 0,255")
    return pair


def _pair(value: object) -> tuple[float, float] | None:
    """Two finite numbers from `A,B` or from a list; None where these are none."""
    parts: list[Any] = value if isinstance(value, list) else []
    if isinstance(value, str):
        try:
            parts = [float(part) for part in value.split(",")]
        except ValueError:
            return None
    numbers = [_number(part) for part in parts]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1]


def _ranges(value: Any) -> dict[str, tuple[float, float]]:
    try:
        if isinstance(value, dict):
            return {name: given_range(item) for name, item in value.items()}
    except WrongValueError:
        pass
    raise WrongValueError('a table as in { image = [0, 255], "" = [-1, 1] }, "" for all others')


def _inputs(value: Any) -> tuple[InputOption, ...]:
    return tuple(_input(text) for text in _texts(value))


def _input(text: str) -> InputOption:
    """NAME:DIMS, as `--input` has it."""
    name, _, dims = text.rpartition(":")
    sizes = [part.strip() for part in dims.split(",")]
    if not name or not all(s.isidentifier() or (s.isdecimal() and int(s) > 0) for s in sizes):
        raise WrongValueError("a list of NAME:DIMS, as in x:batch,3,112,112")
    return InputOption(name, tuple(int(s) if s.isdecimal() else s for s in sizes))


class Field(NamedTuple):
    """A key of a check."""

    read: Callable[[Any], Any]
    """Its value as the request has it; raises WrongValueError."""
    attribute: str
    """The name of it in the request, or in the options for sources."""
    of_source: bool = False
    """Whether it says how sources are read."""


FIELDS: Mapping[str, Field] = {
    "name": Field(_text, "name"),
    "reference": Field(_text, "reference"),
    "candidates": Field(_texts, "candidates"),
    "inputs": Field(_path, "inputs_file"),
    "providers": Field(_texts, "providers"),
    "layouts": Field(_layouts, "layouts"),
    "min_coverage": Field(_share, "min_coverage"),
    "min_power": Field(_share, "min_power"),
    "tolerance": Field(given_tolerance, "tolerance"),
    "samples": Field(_whole(1), "samples"),
    "seed": Field(_whole(0), "seed"),
    "search_seconds": Field(_seconds, "search_seconds"),
    "power": Field(_flag, "power"),
    "layers": Field(_flag, "layers"),
    "allow_fallback": Field(_flag, "allow_fallback"),
    "allow_no_prelu": Field(_flag, "allow_no_prelu"),
    "input_range": Field(_ranges, "ranges"),
    "input": Field(_inputs, "inputs", of_source=True),
    "custom_objects": Field(_texts, "custom_objects", of_source=True),
    "allow_unsafe_load": Field(_flag, "allow_unsafe_load", of_source=True),
}
"""Every key that a check may have."""


def shown(value: object) -> str:
    """A value of the file in a few characters."""
    return reprlib.repr(value)


def suggestion(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words, or all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
