"""Results to standard output and to files; progress to standard error, on a terminal only."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.reports import Result, Style, render


@dataclass(frozen=True)
class Output:
    """Where a command's result goes."""

    form: str
    """Format of what goes to standard output."""
    reports: tuple[tuple[str, str], ...]
    """Formats and paths of files; `-` is standard output."""
    quiet: bool
    """Whether to print no result."""
    slopes: bool = False
    """Whether to show each slope's value."""

    def show(self, result: Result) -> None:
        """Write the result everywhere it was asked for.

        Raises:
            PReLUToolsError: a report cannot be written.
        """
        for form, path in self.reports:
            text = render(result, form, Style(slopes=self.slopes))
            if path == "-":
                click.echo(text, nl=False)
            else:
                _write(Path(path), text)
        if not self.quiet:
            click.echo(render(result, self.form, self._style()), nl=False, color=True)

    def _style(self) -> Style:
        if not sys.stdout.isatty():
            return Style(slopes=self.slopes)
        return Style(shutil.get_terminal_size().columns, colour=True, slopes=self.slopes)


def _write(path: Path, text: str) -> None:
    from prelu_tools.graph.writer import replacing

    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Something to tell the name of each stage to; it shows on a terminal, and leaves no trace."""
    if quiet or not sys.stderr.isatty():
        yield lambda stage: None
        return

    def tell(stage: str) -> None:
        click.echo(f"\r\033[K{stage} ...", nl=False, err=True)

    try:
        yield tell
    finally:
        click.echo("\r\033[K", nl=False, err=True)
