"""`--baseline` of `verify`: what an earlier run measured, and how much worse it may get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prelu_tools.core.results.baseline import Baseline
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.verification import VerifyResult

Function = TypeVar("Function", bound=Callable[..., Any])
OPTIONS = ("baseline", "baseline_factor", "update_baseline")


def baseline_options(function: Function) -> Function:
    """Against what the figures are held, and whether it is renewed."""
    for option in (
        click.option(
            "--update-baseline",
            is_flag=True,
            help="Write the figures to the baseline, if all could be judged.",
        ),
        click.option(
            "--baseline-factor",
            type=click.FloatRange(min=1),
            metavar="TIMES",
            help="Allowed factor by which a figure may get worse.  [default: 2]",
        ),
        click.option(
            "--baseline",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE.json",
            help="Fail if figures are worse than in this file.",
        ),
    ):
        function = option(function)
    return function


@dataclass(frozen=True)
class BaselineChoice:
    """What `baseline_options` were given."""

    path: Path | None
    """The file; None without any."""
    factor: float
    """Allowed factor by which a figure may get worse."""
    update: bool
    """Whether the file is to be written, and not compared with."""
    known: Baseline | None
    """What is in it; None where it is not compared with."""

    def hold(self, name: str, result: VerifyResult) -> VerifyResult:
        """A verification compared with the file, where there is one to compare it with."""
        from prelu_tools.core.results.baseline import held_against

        if self.known is None:
            return result
        return held_against(result, self.known, name, self.factor)

    def hold_all(self, result: BatchResult) -> BatchResult:
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


def chosen(path: Path | None, factor: float | None, update: bool) -> BaselineChoice:
    """The options as one value; the file is read before anything runs.

    Raises:
        UsageError: an option has no effect without another.
        PReLUToolsError: the file cannot be read, or is not a baseline.
    """
    if path is None:
        for name, given in (("--baseline-factor", factor), ("--update-baseline", update or None)):
            if given is not None:
                raise click.UsageError(f"{name} has no effect without --baseline FILE.json")
        return BaselineChoice(None, 1.0, update=False, known=None)
    if update and factor is not None:
        raise click.UsageError(
            "--baseline-factor has no effect with --update-baseline: nothing is compared with the "
            "old figures"
        )
    from prelu_tools.commands.verify.baseline import old_entries, read_baseline
    from prelu_tools.core.results.baseline import DEFAULT_FACTOR

    if update:
        old_entries(path)  # what is not a baseline is refused now, and not after an hour
    known = None if update else read_baseline(path)
    return BaselineChoice(path, factor or DEFAULT_FACTOR, update, known)
