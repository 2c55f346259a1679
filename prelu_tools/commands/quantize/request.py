"""The options of `quantize`: each declared once, for every place that offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import (
    FLAG,
    TEXT,
    Kind,
    WrongValueError,
    number,
    whole,
)
from prelu_tools.core.requests.option import Needs, option

_EXPECTED = "KEY=VALUE, as in calibrate_method=Percentile"


def _pairs(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise WrongValueError("a table as in { calibrate_method = 'Percentile' }")
    return {key: str(one) for key, one in value.items()}


def _pairs_of_text(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise WrongValueError(f"{text!r} is not a valid option: expected {_EXPECTED}")
        found[key] = value
    return found


PAIRS = Kind(
    _pairs, {"type": "object"}, "Mapping[str, object]", "a mapping from names to values",
    from_text=_pairs_of_text, many=True,
)  # fmt: skip
"""Options of another library, by name."""
_PROVEN = Needs(lambda values: values.verify, "--no-verify writes the file without a verdict")
_TIMED = Needs(lambda values: values.tune, "--no-tune times nothing")


@dataclass(frozen=True)
class QuantizeRequest:
    """What to quantize, and how."""

    source: str
    """An ONNX file, as the user spelled it."""
    output: Path
    """The file to write."""
    calibration: Path
    """An .npz file with an array for each input, or a folder of such files."""
    max_loss: float = option(
        number(0, unit=" of decibels"),
        "How many dB of signal-to-noise ratio an output may lose, compared with plain "
        "quantize_static.",
        default=1.0,
    )  # fmt: skip
    keep_float: int = option(
        whole(0),
        "How many PReLU layers may stay in floating point to meet --max-loss, starting with "
        "those that lose most; if that is not enough, the layers before them too.",
        default=2, metavar="N",
    )  # fmt: skip
    metric: str | None = option(
        TEXT,
        "Your own function that scores outputs, such as metrics.py:top1. It is called with the "
        "outputs and the data, by name, and returns a number.",
        default=None, metavar="FILE.py:NAME",
    )  # fmt: skip
    max_drop: float | None = option(
        number(0), "How far the metric may fall below its value in floating point.", default=None,
        needs=(
            Needs(lambda values: values.metric is not None, "it needs --metric FILE.py:NAME"),
            _PROVEN,
        ),
    )  # fmt: skip
    quantizer_options: Mapping[str, str] = option(
        PAIRS,
        "An option of onnxruntime's quantize_static or of its extra_options, as in "
        "calibrate_method=Percentile, activation_type=QInt8 or reduce_range=true; repeatable.",
        factory=dict, name="quantizer_option", metavar="KEY=VALUE",
    )  # fmt: skip
    tune: bool = option(
        FLAG, "Time the integer forms in the model, and use the fastest; --no-tune uses the most "
              "exact ones, and gives the same file on every machine.",
        default=True,
    )  # fmt: skip
    tune_seconds: float = option(
        number(0, above=True), "How long timing may take.", default=20.0, needs=(_TIMED,)
    )
    threads: int = option(whole(1), "Number of onnxruntime threads while timing.", default=1)
    verify: bool = option(
        FLAG, "Compare the file with the floating-point model before writing it.",
        default=True,
    )  # fmt: skip
    force: bool = option(FLAG, "Replace an existing file.", default=False)
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the source."""
