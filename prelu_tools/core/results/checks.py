"""What `verify` found of a list of checks: one outcome a check, and one verdict over all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.results.verification import Verdict, VerifyResult

CheckVerdict = Literal["pass", "fail", "inconclusive", "error"]
"""A verdict, or `error` where a check could not be run at all."""
_KINDS: tuple[CheckVerdict, ...] = ("pass", "fail", "inconclusive", "error")


@dataclass(frozen=True)
class CheckOutcome:
    """What became of one check: a result, or why there is none; exactly one of both.

    Raises:
        ValueError: it has both, or neither.
    """

    name: str
    """The check's name; no other check of the list has it."""
    reference: str
    """The source that is taken to be right, as the file spells it."""
    candidates: tuple[str, ...]
    """The sources that were to be compared with it, as the file spells them."""
    result: VerifyResult | None
    """What was found; None where the check could not be run."""
    error: str | None
    """Why it could not be run, in words; None where it was."""
    line: int | None = None
    """The line of the file that declares it, from 1; None where there is none."""

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError(f"check {self.name!r} needs either a result or an error")

    @property
    def verdict(self) -> CheckVerdict:
        """The result's verdict, or `error`."""
        return "error" if self.result is None else self.result.verdict

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not a pass, in words."""
        return self.result.reasons if self.result is not None else (self.error or "",)


@dataclass(frozen=True)
class ChecksResult:
    """What became of every check of a file, in its order."""

    path: str
    """The file that lists the checks."""
    outcomes: tuple[CheckOutcome, ...]
    """One for each check."""

    @property
    def verdict(self) -> Verdict:
        """`fail` if any check failed, else `pass` if there are checks and all passed."""
        found = [outcome.verdict for outcome in self.outcomes]
        if "fail" in found:
            return "fail"
        return "pass" if found and set(found) == {"pass"} else "inconclusive"

    @property
    def summary(self) -> Mapping[CheckVerdict, int]:
        """How many checks have each verdict; zeros included."""
        found = [outcome.verdict for outcome in self.outcomes]
        return {kind: found.count(kind) for kind in _KINDS}
