"""The options of `optimize`: each declared once, for every place that offers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SHAPES, SourceOptions
from prelu_tools.core.requests.kinds import (
    FLAG,
    READ_FILE,
    TEXT,
    VALUES,
    Kind,
    WrongValueError,
    choice,
    number,
    whole,
)
from prelu_tools.core.requests.option import Needs, option
from prelu_tools.core.targets import EXPORT_TARGETS, ExportTarget

if TYPE_CHECKING:
    from prelu_tools.core.results.optimization import Exactness


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


_CHOOSES = Needs(
    lambda values: values.target == "onnxruntime-cpu",
    "forms are chosen, and timed, for --target onnxruntime-cpu only",
)
_NOT_CHOSEN = Needs(lambda values: values.choices is None, "--choices says which forms to write")


@dataclass(frozen=True)
class OptimizeRequest:
    """What to optimize, and how."""

    source: str
    """An ONNX file, as the user spelled it."""
    output: Path
    """The file to write."""
    target: ExportTarget = option(
        choice(*EXPORT_TARGETS),
        "The runtime to optimize for. onnxruntime-cpu: the fastest forms; portable: one PRelu node "
        "per call; others: one PRelu node per call, rewritten if that runtime would misread it (as "
        "with export --target).",
        default="onnxruntime-cpu", metavar="RUNTIME",
    )  # fmt: skip
    exact: Exactness = option(
        EXACTNESS,
        "How equal the result must be. layer: each layer equals PRelu for every finite input; "
        "bitwise: like layer, and the model's outputs are equal bit for bit on this machine; "
        "special: like layer, and for infinite and NaN inputs too; approximate: a layer may be off "
        "by ULPS.",
        default="layer", factory=_exactness,
        metavar="layer|bitwise|special|approximate=ULPS",
        complete=("layer", "bitwise", "special", "approximate="),
    )  # fmt: skip
    """How equal a form has to be to a PRelu node."""
    tune: bool | None = option(
        FLAG,
        "Time the forms in the model (default if one run of the model takes under a "
        "second). --no-tune uses a cost model, which gives the same result on every machine.",
        default=None, needs=(_CHOOSES, _NOT_CHOSEN),
    )  # fmt: skip
    tune_seconds: float = option(
        number(0, above=True),
        "CPU time for timing; on a busy machine, this may take up to four times as long.",
        default=30.0,
        needs=(
            _CHOOSES, _NOT_CHOSEN,
            Needs(lambda values: values.tune is not False, "--no-tune times nothing"),
        ),
    )  # fmt: skip
    choices: Path | None = option(
        READ_FILE, "Reuse the choices of an earlier run, from its --report json=FILE.",
        default=None, metavar="FILE", needs=(_CHOOSES,),
    )  # fmt: skip
    inputs_file: Path | None = option(
        VALUES,
        "Inputs for timing and for comparing the outputs bit for bit, or a record of the source; "
        "random inputs by default.",
        default=None, name="inputs", metavar="FILE.npz",
    )  # fmt: skip
    threads: int = option(
        whole(1), "Number of onnxruntime threads while timing.", default=1, needs=(_CHOOSES,)
    )
    options: SourceOptions = option(
        SHAPES,
        "Sizes for timing, such as x:1,3,112,112, if the model leaves them dynamic; by default "
        "those of the example_inputs() that it was exported with, or the largest common ones that "
        "run fast enough; repeatable.",
        factory=SourceOptions, where=("cli",), name="input", field="inputs", metavar="NAME:DIMS",
    )  # fmt: skip
    """How to read the source: the inputs' sizes that it is timed with, if it leaves them open."""
    repair_slopes: bool = option(
        FLAG,
        "Move slopes of shape [C] to the channel axis of feature maps [N, C, H, W], for files "
        "from MXNet.",
        default=False,
    )  # fmt: skip
    slope_axis: int | None = option(
        whole(),
        "With --repair-slopes, the axis of the slopes if C matches both axis 1 and the last: 1 for "
        "the channels, -1 for the last.",
        default=None, metavar="N",
        needs=(
            Needs(
                lambda values: values.repair_slopes,
                "slopes are moved to another axis with --repair-slopes only",
            ),
        ),
    )  # fmt: skip
    """The axis that they are meant for, where the shapes leave it open; None if they do not."""
    force: bool = option(FLAG, "Replace an existing file.", default=False)
    timed: bool = True
    """Whether to time the model before and after."""
