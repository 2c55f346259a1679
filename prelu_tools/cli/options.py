"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from prelu_tools.cli.completing import complete_report, complete_source, complete_words
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.effect import refuse_ignored
from prelu_tools.core.requests.kinds import Kind, WrongValueError, did_you_mean
from prelu_tools.core.requests.option import Option, options_of
from prelu_tools.reports import commands_with, formats_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from prelu_tools.cli.output import Output

Function = TypeVar("Function", bound=Callable[..., Any])
T = TypeVar("T")


class RequestOption(click.Option):
    """An option that a field of a request declares."""

    def __init__(self, *args: Any, request: type, kind: Kind, **settings: Any) -> None:
        """Store the field's owner and kind."""
        super().__init__(*args, **settings)
        self.request, self.kind = request, kind


class Command(click.Command):
    """Exit 2 for an option without effect because of another one, and for a file in no folder.

    At its end it names the files that were written next to the one that the result is about.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        options = [param for param in self.params if isinstance(param, RequestOption)]
        for request in dict.fromkeys(option.request for option in options):
            names = [option.name or "" for option in options if option.request is request]
            given = [name for name in names if _is_given(ctx, name)]
            refuse_ignored(SimpleNamespace(**ctx.params), request, given)
        files = list(dict.fromkeys(self._to_write(ctx.params)))
        for path in files:
            if not path.parent.is_dir() and not _is_made(path.parent, ctx.params):
                raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
        bundle = ctx.params.get("bundle")
        before = {path: _state(path) for path in (*files, *([bundle] if bundle else []))}
        before.pop(ctx.params.get("baseline"), None)  # of it, more is said where it is written
        try:
            return super().invoke(ctx)
        finally:
            written = [path for path, old in before.items() if _state(path) != old]
            if written and not ctx.params["quiet"]:
                _say_written(written)

    def _to_write(self, given: Mapping[str, Any]) -> Iterator[Path]:
        """The files that options name to be written, except what `-o` names."""
        yield from (Path(path) for _, path in given.get("reports", ()) if path != "-")
        fields = [one for one in self.params if isinstance(one, RequestOption)]
        names = [one.name for one in fields if one.kind.type == "file" and not one.kind.is_read]
        for name in ("plot", *names):
            is_read = name == "baseline" and not given.get("update_baseline")
            if name is not None and given.get(name) is not None and not is_read:
                yield given[name]


def _state(path: Path) -> tuple[int, ...] | None:
    """A file's identity, to see whether it was replaced or appended to; None if it is missing."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    is_kept = path.is_file() or path.is_dir()  # and no device, and no pipe
    return (found.st_ino, found.st_size, found.st_mtime_ns) if is_kept else None


def _say_written(paths: Iterable[Path]) -> None:
    from prelu_tools.cli.output import say

    say(f"wrote {', '.join(f'{path}/' if path.is_dir() else str(path) for path in paths)}")


def _is_made(folder: Path, given: Mapping[str, Any]) -> bool:
    """Whether the run makes a folder: that of a bundle, or of what it writes of many models."""
    output = given.get("output", ".")
    if output is None:  # a list says where each model goes
        return True
    named = [Path(value) for value in (output, given.get("bundle")) if value is not None]
    places = (place for one in named for place in (one, one.parent) if not place.exists())
    return any(folder.is_relative_to(place) for place in places)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


class FormatType(click.ParamType):  # type: ignore[type-arg]  # older clicks take none
    """One of the formats that make sense for the command whose option this is."""

    name = "format"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The formats, for the help."""
        return f"[{'|'.join(formats_of(ctx.command.name or ''))}]"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """The formats that begin so."""
        return complete_words(*formats_of(ctx.command.name or ""))(ctx, param, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name of a format, or a sentence that says which there are."""
        command = (ctx.command.name if ctx else None) or ""
        known = formats_of(command)
        if value not in known:
            elsewhere = commands_with(value)
            found = f"is for {', '.join(elsewhere)}" if elsewhere else "is not a valid format"
            self.fail(f"{value!r} {found}; {command} has {', '.join(known)}", param, ctx)
        return str(value)


