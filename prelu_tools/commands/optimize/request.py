"""What a user may ask of `optimize`: each option once, for every place that offers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SHAPES, SourceOptions
from prelu_tools.core.requests.kinds import (
    FILE,
    FLAG,
    TEXT,
    VALUES,
    Kind,
    WrongValueError,
    choice,
    number,
    whole,
)
from prelu_tools.core.requests.option import option

if TYPE_CHECKING:
    from prelu_tools.core.results.optimization import Exactness, Target


def _exact(value: Any) -> Exactness:
    """The text, or what it stands for; what is wrong with a text is a UsageError."""
    from prelu_tools.core.results.optimization import Exactness

    return value if isinstance(value, Exactness) else Exactness.parse(str(value))


def _exact_of_text(given: str) -> Exactness:
    try:
        return _exact(given)
    except UsageError as error:
        raise WrongValueError(str(error)) from error


EXACTNESS = Kind(_exact, TEXT.schema, "str | Exactness", from_text=_exact_of_text)
"""A kind of exactness, or `approximate=ULPS`."""


def _exactness() -> Exactness:
    from prelu_tools.core.results.optimization import Exactness  # with numpy, which help can spare

    return Exactness()


@dataclass(frozen=True)
class OptimizeRequest:
    """What to optimize, and how."""

    source: str
    """An ONNX file, as the user spelled it."""
    output: Path
    """The file to write."""
    target: Target = option(
        choice("onnxruntime-cpu", "portable", "onnxruntime-cuda", "openvino", "tensorrt"),
        "What it is to run on; all but onnxruntime-cpu get one PRelu node a call.",
        default="onnxruntime-cpu",
    )  # fmt: skip
    exact: Exactness = option(
        EXACTNESS,
        "layer: each layer gives what PRelu gives for every finite input; bitwise: the model's "
        "outputs keep their bits too, on this machine; special: infinities and NaN too; "
        "approximate: a layer may be off by ULPS.",
        default="layer", factory=_exactness,
        metavar="layer|bitwise|special|approximate=ULPS",
        complete=("layer", "bitwise", "special", "approximate="),
    )  # fmt: skip
    """How equal a form has to be to a PRelu node."""
    tune: bool | None = option(
        FLAG,
        "Time the forms in the model; by default where it runs in under a second. --no-tune "
        "takes what a cost model says, the same on every machine.",
        default=None,
    )  # fmt: skip
    tune_seconds: float = option(number(0, above=True), "How long that may take.", default=30.0)
    choices: Path | None = option(
        FILE, "Take the choices of a run before again, from its --report json=FILE.",
        default=None, metavar="FILE",
    )  # fmt: skip
    inputs_file: Path | None = option(
        VALUES,
        "Inputs to time with, and to compare the outputs' bits on; without it, they are drawn.",
        default=None, name="inputs", metavar="FILE.npz",
    )  # fmt: skip
    threads: int = option(whole(1), "Threads of onnxruntime when it is timed.", default=1)
    options: SourceOptions = option(
        SHAPES,
        "Sizes to time with, x:1,3,112,112, where the model leaves them open; repeatable.",
        factory=SourceOptions, where=("cli",), name="input", field="inputs", metavar="NAME:DIMS",
    )  # fmt: skip
    """How to read the source: the inputs' sizes that it is timed with, if it leaves them open."""
    repair_slopes: bool = option(
        FLAG,
        "Lay slopes [C] that stand on maps [N, C, H, W] along the channels, as files from MXNet "
        "mean them.",
        default=False,
    )  # fmt: skip
    slope_axis: int | None = option(
        whole(),
        "The axis that such slopes are meant for, where C equals both: 1 for the channels, -1 "
        "for the last.",
        default=None, metavar="N",
    )  # fmt: skip
    """The axis that they are meant for, where the shapes leave it open; None where they do not."""
    force: bool = option(FLAG, "Replace a file that is there.", default=False)
    timed: bool = True
    """Whether to time the model before and after."""
