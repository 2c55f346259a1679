"""The options of `inspect`: each declared once, for every place that offers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import VALUES, choice, number
from prelu_tools.core.requests.option import option
from prelu_tools.core.targets import RUNTIMES

_GRAPHS = "ONNX models (export it first, and inspect the result)"


def is_log(text: str) -> bool:
    """Whether a source is a log that a logger of `prelu_tools.training` wrote."""
    return text.lower().endswith(".jsonl")


@dataclass(frozen=True)
class InspectRequest:
    """What to look at, and how closely."""

    near: float = option(
        number(0), "How close to 0 (or 1) a slope has to be to count as ReLU (or the identity).",
        default=0.01,
    )  # fmt: skip
    data: Path | None = option(
        VALUES, "Run the ONNX model on this data and show how often each negative branch is used.",
        default=None, metavar="FILE.npz", sources=_GRAPHS,
    )  # fmt: skip
    target: str | None = option(
        choice(*RUNTIMES),
        f"Predict what this runtime does with each layer: {', '.join(RUNTIMES[:-1])} or "
        f"{RUNTIMES[-1]}.",
        default=None, metavar="RUNTIME", sources=_GRAPHS,
    )  # fmt: skip
    explain: bool = False
    """Whether to explain why near misses are not PReLU."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the source."""