def parse_reports(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """FORMAT=PATH."""
    pairs = []
    for value in values:
        form, _, path = value.partition("=")
        if not path:
            raise click.BadParameter(f"{value!r}: expected FORMAT=PATH, as in json=result.json")
        pairs.append((FormatType().convert(form, param, ctx), path))
    return tuple(pairs)


def source_and_output(source: str, output: str) -> Callable[[Function], Function]:
    """The argument for one model and `-o` for its output, by their names in the help."""

    def add(function: Function) -> Function:
        function = click.option(
            "-o",
            "--output",
            required=True,
            type=click.Path(path_type=Path),
            metavar=output,
            help="The file to write; an incomplete file is never left behind.",
        )(function)
        return click.argument("source", metavar=source, shell_complete=complete_source)(function)

    return add


def request_options(request: type) -> Callable[[Function], Function]:
    """The options that the fields of a request declare, in their order."""

    def add(function: Function) -> Function:
        for one in reversed(options_of(request, "cli")):
            function = _option(one, request)(function)
        return function

    return add


source_options = request_options(SourceOptions)
"""How sources are read."""


def _option(one: Option, request: type) -> Callable[[Function], Function]:
    """A field's option as click has it; its parameter is named as the field is."""
    flag = "--" + one.name.replace("_", "-")
    of: dict[str, Any] = {"cls": RequestOption, "request": request, "kind": one.kind}
    settings: dict[str, Any] = {**of, "help": one.help, "metavar": one.metavar}
    if one.kind.type == "flag":
        if one.default is False:
            return click.option(flag, one.field, is_flag=True, help=one.help, **of)
        flag = f"{flag}/--no-{flag[2:]}"
        settings["default"] = None
    else:
        settings |= {"type": _type(one.kind), "multiple": one.kind.many}
    if one.kind.from_text is not None:
        settings["callback"] = _reader(one.kind.from_text)
    if one.complete:
        words = complete_source if one.complete == "source" else complete_words(*one.complete)
        settings["shell_complete"] = words
    if one.default not in (None, ()):
        settings |= {"default": one.default, "show_default": True}
    return click.option(flag, one.field, **settings)


class _Choice(click.Choice):  # type: ignore[type-arg]  # older clicks take none
    """One of some words; the error for another one names the word that was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            meant = did_you_mean(value, self.choices)
            text = error.message.removesuffix(".") + meant if meant else error.message
            raise click.BadParameter(text, ctx, param) from error


def _type(kind: Kind) -> click.ParamType | None:  # type: ignore[type-arg]  # older clicks take none
    """What checks the text; None for any text."""
    if kind.type == "number":
        return click.FloatRange(kind.low, kind.high, min_open=kind.above)
    if kind.type == "whole":
        return click.INT if kind.low is None else click.IntRange(int(kind.low))
    if kind.type == "choice":
        return _Choice(kind.words)
    if kind.type in ("file", "folder"):
        return click.Path(
            path_type=Path, file_okay=kind.type == "file", dir_okay=not kind.refuses_folder
        )
    return None


def _reader(
    from_text: Callable[[Any], Any],
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def read(ctx: click.Context, param: click.Parameter, given: Any) -> Any:
        if ctx.resilient_parsing:  # a shell requests completions, which have to be fast
            return None
        try:
            return from_text(given)
        except WrongValueError as error:
            raise click.BadParameter(str(error)) from error

    return read


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Where results go, and how much is said: the keyword `out` of the command, an `Output`."""

    @wraps(command)
    def function(*args: Any, **given: Any) -> int:
        from prelu_tools.cli.output import Output

        form, reports, quiet = given.pop("form"), given.pop("reports"), given.pop("quiet")
        out = Output(form, reports, quiet, details=given.pop("verbose"))
        return command(*args, out=out, **given)

    for option in (
        click.option(
            "-v", "--verbose", is_flag=True, help="Show details, and the frameworks' own messages."
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            help="Show no progress and no table: only errors, one line for each failure, and the "
            "report if --format is given.",
        ),
        click.option(
            "--report",
            "reports",
            callback=parse_reports,
            multiple=True,
            metavar="FORMAT=PATH",
            shell_complete=complete_report,
            help="Also write the report to a file; repeatable.",
        ),
        click.option(
            "--format",
            "form",
            type=FormatType(),
            default="table",
            show_default=True,
            help="Format of the report on standard output.",
        ),
    ):
        function = option(function)
    return function


def taken(request: type[T], choices: dict[str, Any]) -> T:
    """The value built from those of these options that belong to it; they are removed."""
    kind: type = request
    return request(**{one.field: choices.pop(one.field) for one in options_of(kind, "cli")})


def sources_from(choices: dict[str, Any], out: Output) -> SourceOptions:
    """How to read sources, by what the command has of `source_options`; they are taken out."""
    names = {one.field for one in options_of(SourceOptions, "cli")} & set(choices)
    return SourceOptions(**{name: choices.pop(name) for name in names}, show_chatter=out.details)
