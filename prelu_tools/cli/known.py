"""The options that say which findings fail no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

if TYPE_CHECKING:
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.inspect_gates import Inspected, InspectGates, KnownFinding

Function = TypeVar("Function", bound=Callable[..., object])


def known_options(function: Function) -> Function:
    """`--baseline` and `--update-baseline`."""
    for option in (
        click.option(
            "--update-baseline",
            is_flag=True,
            help="Write the findings to the baseline; none fails.",
        ),
        click.option(
            "--baseline",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE.json",
            help="With --fail-on, only findings that are not in this file count.",
        ),
    ):
        function = option(function)
    return function


@dataclass(frozen=True)
class KnownChoice:
    """The baseline of findings, and what to do with it."""

    path: Path | None
    """The file; None for none."""
    update: bool
    """Whether it is written, and nothing compared with it."""
    quiet: bool
    """Whether to say nothing of a file that was written."""

    def gates(
        self, fail_on: Literal["error", "warning"] | None, expect_layers: int | None
    ) -> InspectGates:
        """What a model has to be like; the file is read before anything runs.

        Raises:
            UsageError: an option would be ignored.
            PReLUToolsError: the file cannot be read, or is no baseline of findings.
        """
        from prelu_tools.commands.inspect.known import read_known
        from prelu_tools.core.results.inspect_gates import InspectGates

        if self.path is None and self.update:
            raise click.UsageError("--update-baseline needs --baseline FILE.json")
        if self.path is None or self.update:
            return InspectGates(None if self.update else fail_on, expect_layers)
        if fail_on is None:
            raise click.UsageError(
                "--baseline would be ignored: give --fail-on warning (or error), or "
                "--update-baseline"
            )
        return InspectGates(fail_on, expect_layers, read_known(self.path))

    def renew(self, results: Sequence[Inspected]) -> None:
        """Write the findings of models to the file, where that was asked for."""
        from prelu_tools.core.results.inspect_gates import known_findings, known_model

        found = [
            one for result in results for one in known_findings(result.path, result.all_findings)
        ]
        self._write([known_model(result.path) for result in results], found)

    def renew_all(self, result: BatchResult) -> None:
        """The same for many models: nothing is written where one could not be read."""
        from prelu_tools.cli.output import say
        from prelu_tools.core.results.inspect_gates import FAILING, KnownFinding, known_model

        models, found = [], []
        for entry in result.entries:
            document = entry.document
            if document is None:
                if self.update:
                    say(f"{self.path} was not written: {entry.path} could not be inspected")
                return
            models.append(known_model(entry.path))
            places = [("", document), *((one["name"], one) for one in document["layers"])]
            found += [
                KnownFinding(models[-1], finding["code"], layer)
                for layer, place in places
                for finding in place["findings"]
                if finding["severity"] in FAILING["warning"]
            ]
        self._write(models, found)

    def _write(self, models: Sequence[str], found: Sequence[KnownFinding]) -> None:
        from prelu_tools.cli.output import say
        from prelu_tools.commands.inspect.known import write_known

        if self.path is None or not self.update:
            return
        write_known(self.path, models, found)
        if not self.quiet:
            counted = "1 model" if len(models) == 1 else f"{len(models):,} models"
            say(f"{self.path} has the findings of {counted} now")
