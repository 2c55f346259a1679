"""The options of `verify`: each declared once, for every place that offers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import (
    FILE,
    FLAG,
    FOLDER,
    LAYOUTS,
    PAIR,
    RANGES,
    SHARE,
    TEXT,
    TEXTS,
    TWO_NUMBERS,
    VALUES,
    Kind,
    WrongValueError,
    number,
    two_numbers,
    whole,
)
from prelu_tools.core.requests.option import Needs, option
from prelu_tools.core.suggestions import suggestion
from prelu_tools.core.targets import RUNS_ONNX

if TYPE_CHECKING:
    from prelu_tools.core.prelu.layout import Layout
    from prelu_tools.core.results.verification.candidate import Tolerance


QUICK_SAMPLES = 4


def _calibrated() -> Tolerance:
    from prelu_tools.core.rounding.tolerance import CALIBRATED  # with numpy, which help can spare

    return CALIBRATED


def _tolerance(value: Any) -> Tolerance:
    """`calibrated`, the text `RTOL,ATOL` or two numbers; none is negative."""
    from prelu_tools.core.results.verification.candidate import Tolerance

    if isinstance(value, str) and value == "calibrated":
        return _calibrated()
    pair = two_numbers(value)
    if pair is None or min(pair) < 0:
        raise WrongValueError("calibrated, or RTOL,ATOL as in 1e-4,1e-6")
    return Tolerance(*pair, scaled=False, origin="given")


def _tolerance_of_text(given: str) -> Tolerance:
    try:
        return _tolerance(given)
    except WrongValueError as error:
        raise WrongValueError(f"{given!r} is not a valid tolerance: expected {error}") from error


_PAIR = {**PAIR, "items": {"type": "number", "minimum": 0}}
TOLERANCE = Kind(
    _tolerance, {"anyOf": [{"const": "calibrated"}, _PAIR, TWO_NUMBERS]},
    "Literal['calibrated'] | tuple[float, float]",
    "'calibrated', or (rtol, atol), numbers of 0 or more", from_text=_tolerance_of_text,
)  # fmt: skip


DRAWS = Needs(
    lambda values: values.inputs_file is None or values.samples is not None,
    "--inputs replays what is in the file and draws nothing: use --samples to draw too",
)
"""Why options that control how inputs are drawn would be ignored."""
_WHOLE = Needs(lambda values: not values.quick, "--quick searches nothing and plants no faults")
_LAYERS = Needs(lambda values: values.layers, "--no-layers skips the layers")


def ranges_option(needs: Needs) -> Any:
    """The values of inputs that are drawn, wherever they are drawn."""
    return option(
        RANGES,
        "Range of random input values, such as image=0,255; repeatable.", needs=(needs,),
        factory=dict, name="input_range", metavar="[NAME=]LOW,HIGH",
        key_help='range of the values of each input, "" for all others',
        example="{ image = [0, 255] }",
    )  # fmt: skip


ROLES = ("reference", "candidate")
"""The names of models by their role."""


def refuse_unknown_layouts(names: Iterable[str], models: Iterable[str]) -> None:
    """Reject an axis order for something that is not a model of the check.

    Args:
        names: that have an axis order.
        models: the sources of the check.

    Raises:
        UsageError: one is neither of these nor of `ROLES`.
    """
    known = {*models, *ROLES}
    for name in names:
        if name not in known:
            raise UsageError(
                f"--layout has {name!r}, which is not a model of the check; "
                f"{suggestion(name, known)}"
            )


def layout_names(
    layouts: Mapping[str, Layout], reference: str, candidate: str
) -> tuple[str | None, str | None]:
    """The names under which the axis orders of two models are given: their own, or their roles.

    Args:
        layouts: the axis orders by name.
        reference: the source of the reference.
        candidate: that of a candidate.

    Returns:
        None for a model that has none.
    """
    first, second = (
        next((name for name in names if name in layouts), None)
        for names in zip((reference, candidate), ROLES, strict=True)
    )
    return first, second


def refuse_lone_layouts(checks: Iterable[VerifyRequest]) -> None:
    """Reject an axis order that no check has for both sides: it is relative to the other's.

    Raises:
        UsageError: there is one.
    """
    given: dict[str, str] = {}
    used: set[str | None] = set()
    for check in checks:
        for text in check.candidates if check.layouts else ():
            names = layout_names(check.layouts, check.reference, text)
            used |= set() if None in names else {*names, *ROLES}
            is_first = (check.reference, ROLES[0])
            given |= {one: ROLES[one in is_first] for one in check.layouts}
    for name, other in given.items():
        if name not in used:
            raise UsageError(
                f"--layout has an axis order for {name!r} only, which has no effect alone: add "
                f"{other}=nchw or {other}=nhwc, or leave it out"
            )


@dataclass(frozen=True)
class VerifyRequest:
    """What to check, and how."""

    reference: str = option(
        TEXT, "the correct source; a glob makes one check for each match",
        where=(), example='"nets.py:Net@weights.pt"',
    )  # fmt: skip
    candidates: tuple[str, ...] = option(
        TEXTS,
        "the models to compare with it (or globs); {stem}, {name}, {folder} are the reference's",
        where=(), example='["net.onnx"]',
    )  # fmt: skip
    """The sources to compare with it; at least one."""
    providers: tuple[str, ...] = option(
        TEXTS,
        "Run ONNX candidates on this execution provider: cpu, cuda, tensorrt, openvino or "
        "onnxruntime's own name, optionally with options (cuda:use_tf32=1); repeatable.",
        default=("cpu",), name="provider", metavar="NAME[:KEY=VALUE,...]",
        complete=("cpu", "cuda", "tensorrt", "openvino"),
        key="providers", key_help="execution providers on which ONNX candidates run",
        example='["cpu", "cuda"]',
    )  # fmt: skip
    runtimes: tuple[str, ...] = option(
        TEXTS,
        "Run ONNX candidates on this runtime too, converted if necessary: "
        f"{', '.join(RUNS_ONNX[:-1])} or {RUNS_ONNX[-1]}; repeatable.",
        default=(), name="runtime", metavar="NAME", complete=RUNS_ONNX,
        key="runtimes", key_help="runtimes on which ONNX candidates run too",
        example='["ncnn", "openvino"]',
    )  # fmt: skip
    allow_fallback: bool = option(
        FLAG, "Allow nodes to run on a provider other than the requested one.",
        default=False, example="false",
        key_help="allow nodes to run on a provider other than the requested one",
        needs=(
            Needs(
                lambda values: any(provider != "cpu" for provider in values.providers),
                "the CPU provider runs every node: add another --provider",
            ),
        ),
    )  # fmt: skip
    inputs_file: Path | None = option(
        VALUES, "Use exactly these inputs; with --samples, in addition to random ones.",
        default=None, name="inputs", metavar="FILE.npz",
        key_help="a file of inputs to replay; {stem}, {name}, {folder} are the reference's",
        example='"batch.npz"',
    )  # fmt: skip
    save_inputs: Path | None = option(
        FILE, "Save the inputs that were used, for use with --inputs.",
        default=None, metavar="FILE.npz",
    )  # fmt: skip
    ranges: Mapping[str, tuple[float, float]] = ranges_option(DRAWS)
    """The values that an input may take, by its name; by "" for all others."""
    samples: int | None = option(
        whole(1),
        "How many random samples (rows of input) to run.  [default: 16]",
        default=None,
        example="16",
    )
    """Rows of input to draw; None for the usual number, and for none if there is a file of
    inputs."""
    seed: int = option(
        whole(0), "Random seed for the inputs.", default=0, example="0", needs=(DRAWS,)
    )
    search_seconds: float | None = option(
        number(0, unit=" of seconds"),
        "How long to search for inputs that reach slopes that no random input reached; 0 for not "
        "at all.  [default: a fixed number of steps, which usually take a few seconds]",
        default=None, example="30", needs=(DRAWS, _WHOLE),
        key_help="how long to search for inputs that reach slopes that no random input reached",
    )  # fmt: skip
    """None for limits that do not depend on time (`commands/verify/reference/searching.py`)."""
    tolerance: Tolerance = option(
        TOLERANCE, "Limit for differences. calibrated: derived from the reference's own rounding "
                   "error; RTOL,ATOL: |reference - candidate| <= ATOL + RTOL * |reference|.",
        default="calibrated", factory=_calibrated,
        metavar="calibrated|RTOL,ATOL", complete=("calibrated",),
        key_help="from the reference's own rounding error, or [RTOL, ATOL]", example='"calibrated"',
    )  # fmt: skip
    layers: bool = option(
        FLAG, "Compare the output of every PReLU layer while the models run.",
        default=True, key_help="compare the output of every layer", example="true",
    )  # fmt: skip
    min_coverage: float | None = option(
        SHARE, "Required share of slopes that meet a negative value (1.0 for all).",
        default=None, example="1.0", needs=(_LAYERS,),
    )  # fmt: skip
    min_hits: int | None = option(
        whole(1), "Required number of negative values that each slope meets.",
        default=None, metavar="N", example="3", needs=(_LAYERS,),
    )  # fmt: skip
    power: bool = option(
        FLAG,
        "Plant slope faults in a copy of the candidate to measure what the checks catch.",
        default=True, example="true",
        key_help="plant slope faults to measure what the checks catch",
        needs=(_WHOLE,),
    )  # fmt: skip
    min_power: float | None = option(
        SHARE,
        "Required share of planted faults that are caught (in slopes that the inputs reach).  "
        "[default: 1.0]",
        default=None, example="1.0",
        key_help="required share of planted slope faults that are caught",
        needs=(Needs(lambda values: values.power, "--no-power plants no faults"), _WHOLE, _LAYERS),
    )  # fmt: skip
    """The share of these, on slopes that are reached, that has to be caught; None for all of them
    where it can be measured: a number makes it inconclusive where it cannot."""
    quick: bool = option(
        FLAG,
        "Run only the cheap checks: 4 random samples, no search for further inputs, no planted "
        "faults; the report says so.",
        default=False, example="false",
        key_help="run only the cheap checks: no search for inputs, no planted faults",
    )  # fmt: skip
    bundle: Path | None = option(
        FOLDER,
        "On failure, write a minimal reproduction to this folder.",
        default=None, metavar="DIR",
    )  # fmt: skip
    layouts: Mapping[str, Layout] = option(
        LAYOUTS,
        "Axis order of a model: NAME is reference, candidate or the model's path; repeatable, and "
        "needed for both sides.",
        factory=dict, name="layout", metavar="NAME=nchw|nhwc",
        complete=("reference=nchw", "reference=nhwc", "candidate=nchw", "candidate=nhwc"),
        key="layouts", key_help="axis orders of reference and candidate, or of models by name",
        example='{ reference = "nchw", candidate = "nhwc" }',
    )  # fmt: skip
    """By `reference`, `candidate`, or a model's spelling."""
    input_layouts: Mapping[str, Layout] = field(default_factory=dict)
    """The same for inputs only, where those differ; by `reference` or `candidate`."""
    output_layouts: Mapping[str, Layout] = field(default_factory=dict)
    """The same for outputs only."""
    strict_special: bool = option(
        FLAG,
        "Fail if a layer differs for infinite or NaN inputs; by default, this is only reported.",
        default=False, example="false",
        key_help="fail a layer that differs only for infinite or NaN inputs", needs=(_LAYERS,),
    )  # fmt: skip
    strict_interface: bool = option(
        FLAG,
        "Fail if names, types, sizes or axes of inputs and outputs differ; by default, only a "
        "missing or additional output, or a change between integer and float, fails.",
        default=False, example="false",
        key_help="fail if names, types, sizes or axes of inputs and outputs differ",
    )  # fmt: skip
    strict_warnings: bool = option(
        FLAG,
        "Fail if there is a warning, such as a record that is older than its model; by default, a "
        "check passes with warnings.",
        default=False, example="false", key_help="fail if there is a warning",
    )  # fmt: skip
    allow_no_prelu: bool = option(
        FLAG,
        "Let models without any PReLU pass if their outputs agree.",
        default=False,
        example="false",
    )
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the sources."""

    def quickened(self, is_drawn: bool = True) -> VerifyRequest:
        """The request with only the checks that cost little.

        Args:
            is_drawn: whether inputs are drawn at all.
        """
        samples = self.samples
        if samples is None and is_drawn and self.inputs_file is None:
            samples = QUICK_SAMPLES
        return replace(self, samples=samples, search_seconds=0.0, power=False)
