"""Baselines: figures of earlier verifications, in a file to commit to version control."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.commands.baselines import (
    OtherSchemaError,
    no_baseline,
    read_document,
    write_document,
)
from prelu_tools.core.results.reasons import listed
from prelu_tools.core.results.verification.baseline import Baseline, Entry, entry_of
from prelu_tools.core.results.verification.result import VerifyResult

KIND = "verify-baseline"


@dataclass(frozen=True)
class Renewed:
    """The outcome of renewing a baseline."""

    path: str
    """The file."""
    n_checks: int
    """Checks whose figures were written; 0 if nothing was."""
    kept: tuple[str, ...] = ()
    """Checks that failed: the file keeps their old figures."""
    refused: str | None = None
    """Why nothing was written; None if it was."""

    @property
    def sentence(self) -> str:
        """The report in words."""
        if self.refused is not None:
            return f"{self.path} was not written: {self.refused}"
        checks = f"{self.n_checks:,} check{'' if self.n_checks == 1 else 's'}"
        kept = f"; unchanged, because they failed: {', '.join(self.kept)}" if self.kept else ""
        return f"wrote {self.path}: the figures of {checks}{kept}"


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        OtherSchemaError: it is a baseline of another schema.
        PReLUToolsError: it is missing, unreadable, or no baseline.
    """
    document = read_document(path, KIND)
    try:
        entries = {str(name): _entry(value) for name, value in document["checks"].items()}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise no_baseline(path) from error
    return Baseline(str(path), entries)


def _entry(value: Mapping[str, Any]) -> Entry:
    """One check of the file; ValueError where a figure is none."""
    figures = {
        part: {name: _figure(number) for name, number in named.items()}
        for part, named in value["figures"].items()
    }
    return Entry(_count(value["seed"]), _count(value["samples"]), figures)


def _figure(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(number := float(value)) or number < 0:  # type: ignore[arg-type]
        raise ValueError
    return number


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError
    return value


def renew(path: Path, results: Mapping[str, VerifyResult | None], whole: bool) -> Renewed:
    """Write the figures, completely or not at all; the same figures give the same bytes.

    Nothing is written if a check has no verdict. For a failed check, the file keeps what it
    had: wrong results are not a measure.

    Args:
        path: the file.
        results: by the names of the checks; None if one could not be run.
        whole: whether these replace everything in the file; otherwise it keeps its others.

    Raises:
        PReLUToolsError: the file cannot be written, or would replace a file that is not a baseline.
    """
    unjudged = [n for n, r in results.items() if r is None or r.verdict == "inconclusive"]
    if unjudged:
        return Renewed(str(path), 0, refused=f"there is no verdict on {listed(unjudged, 3)}")
    old = old_entries(path)
    passed = {
        name: entry_of(r) for name, r in results.items() if r is not None and r.verdict == "pass"
    }
    failed = tuple(name for name in results if name not in passed)
    if not passed:
        return Renewed(str(path), 0, refused=f"{listed(failed, 3)} failed")
    kept = {n: e for n, e in old.items() if n in failed or not whole}
    write_baseline(path, {**kept, **passed})
    return Renewed(str(path), len(passed), kept=failed)


def old_entries(path: Path) -> Mapping[str, Entry]:
    """The content of a file to renew; empty if it is missing or has another schema.

    Raises:
        PReLUToolsError: the existing file is not a baseline, and is not overwritten.
    """
    if not path.exists():
        return {}
    try:
        return read_baseline(path).entries
    except OtherSchemaError:
        return {}


def write_baseline(path: Path, entries: Mapping[str, Entry]) -> None:
    """Put a baseline in place, whole or not at all.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    checks = {
        name: {
            "seed": entry.seed,
            "samples": entry.samples,
            "figures": {part: dict(figures) for part, figures in entry.figures.items()},
        }
        for name, entry in entries.items()
    }
    write_document(path, KIND, {"checks": checks})
