"""The results of many checks."""

from __future__ import annotations

import dataclasses
from typing import Any

from made_results import HOSTILE, verified

from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.writers.json import one_line


def passing(**changes: Any) -> VerifyResult:
    """A verification that passed."""
    failed = verified()
    (old,) = failed.candidates
    output = dataclasses.replace(
        old.outputs[0], verdict="pass", n_mismatched=0, n_nonfinite_mismatch=0
    )
    candidate = dataclasses.replace(
        old, verdict="pass", outputs=(output,), layers=old.layers[:1], special=(), reasons=()
    )
    made: dict[str, Any] = {"candidates": (candidate,), "agreements": (), "reasons": (), **changes}
    return dataclasses.replace(failed, verdict="pass", **made)


def entry_of(
    name: str, result: VerifyResult | None, line: int = 1, file: str = "prelu-tools.toml"
) -> BatchEntry:
    """The entry of a check in a list."""
    candidates = ("net.onnx", "folder/other.onnx")
    if result is None:
        error = ("gone.keras cannot be read: no such file",)
        return BatchEntry(name, "gone.keras", "error", None, error, candidates, file, line)
    text = one_line(result, Style())
    return BatchEntry(
        name, result.reference, result.verdict, text, result.reasons, candidates, file, line
    )


def checks_of(*entries: BatchEntry, path: str = "prelu-tools.toml") -> BatchResult:
    """A list of checks."""
    return BatchResult("verify", entries, path)


def many_checks() -> BatchResult:
    """Three checks: one passed, one failed, one could not be run."""
    found = [("digits", passing()), ("faces, aligned", verified()), ("lost", None)]
    return checks_of(*(entry_of(*one, 10 * number) for number, one in enumerate(found, 1)))


def hostile() -> tuple[Result, Result]:
    """A verification and a list of checks that are called what would run a script."""
    name = f"{HOSTILE}\"'&\x1b[2J"
    old = verified().candidates[0]
    layer = dataclasses.replace(old.layers[0], name=name, difference=name, slopes_equal=False)
    output = dataclasses.replace(old.outputs[0], name=name, difference=name)
    candidate = dataclasses.replace(old, model=name, layers=(layer,), outputs=(output,))
    result = dataclasses.replace(
        verified(), reference=name, candidates=(candidate,), reasons=(name,), notes=(name,)
    )
    entries = (
        entry_of(name, result),
        BatchEntry(name + "2", name, "error", None, (name,), (name,)),
    )
    return result, checks_of(*entries, path=name)
