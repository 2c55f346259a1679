"""`prelu-tools inspect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from prelu_tools.batch.plan import Plan
from prelu_tools.cli.baseline import KnownRequest
from prelu_tools.cli.batch import are_many, batch_options, run_many
from prelu_tools.cli.completing import complete_source
from prelu_tools.cli.options import (
    Command,
    output_options,
    request_options,
    source_options,
    sources_from,
    taken,
)
from prelu_tools.commands.inspect.request import InspectRequest, is_log

if TYPE_CHECKING:
    from prelu_tools.batch.lists.jobs import JobList
    from prelu_tools.cli.output import Output
    from prelu_tools.core.results.inspect_gates import Inspected, InspectGates
    from prelu_tools.core.results.inspection import InspectResult
    from prelu_tools.core.results.series import SeriesResult

Seen = TypeVar("Seen", "InspectResult", "SeriesResult")
_FIGURES = (".png", ".svg")


def _parse_plot(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """A file with a suffix that gives its format."""
    if value is not None and value.suffix.lower() not in _FIGURES:
        raise click.BadParameter(f"{str(value)!r}: expected a name that ends in .png or .svg")
    return value


@click.command("inspect", cls=Command)
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=complete_source
)
@click.option("--each", is_flag=True, help="Of several models, show each one's full report.")
@click.option(
    "--series",
    is_flag=True,
    help="Take SOURCE... as checkpoints of one training run, and show how slopes moved.",
)
@click.option("--slopes", is_flag=True, help="Show the value of every slope.")
@click.option("--all", "others", is_flag=True, help="Also show every LeakyRelu and Relu.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    callback=_parse_plot,
    metavar="FILE.png|.svg",
    help="Draw the slopes of all layers, first to last (needs prelu-tools[plot]).",
)
@request_options(InspectRequest)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    help="Exit with code 1 if a finding is at least this severe.",
)
@click.option(
    "--expect-layers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Exit with code 1 unless the model has N PReLU layers.",
)
@request_options(KnownRequest)
@batch_options
@source_options
@output_options
def command(
    sources: tuple[str, ...],
    each: bool,
    series: bool,
    slopes: bool,
    others: bool,
    plot: Path | None,
    fail_on: Literal["error", "warning"] | None,
    expect_layers: int | None,
    out: Output,
    **choices: Any,
) -> int:
    """Show the PReLU slopes of SOURCE, layer by layer: what was learned, and what looks wrong.

    SOURCE is model.onnx, model.keras, or Python: nets.py:Net(10), package.module:name. With two
    sources, it shows what changed from the first to the second. With more, or with a folder, a
    pattern ('models/*.onnx') or a list (.txt, .csv, .toml), it shows one line for each model.
    With --series, the sources are checkpoints of one training run, in the order of the numbers in
    their names. slopes.jsonl, which a logger of prelu_tools.training writes, is already a series.

    \b
    Example: prelu-tools inspect model.onnx
    """
    plan, known = taken(Plan, choices), taken(KnownRequest, choices)
    request = InspectRequest(
        explain=out.details,
        options=sources_from(choices, out),
        **choices,  # named as the fields are
    )
    output = replace(out, slopes=slopes, others=others)
    gates = known.gates(fail_on, expect_layers)
    if series or any(map(is_log, sources)):
        if each or plan != Plan():
            raise click.UsageError(
                "a series is read in this process: leave out --each and the options for many models"
            )
        return _show(_series(sources, request), gates, output, plot, known)
    each = each and (len(sources) > 1 or are_many(sources))
    if _is_batch(sources, each or plan != Plan()):
        if plot is not None:
            raise click.UsageError("--plot draws one model: give one source")
        if len(sources) == 2 and not each and not are_many(sources):
            raise click.UsageError(
                "two sources are compared, in this process: use --each to inspect each of them"
            )
        jobs = _jobs(sources, request, gates, output, each)
        found = run_many(jobs, output, plan)
        output.show(found)
        known.renew_all(found, out.quiet)
        return found.exit_code
    if len(sources) == 2:
        from prelu_tools.commands.inspect.compare import compare_sources

        if plot is not None:
            raise click.UsageError("--plot draws one model: give one source")
        compared = compare_sources(sources[0], sources[1], request)
        left, right = _gated(compared.left, gates), _gated(compared.right, gates)
        output.show(replace(compared, left=left, right=right))
        known.renew([left, right], out.quiet)
        return _exit_code(left, right)
    from prelu_tools.commands.inspect.command import inspect_source

    return _show(inspect_source(sources[0], request), gates, output, plot, known)


def _is_batch(sources: tuple[str, ...], asked: bool) -> bool:
    return asked or len(sources) > 2 or are_many(sources)


def _jobs(
    sources: tuple[str, ...],
    request: InspectRequest,
    gates: InspectGates,
    output: Output,
    each: bool,
) -> JobList:
    """One for each model that is meant."""
    from prelu_tools.batch.lists.jobs import inspect_jobs

    shown = output.form if each and output.form in ("table", "markdown") else None
    return inspect_jobs(sources, request, gates, slopes=output.slopes, each=shown)


def _series(sources: tuple[str, ...], request: InspectRequest) -> SeriesResult:
    """How slopes moved from one source to the next."""
    from prelu_tools.commands.inspect.series import inspect_series

    if are_many(sources) and not all(map(is_log, sources)):
        from prelu_tools.batch.lists.models import expand

        found = expand(sources, "inspect")
        for problem in (one.problem for one in found if one.problem):
            raise click.UsageError(problem)
        sources = tuple(one.text for one in found)
    return inspect_series(sources, request)


def _show(
    found: Seen,
    gates: InspectGates,
    output: Output,
    plot: Path | None,
    known: KnownRequest,
) -> int:
    """Show a result, draw it where that was requested, and keep what is known of it."""
    from prelu_tools.cli.output import write

    result = _gated(found, gates)
    if plot is not None:
        from prelu_tools.reports.writers.charts.plot import draw

        write(plot, draw(result, plot.suffix.lower()))
    output.show(result)
    known.renew([result], output.quiet)
    return _exit_code(result)


def _gated(result: Seen, gates: InspectGates) -> Seen:
    """The result with the verdict of the gates."""
    return replace(result, failures=gates.reasons(result))


def _exit_code(*results: Inspected) -> int:
    """1 if a gate fails, with the reason on standard error; otherwise 0."""
    from prelu_tools.cli.output import say

    reasons = [reason for result in results for reason in result.failures]
    for reason in reasons:
        say(f"Error: {reason}")
    return int(bool(reasons))
