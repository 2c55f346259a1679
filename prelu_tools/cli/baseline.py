"""`--baseline` of `verify`: what an earlier run measured, and how much worse it may get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prelu_tools.cli.options import request_options
from prelu_tools.core.requests.kinds import FLAG, OWN_FILE, number
from prelu_tools.core.requests.option import Needs, option

if TYPE_CHECKING:
    from prelu_tools.core.results.baseline import Baseline
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.verification import VerifyResult

_FILE = Needs(lambda values: values.baseline is not None, "it needs --baseline FILE.json")


@dataclass(frozen=True)
class BaselineRequest:
    """What the figures are compared with, and whether it is renewed."""

    baseline: Path | None = option(
        OWN_FILE, "Fail if figures are worse than in this file.", default=None, metavar="FILE.json"
    )
    baseline_factor: float | None = option(
        number(1), "Allowed factor by which a figure may get worse.  [default: 2]",
        default=None, metavar="TIMES",
        needs=(
            _FILE,
            Needs(
                lambda values: not values.update_baseline,
                "--update-baseline compares nothing with the old figures",
            ),
        ),
    )  # fmt: skip
    update_baseline: bool = option(
        FLAG, "Write the figures to the baseline, if all could be judged.",
        default=False, needs=(_FILE,),
    )  # fmt: skip

    def chosen(self) -> BaselineChoice:
        """The file is read before anything runs.

        Raises:
            PReLUToolsError: the file cannot be read, or is not a baseline.
        """
        from prelu_tools.commands.verify.baseline import old_entries, read_baseline
        from prelu_tools.core.results.baseline import DEFAULT_FACTOR

        path, update = self.baseline, self.update_baseline
        if path is not None and update:
            old_entries(path)  # what is not a baseline is refused now, and not after an hour
        known = None if path is None or update else read_baseline(path)
        return BaselineChoice(path, self.baseline_factor or DEFAULT_FACTOR, update, known)


baseline_options = request_options(BaselineRequest)


@dataclass(frozen=True)
class BaselineChoice:
    """The baseline of a run."""

    path: Path | None
    """The file; None without any."""
    factor: float
    """Allowed factor by which a figure may get worse."""
    update: bool
    """Whether the file is to be written, and not compared with."""
    known: Baseline | None
    """What is in it; None where it is not compared with."""

    def compare(self, name: str, result: VerifyResult) -> VerifyResult:
        """A verification compared with the file, where there is one to compare it with."""
        from prelu_tools.core.results.baseline import compared_with

        if self.known is None:
            return result
        return compared_with(result, self.known, name, self.factor)

    def compare_all(self, result: BatchResult) -> BatchResult:
        """The same for a list of checks."""
        from prelu_tools.batch.baseline import compared

        return result if self.known is None else compared(result, self.known, self.factor)

    def renew(self, results: Mapping[str, VerifyResult | None], whole: bool, quiet: bool) -> None:
        """Write the file where that was asked for, and say what became of it on standard error."""
        from prelu_tools.cli.output import say
        from prelu_tools.commands.verify.baseline import renew

        if self.path is None or not self.update:
            return
        renewed = renew(self.path, results, whole)
        if renewed.refused is not None or not quiet:
            say(renewed.sentence)
