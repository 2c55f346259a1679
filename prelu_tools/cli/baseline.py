"""`--baseline`: what an earlier `verify` measured or `inspect` found, and what may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prelu_tools.cli.options import request_options
from prelu_tools.core.errors import UsageError
from prelu_tools.core.requests.kinds import FLAG, OWN_FILE, number
from prelu_tools.core.requests.option import Needs, option

if TYPE_CHECKING:
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.inspect_gates import Inspected, InspectGates, KnownFinding
    from prelu_tools.core.results.verification.baseline import Baseline
    from prelu_tools.core.results.verification.result import VerifyResult

_FILE = Needs(lambda values: values.baseline is not None, "it needs --baseline FILE.json")


@dataclass(frozen=True)
class BaselineRequest:
    """The baseline to compare figures with, and whether to renew it."""

    baseline: Path | None = option(
        OWN_FILE, "Fail if errors, coverage or power are worse than in this file.",
        default=None, metavar="FILE.json",
    )  # fmt: skip
    baseline_factor: float | None = option(
        number(1),
        "Factor by which errors, uncovered slopes and missed faults may grow.  [default: 2]",
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
        FLAG, "Write these figures to the baseline, if every check has a verdict.",
        default=False, needs=(_FILE,),
    )  # fmt: skip

    def chosen(self) -> BaselineChoice:
        """The file is read before anything runs.

        Raises:
            PReLUToolsError: the file cannot be read, or is not a baseline.
        """
        from prelu_tools.commands.verify.baseline import old_entries, read_baseline
        from prelu_tools.core.results.verification.baseline import DEFAULT_FACTOR

        path, update = self.baseline, self.update_baseline
        if path is not None and update:
            old_entries(path)  # a file that is not a baseline is rejected now, not after an hour
        known = None if path is None or update else read_baseline(path)
        return BaselineChoice(path, self.baseline_factor or DEFAULT_FACTOR, update, known)


baseline_options = request_options(BaselineRequest)


@dataclass(frozen=True)
class BaselineChoice:
    """The baseline of a run."""

    path: Path | None
    """The file; None without any."""
    factor: float
    """Factor by which a figure may get worse."""
    update: bool
    """Whether the file is to be written, and not compared with."""
    known: Baseline | None
    """What is in it; None if it is not compared with."""

    def compare(self, name: str, result: VerifyResult) -> VerifyResult:
        """A verification compared with the file, if there is one to compare it with."""
        from prelu_tools.core.results.verification.baseline import compared_with

        if self.known is None:
            return result
        return compared_with(result, self.known, name, self.factor)

    def compare_all(self, result: BatchResult) -> BatchResult:
        """The same for a list of checks."""
        from prelu_tools.batch.baseline import compared

        return result if self.known is None else compared(result, self.known, self.factor)

    def renew(self, results: Mapping[str, VerifyResult | None], whole: bool, quiet: bool) -> None:
        """Write the file if that was requested, and report that on standard error."""
        from prelu_tools.cli.output import say
        from prelu_tools.commands.verify.baseline import renew

        if self.path is None or not self.update:
            return
        renewed = renew(self.path, results, whole)
        if renewed.refused is not None or not quiet:
            say(renewed.sentence)


@dataclass(frozen=True)
class KnownRequest:
    """The findings that fail no model."""

    baseline: Path | None = option(
        OWN_FILE, "With --fail-on, count only findings that are not in this file.",
        default=None, metavar="FILE.json",
    )  # fmt: skip
    update_baseline: bool = option(
        FLAG, "Write the findings to the baseline.", default=False, needs=(_FILE,)
    )

    def gates(
        self, fail_on: Literal["error", "warning"] | None, expect_layers: int | None
    ) -> InspectGates:
        """The gates for a model; the file is read before anything runs.

        Raises:
            UsageError: an option would be ignored.
            PReLUToolsError: the file cannot be read, or is no baseline of findings.
        """
        from prelu_tools.core.results.inspect_gates import InspectGates

        if self.baseline is None or self.update_baseline:
            return InspectGates(None if self.update_baseline else fail_on, expect_layers)
        if fail_on is None:
            raise UsageError(
                "--baseline would be ignored: use --fail-on warning (or error), or "
                "--update-baseline"
            )
        from prelu_tools.commands.inspect.known import read_known

        return InspectGates(fail_on, expect_layers, read_known(self.baseline))

    def renew(self, results: Sequence[Inspected], quiet: bool) -> None:
        """Write the findings of models to the file, if that was requested."""
        if not self.update_baseline:
            return
        from prelu_tools.core.results.inspect_gates import known_findings, known_model

        found = [
            one for result in results for one in known_findings(result.path, result.all_findings)
        ]
        self._write([known_model(result.path) for result in results], found, quiet)

    def renew_all(self, result: BatchResult, quiet: bool) -> None:
        """The same for many models: nothing is written where one could not be read."""
        if not self.update_baseline:
            return
        from prelu_tools.cli.output import say
        from prelu_tools.core.results.inspect_gates import known_findings, known_model

        models: list[str] = []
        found: list[KnownFinding] = []
        for entry in result.entries:
            if entry.error is not None:
                say(f"{self.baseline} was not written: {entry.path} could not be inspected")
                return
            models.append(known_model(entry.path))
            found += known_findings(entry.path, entry.findings)
        self._write(models, found, quiet)

    def _write(self, models: Sequence[str], found: Sequence[KnownFinding], quiet: bool) -> None:
        from prelu_tools.cli.output import say
        from prelu_tools.commands.inspect.known import write_known

        assert self.baseline is not None  # --update-baseline needs it
        write_known(self.baseline, models, found)
        if not quiet:
            counted = "1 model" if len(models) == 1 else f"{len(models):,} models"
            say(f"wrote {self.baseline}: the findings of {counted}")
