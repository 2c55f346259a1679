"""Results to standard output and to files; progress to standard error, on a terminal only."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import click

from prelu_tools.cli.github import append_summary, folder, is_summary
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.progress import ProgressCallback
from prelu_tools.reports import Result, Style, render
from prelu_tools.reports.printable import one_line, printable, shortened

_LONGEST_SENTENCE, _LONGEST_TRACEBACK = 4000, 100_000  # characters


@dataclass(frozen=True)
class Output:
    """Where a command's result goes."""

    form: str
    """Format of what goes to standard output."""
    reports: tuple[tuple[str, str], ...]
    """Formats and paths of files; `-` is standard output."""
    quiet: bool
    """Whether to print no table, but a line to standard error where it is no pass."""
    slopes: bool = False
    """Whether to show each slope's value."""
    others: bool = False
    """Whether to show each LeakyRelu and Relu."""
    details: bool = False
    """Whether a table shows what a page folds, and progress is a line for each stage (`-v`)."""

    def show(self, result: Result) -> None:
        """Write the result to all requested places; a failure at one does not affect the others.

        Raises:
            PReLUToolsError: a report cannot be written.
        """
        failures: list[PReLUToolsError] = []
        for form, path in self.reports:
            text = render(result, form, self._style(shown=False))
            if path == "-":
                _print(text)
            elif is_summary(path):
                append_summary(text)
            else:
                try:
                    write(Path(path), text.encode("utf-8", "backslashreplace"))
                except PReLUToolsError as error:
                    failures.append(error)
        if "github" in self._forms:
            append_summary(render(result, "markdown", self._style(shown=False)))
        if self.quiet:
            from prelu_tools.reports.headline import headline

            line = headline(result)
            if line is not None:
                say(line)
        if self.form != "table" or not self.quiet:
            style = self._style(shown=True)
            _print(render(result, self.form, style))
        if failures:
            raise failures[0]

    def progress(self) -> AbstractContextManager[ProgressCallback]:
        """See `progress`."""
        return progress(self.quiet, self.details)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Make an annotation of an error too, where the result would have been some."""
        try:
            yield
        except PReLUToolsError as error:
            if self.form == "github":
                from prelu_tools.reports.writers.github import annotation

                place = (getattr(error, "path", None), getattr(error, "line", None))
                _print(annotation("error", "prelu-tools verify", str(error), folder(), *place))
            raise

    @property
    def _forms(self) -> set[str]:
        return {self.form, *(form for form, _ in self.reports)}

    def _style(self, shown: bool) -> Style:
        style = Style(slopes=self.slopes, others=self.others, details=self.details)
        if {"github", "sarif"} & self._forms:
            style = replace(style, folder=folder(), current=str(Path.cwd()))
        if not shown:
            return style
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else style.width
        return replace(style, width=width, colour=_has_colour())


def _has_colour() -> bool:
    """Whether standard output takes colours: a terminal, but for https://no-color.org.

    FORCE_COLOR turns them on without a terminal, as in a CI log.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def say(text: str, longest: int = _LONGEST_SENTENCE) -> None:
    """Write text to standard error that may contain names from a file."""
    to_stderr(one_line(shortened(text, longest)))


def say_traceback(error: BaseException) -> None:
    """Write to standard error where an error happened; no line of it can pass for another."""
    import traceback

    lines = "".join(traceback.format_exception(error)).rstrip()
    for line in shortened(lines, _LONGEST_TRACEBACK).split("\n"):
        to_stderr(f"| {printable(line)}")


def to_stderr(line: str) -> None:
    """Write a line to standard error; if that fails, there is nowhere to report it."""
    with suppress(OSError, ValueError):
        click.echo(line, err=True)


def _print(text: str) -> None:
    try:
        click.echo(text, nl=False, color=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PReLUToolsError(f"standard output cannot be written: {error.strerror}") from error


def write(path: Path, content: bytes) -> None:
    """Put a file in place, whole or not at all; a device or a pipe is written to.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    from prelu_tools.graph.io.writer import replacing

    if not path.parent.is_dir():
        raise PReLUToolsError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        if path.exists() and not path.is_file():  # a rename would replace it with a file
            path.write_bytes(content)
            return
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def progress(quiet: bool, verbose: bool = False) -> Iterator[ProgressCallback]:
    """A callback for the name of each stage; it shows on a terminal, and leaves no trace.

    With `verbose`, where the frameworks write to the same terminal, each stage has its own line.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda stage: None
    elif verbose:
        yield lambda stage: to_stderr(f"{printable(stage)} ...")
    else:
        from prelu_tools.cli.spinner import spinner

        with spinner() as tell:
            yield tell
