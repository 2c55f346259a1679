"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prelu_tools.cli.completing import complete_report, complete_source, complete_words
from prelu_tools.reports import commands_with, formats_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from prelu_tools.core.options import InputOption, SourceOptions

Function = TypeVar("Function", bound=Callable[..., Any])


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


def parse_inputs(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[InputOption, ...]:
    """NAME:DIMS, as in `x:batch,3,112,112`."""
    from prelu_tools.core.options import InputOption

    found = []
    for value in values:
        name, separator, dims = value.rpartition(":")
        sizes = [part.strip() for part in dims.split(",")]
        good = all(s.isidentifier() or (s.isdigit() and int(s) > 0) for s in sizes)
        if not separator or not name or not good:
            raise click.BadParameter(
                f"{value!r} is not a valid input: expected NAME:DIMS, a size or a name for each "
                "dimension, as in x:batch,3,112,112"
            )
        found.append(InputOption(name, tuple(int(s) if s.isdigit() else s for s in sizes)))
    return tuple(found)


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


def parse_ranges(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """LOW,HIGH for every input, or NAME=LOW,HIGH."""
    if not values:
        return {}
    from prelu_tools.commands.checks.fields import WrongValueError, given_range

    found = {}
    for value in values:
        name, _, limits = value.rpartition("=")
        try:
            found[name] = given_range(limits)
        except WrongValueError as error:
            raise click.BadParameter(
                f"{value!r} is not a range: expected LOW,HIGH or NAME=LOW,HIGH, as in image=0,255"
            ) from error
    return found


def range_option(function: Function) -> Function:
    """The values of inputs that are drawn."""
    return click.option(
        "--input-range",
        "ranges",
        callback=parse_ranges,
        multiple=True,
        metavar="[NAME=]LOW,HIGH",
        help="The values that inputs may take, as in image=0,255; repeatable.",
    )(function)


def source_options(function: Function) -> Function:
    """How sources are read."""
    for option in (
        click.option(
            "--allow-unsafe-load",
            is_flag=True,
            help="Load pickles and Lambda layers that may run code of the file.",
        ),
        click.option(
            "--custom-objects",
            multiple=True,
            metavar="MODULE_OR_FILE[:NAME]",
            shell_complete=complete_source,
            help="Where a Keras file's own classes are; repeatable.",
        ),
        click.option(
            "--input",
            "inputs",
            callback=parse_inputs,
            multiple=True,
            metavar="NAME:DIMS",
            help="An input's shape, x:batch,3,112,112, where the model does not know it; "
            "repeatable.",
        ),
    ):
        function = option(function)
    return function


def output_options(function: Function) -> Function:
    """Where results go, and how much is said."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show the frameworks' own messages."),
        click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors."),
        click.option(
            "--report",
            "reports",
            callback=parse_reports,
            multiple=True,
            metavar="FORMAT=PATH",
            shell_complete=complete_report,
            help="Write the result to a file too; repeatable.",
        ),
        click.option(
            "--format",
            "form",
            type=FormatType(),
            default="table",
            show_default=True,
            help="What goes to standard output.",
        ),
    ):
        function = option(function)
    return function


def gather_source_options(
    inputs: tuple[Any, ...], custom_objects: tuple[str, ...], allow_unsafe_load: bool, verbose: bool
) -> SourceOptions:
    """The options of `source_options` as one value."""
    from prelu_tools.core.options import SourceOptions

    return SourceOptions(
        inputs=tuple(inputs),
        custom_objects=custom_objects,
        allow_unsafe_load=allow_unsafe_load,
        show_chatter=verbose,
    )
