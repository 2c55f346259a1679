"""What a user may ask of `verify`: each option once, for every place that offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import (
    FLAG,
    PAIR,
    SHARE,
    TEXT,
    TEXTS,
    TWO_NUMBERS,
    File,
    Kind,
    Layouts,
    Number,
    Ranges,
    Values,
    Whole,
    WrongValueError,
    two_numbers,
)
from prelu_tools.core.requests.option import EVERYWHERE, Place, option

if TYPE_CHECKING:
    from prelu_tools.core.prelu.layout import Layout
    from prelu_tools.core.results.verification import Tolerance


@dataclass(frozen=True)
class Tolerances(Kind):
    """`calibrated`, or a relative and an absolute tolerance."""

    annotation = "Literal['calibrated'] | tuple[float, float]"
    reads_text = True

    def read(self, value: Any) -> Tolerance:
        """`calibrated`, the text `RTOL,ATOL` or two numbers; none is negative."""
        from prelu_tools.core.results.verification import Tolerance

        if isinstance(value, str) and value == "calibrated":
            return _calibrated()
        pair = two_numbers(value)
        if pair is None or min(pair) < 0:
            raise WrongValueError("calibrated, or RTOL,ATOL as in 1e-4,1e-6")
        return Tolerance(*pair, scaled=False, origin="given")

    def from_text(self, given: str) -> Tolerance:
        """The same."""
        try:
            return self.read(given)
        except WrongValueError as error:
            raise WrongValueError(
                f"{given!r} is not a valid tolerance: expected {error}"
            ) from error

    @property
    def in_python(self) -> str:
        """In Python's words."""
        return "'calibrated', or (rtol, atol) of numbers from 0 on"

    @property
    def schema(self) -> dict[str, Any]:
        """A word, or two numbers."""
        pair = {**PAIR, "items": {"type": "number", "minimum": 0}}
        return {"anyOf": [{"const": "calibrated"}, pair, TWO_NUMBERS]}


def _calibrated() -> Tolerance:
    from prelu_tools.core.rounding.tolerance import CALIBRATED  # with numpy, which help can spare

    return CALIBRATED


def ranges_option(where: tuple[Place, ...] = EVERYWHERE) -> Any:
    """The values of inputs that are drawn, wherever they are drawn."""
    return option(
        Ranges(),
        "The values that inputs may take, as in image=0,255; repeatable.",
        factory=dict, where=where, name="input_range", metavar="[NAME=]LOW,HIGH",
        key_help='the values that inputs may take, "" for all others',
        example="{ image = [0, 255] }",
    )  # fmt: skip


