"""The options of all commands that run many models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.core.requests.kinds import (
    FLAG,
    OWN_FILE,
    TEXT,
    Kind,
    WrongValueError,
    number,
    whole,
)
from prelu_tools.core.requests.option import Needs, option

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}I": 1 << 10 * power for power, unit in enumerate("KMGT", 1)}
_SIZE = re.compile(r"^(\d+(?:\.\d+)?) ?([KMGT]?I?)B?$")


def parse_size(text: str) -> int:
    """`2GB`, `500 MB`, `1.5GiB` or a number of bytes.

    Raises:
        ValueError: it is none of these, or nothing.
    """
    found = _SIZE.match(text.strip().upper())
    if found is None or found[2] == "I":
        raise ValueError(text)
    size = int(float(found[1]) * _UNITS[found[2]])
    if not size:
        raise ValueError(text)
    return size


def _size_of_text(given: Any) -> int | None:
    try:
        return None if given is None else parse_size(given)
    except ValueError as error:
        raise WrongValueError(
            f"{given!r} is not an amount of memory: expected one such as 500MB, 2GB or 1.5GiB"
        ) from error


SIZE = Kind(TEXT.read, TEXT.schema, "int", from_text=_size_of_text)
"""An amount of memory, in bytes."""
_WORKERS = Needs(
    lambda values: values.jobs != 0, "--jobs 0 starts no worker process: use --jobs 1 or more"
)


@dataclass(frozen=True)
class Plan:
    """How to run a list of jobs."""

    jobs: int | None = option(
        whole(0),
        "Many models: number of worker processes; 0 runs them in this process.  [default: 1]",
        default=None, metavar="N",
        needs=(
            Needs(
                lambda values: values.dask in (None, "local"),
                "it sets the processes on this machine, but a Dask cluster has its own workers",
            ),
        ),
    )  # fmt: skip
    """How many processes of this machine; 0 for this process itself; None for one."""
    results: Path | None = option(
        OWN_FILE,
        "Many models: append each result to this file.",
        default=None,
        metavar="FILE.jsonl",
    )
    """The file to which each result is appended; None for none."""
    resume: bool = option(
        FLAG, "Many models: skip those that are already in --results, unless they have changed.",
        default=False,
        needs=(
            Needs(
                lambda values: values.results is not None,
                "it continues from the results in a file: use --results FILE",
            ),
        ),
    )  # fmt: skip
    """Whether results that are there count."""
    timeout: float | None = option(
        number(0, above=True, unit=" of seconds"),
        "Many models: time limit for each; exceeding it gives no verdict.",
        default=None, metavar="SECONDS", needs=(_WORKERS,),
    )  # fmt: skip
    memory_limit: int | None = option(
        SIZE, "Many models: memory limit for each, such as 2GB; exceeding it gives no verdict.",
        default=None, metavar="SIZE", needs=(_WORKERS,),
    )  # fmt: skip
    """Resident bytes that each model may take; None for any."""
    dask: str | None = option(
        TEXT,
        "Many models: run them on the Dask cluster with this scheduler, tcp://host:8786, or on a "
        "local one (needs prelu-tools[dask]).",
        default=None, metavar="ADDRESS|local", needs=(_WORKERS,),
    )  # fmt: skip
    """The address of a Dask scheduler, or `local`; None for processes of this machine."""

    @property
    def n_workers(self) -> int:
        """How many worker processes of this machine."""
        return 1 if self.jobs is None else self.jobs
