"""What may stand in a check of a list of checks: each key, what its value means, what is wrong."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prelu_tools.core.options import InputOption
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.core.results.verification import Tolerance
from prelu_tools.core.rounding.tolerance import CALIBRATED


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
    schema: Mapping[str, Any]
    """What `read` takes, as JSON Schema has it."""
    help: str
    """What it says, in a line."""
    example: str
    """A value, as TOML writes it."""
    of_source: bool = False
    """Whether it says how sources are read."""


_TEXT = {"type": "string", "pattern": r"\S"}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
_FLAG = {"type": "boolean"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_ONE_PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_TWO_NUMBERS = {"type": "string", "pattern": "^[^,]+,[^,]+$"}
_NOT_NEGATIVE = {**_ONE_PAIR, "items": {"type": "number", "minimum": 0}}

FIELDS: Mapping[str, Field] = {
    "name": Field(
        _text, "name", _TEXT, "what to call it; {stem} and the like follow the reference's glob",
        '"detector"',
    ),
    "reference": Field(
        _text, "reference", _TEXT, "the source that is right; a glob makes a check of each match",
        '"nets.py:Net@weights.pt"',
    ),
    "candidates": Field(
        _texts, "candidates", _TEXTS,
        "what is compared with it; globs, and {stem}, {name}, {folder} of the reference's match",
        '["net.onnx"]',
    ),
    "inputs": Field(
        _path, "inputs_file", _TEXT, "a file of inputs to replay; {stem} and the like as above",
        '"batch.npz"',
    ),
    "providers": Field(
        _texts, "providers", _TEXTS, "execution providers for ONNX; each is checked",
        '["cpu", "cuda"]',
    ),
    "layouts": Field(
        _layouts, "layouts",
        {"type": "object", "additionalProperties": {"enum": ["nchw", "nhwc"]}},
        "axis orders, by reference, candidate or a model", '{ candidate = "nhwc" }',
    ),
    "min_coverage": Field(
        _share, "min_coverage", _SHARE,
        "share of all slopes whose negative branch the inputs have to reach", "1.0",
    ),
    "min_power": Field(
        _share, "min_power", _SHARE, "share of planted slope faults that has to be caught", "1.0"
    ),
    "tolerance": Field(
        given_tolerance, "tolerance",
        {"anyOf": [{"const": "calibrated"}, _NOT_NEGATIVE, _TWO_NUMBERS]},
        "by the reference's own rounding, or [RTOL, ATOL]", '"calibrated"',
    ),
    "samples": Field(
        _whole(1), "samples", {"type": "integer", "minimum": 1}, "how many inputs to draw", "16"
    ),
    "seed": Field(_whole(0), "seed", {"type": "integer", "minimum": 0}, "of the inputs", "0"),
    "search_seconds": Field(
        _seconds, "search_seconds", {"type": "number", "minimum": 0},
        "how long to look for inputs that reach slopes which no draw reached", "5",
    ),
    "power": Field(
        _flag, "power", _FLAG, "whether to plant slope faults, to see what would be caught", "true"
    ),
    "layers": Field(
        _flag, "layers", _FLAG, "whether to look at every layer as the models run", "true"
    ),
    "allow_fallback": Field(
        _flag, "allow_fallback", _FLAG, "take nodes that run on another provider than asked",
        "false",
    ),
    "strict_special": Field(
        _flag, "strict_special", _FLAG,
        "fail a layer that differs for infinite or NaN inputs only", "false",
    ),
    "strict_interface": Field(
        _flag, "strict_interface", _FLAG,
        "fail where names, types or sizes of inputs and outputs differ", "false",
    ),
    "allow_no_prelu": Field(
        _flag, "allow_no_prelu", _FLAG, "let models without any PReLU pass on their outputs",
        "false",
    ),
    "input_range": Field(
        _ranges, "ranges",
        {"type": "object", "additionalProperties": {"anyOf": [_ONE_PAIR, _TWO_NUMBERS]}},
        'the values that inputs may take, "" for all others', "{ image = [0, 255] }",
    ),
    "input": Field(
        _inputs, "inputs", {**_TEXTS, "items": {"type": "string", "pattern": "^.+:[^:]+$"}},
        "shapes of inputs, where the source does not know them", '["x:batch,3,112,112"]',
        of_source=True,
    ),
    "custom_objects": Field(
        _texts, "custom_objects", _TEXTS, "where a Keras file's own classes are", '["layers.py"]',
        of_source=True,
    ),
    "allow_unsafe_load": Field(
        _flag, "allow_unsafe_load", _FLAG, "load pickles and Lambda layers that may run code",
        "false", of_source=True,
    ),
}  # fmt: skip
"""Every key that a check may have."""
NEEDED = ("reference", "candidates")
"""What every check needs."""


def shown(value: object) -> str:
    """A value of the file in a few characters."""
    return reprlib.repr(value)


def suggestion(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words, or all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