@dataclass(frozen=True)
class VerifyRequest:
    """What to check, and how."""

    reference: str = option(
        TEXT, "the source that is right; a glob makes a check of each match",
        where=("file",), example='"nets.py:Net@weights.pt"',
    )  # fmt: skip
    """The source that is taken to be right."""
    candidates: tuple[str, ...] = option(
        TEXTS,
        "what is compared with it; globs, and {stem}, {name}, {folder} of the reference's match",
        where=("file",), example='["net.onnx"]',
    )  # fmt: skip
    """The sources to compare with it; at least one."""
    providers: tuple[str, ...] = option(
        TEXTS,
        "cpu, cuda, tensorrt, openvino or onnxruntime's own name, with options if need be "
        "(cuda:use_tf32=1); each is checked; repeatable.",
        default=("cpu",), name="provider", metavar="NAME[:KEY=VALUE,...]",
        complete=("cpu", "cuda", "tensorrt", "openvino"),
        key="providers", key_help="execution providers for ONNX; each is checked",
        example='["cpu", "cuda"]',
    )  # fmt: skip
    """Execution providers for ONNX candidates; each is checked."""
    allow_fallback: bool = option(
        FLAG, "Take it that nodes run on another provider than the one asked for.",
        default=False, example="false",
        key_help="take nodes that run on another provider than asked",
    )  # fmt: skip
    """Whether nodes may run on another provider than the one asked for."""
    inputs_file: Path | None = option(
        Values(), "Replay exactly these inputs; with --samples, beside what is drawn.",
        default=None, name="inputs", metavar="FILE.npz",
        key_help="a file of inputs to replay; {stem} and the like as above", example='"batch.npz"',
    )  # fmt: skip
    """An `.npz` file to replay; with `samples`, beside what is drawn."""
    save_inputs: Path | None = option(
        File(), "Keep the inputs that were used, for --inputs.",
        default=None, where=("cli", "api"), metavar="FILE.npz",
    )  # fmt: skip
    """Where to keep the inputs that were used, as an `.npz` file; None not to."""
    ranges: Mapping[str, tuple[float, float]] = ranges_option()
    """The values that an input may take, by its name; by "" for all others."""
    samples: int | None = option(
        Whole(1), "How many inputs to draw.  [default: 16]", default=None, example="16"
    )
    """Rows of input to draw; None for the usual number, and for none beside a file of inputs."""
    seed: int = option(Whole(0), "Of the inputs.", default=0, example="0")
    """Of the inputs."""
    search_seconds: float = option(
        Number(0, unit=" of seconds"),
        "How long to look for inputs that reach slopes which no draw reached.",
        default=5.0, example="5",
    )  # fmt: skip
    """How long to look for inputs that reach slopes which no draw reached."""
    tolerance: Tolerance = option(
        Tolerances(), "By the rounding of the reference, or |a - b| <= ATOL + RTOL |a|.",
        default="calibrated", factory=_calibrated,
        metavar="calibrated|RTOL,ATOL", complete=("calibrated",),
        key_help="by the reference's own rounding, or [RTOL, ATOL]", example='"calibrated"',
    )  # fmt: skip
    """What differences may be."""
    layers: bool = option(
        FLAG, "Whether to look at every PReLU layer as the models run.",
        default=True, key_help="whether to look at every layer as the models run", example="true",
    )  # fmt: skip
    """Whether to look at every layer as the models run."""
    min_coverage: float | None = option(
        SHARE, "Share of all slopes whose negative branch the inputs have to reach.",
        default=None, example="1.0",
    )  # fmt: skip
    """The share of slopes that the inputs have to reach; None for no gate."""
    power: bool = option(
        FLAG,
        "Whether to plant slope faults in a copy, to see what the checks would have caught.",
        default=True, example="true",
        key_help="whether to plant slope faults, to see what would be caught",
    )  # fmt: skip
    """Whether to plant faults in ONNX candidates, to see what the checks would have caught."""
    min_power: float | None = option(
        SHARE,
        "Share of the planted faults on reached slopes that has to be caught.  [default: 1.0]",
        default=None, example="1.0",
        key_help="share of planted slope faults that has to be caught",
    )  # fmt: skip
    """The share of these, on slopes that are reached, that has to be caught; None for all of them
    where it can be measured: a number makes it inconclusive where it cannot."""
    bundle: Path | None = option(
        File(folder=True),
        "On failure, write the smallest thing that shows it here, and how to run it.",
        default=None, where=("cli", "api"), metavar="DIR",
    )  # fmt: skip
    """A folder for the smallest thing that shows a failure; None for none."""
    layouts: Mapping[str, Layout] = option(
        Layouts(), "The axis order of reference=, candidate= or a model's path=; repeatable.",
        factory=dict, name="layout", metavar="NAME=nchw|nhwc",
        complete=("reference=nchw", "reference=nhwc", "candidate=nchw", "candidate=nhwc"),
        key="layouts", key_help="axis orders, by reference, candidate or a model",
        example='{ candidate = "nhwc" }',
    )  # fmt: skip
    """By `reference`, `candidate`, or a model's spelling."""
    input_layouts: Mapping[str, Layout] = field(default_factory=dict)
    """The same for inputs only, where those differ; by `reference` or `candidate`."""
    strict_special: bool = option(
        FLAG, "Fail a layer that differs for infinite or NaN inputs; else that is reported only.",
        default=False, example="false",
        key_help="fail a layer that differs for infinite or NaN inputs only",
    )  # fmt: skip
    """Whether a layer that differs for infinite or NaN inputs only fails."""
    strict_interface: bool = option(
        FLAG,
        "Fail where names, types or sizes of inputs and outputs differ; else a missing or "
        "additional output fails, and a number that became a float, or was one.",
        default=False, example="false",
        key_help="fail where names, types or sizes of inputs and outputs differ",
    )  # fmt: skip
    """Whether any difference in names, types and sizes of inputs and outputs fails."""
    allow_no_prelu: bool = option(
        FLAG, "Let models without any PReLU pass on their outputs.", default=False, example="false"
    )
    """Whether models without any PReLU may pass."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the sources."""
