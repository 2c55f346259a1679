"""The options of `record`: each declared once, for every place that offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prelu_tools.commands.verify.request import DRAWS, ranges_option
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import FLAG, VALUES, number, whole
from prelu_tools.core.requests.option import option

LIMIT, INNER = 100.0, 4.0
"""The megabytes that a record has at most by default, and those of the values of its layers.

Without these values, `verify` still proves what it proves with them; they show where a difference
begins.
"""


@dataclass(frozen=True)
class RecordRequest:
    """What to record, and how."""

    source: str
    """The model as the user spelled it."""
    output: Path
    """The file to write."""
    inputs_file: Path | None = option(
        VALUES, "Use exactly these inputs; with --samples, in addition to random ones.",
        default=None, name="inputs", metavar="FILE.npz",
    )  # fmt: skip
    ranges: Mapping[str, tuple[float, float]] = ranges_option(DRAWS)
    """The values that an input may take, by its name; by "" for all others."""
    samples: int | None = option(
        whole(1), "How many random samples (rows of input) to run.  [default: 16]", default=None
    )
    """Rows of input to draw; None for the usual number, and for none if there is a file of
    inputs."""
    seed: int = option(whole(0), "Random seed for the inputs.", default=0, needs=(DRAWS,))
    search_seconds: float | None = option(
        number(0, unit=" of seconds"),
        "How long to search for inputs that reach slopes that no random input reached; 0 for not "
        "at all.  [default: a fixed number of steps, which usually take a few seconds]",
        default=None, needs=(DRAWS,),
    )  # fmt: skip
    max_size: float | None = option(
        number(0, unit=" of megabytes", above=True),
        "Maximum size of the record in megabytes, before compression; if it is exceeded, layer "
        "values are kept only for the smaller runs.  "
        f"[default: {LIMIT:g}, of which layer values take at most {INNER:g}]",
        default=None, metavar="MB",
    )  # fmt: skip
    """In megabytes; None for `LIMIT`, of which the values of layers may take `INNER`."""
    force: bool = option(FLAG, "Replace an existing file.", default=False)
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the source."""
