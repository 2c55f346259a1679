"""What a user may ask of `inspect`: each option once, for every place that offers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import Choice, Number, Values
from prelu_tools.core.requests.option import Place, option

_PLACES: tuple[Place, ...] = ("cli", "api")


@dataclass(frozen=True)
class InspectRequest:
    """What to look at, and how closely."""

    near: float = option(
        Number(0), "How close to 0 (or 1) a slope counts as ReLU (or the identity).",
        default=0.01, where=_PLACES,
    )  # fmt: skip
    """How close to 0 (or 1) a slope has to be to count as 0 (or 1)."""
    data: Path | None = option(
        Values(), "Run the model on this, and show how often each negative branch is used.",
        default=None, where=_PLACES, metavar="FILE.npz",
    )  # fmt: skip
    """An `.npz` file to run the model on; None not to run it."""
    target: str | None = option(
        Choice(("onnxruntime-cpu", "onnxruntime-cuda", "tensorrt", "openvino")),
        "Say what this runtime does with each layer.",
        default=None, where=_PLACES,
    )  # fmt: skip
    """A runtime to forecast for: a name of `graph.targets.TARGETS`."""
    explain: bool = False
    """Whether to say why what resembles PReLU is none."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the source."""
