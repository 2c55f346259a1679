"""`prelu-tools inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelu_tools.cli.options import gather_source_options, output_options, source_options

if TYPE_CHECKING:
    from prelu_tools.core.inspection import InspectResult

_FIGURES = (".png", ".svg")
_TARGETS = ("onnxruntime-cpu", "onnxruntime-cuda", "tensorrt", "openvino")


def _parse_plot(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """A file whose suffix says its format."""
    if value is not None and value.suffix.lower() not in _FIGURES:
        raise click.BadParameter(f"{str(value)!r}: expected a name that ends in .png or .svg")
    return value


@click.command("inspect")
@click.argument("sources", metavar="SOURCE [OTHER]", nargs=-1, required=True)
@click.option("--slopes", is_flag=True, help="Show the value of every slope.")
@click.option("--all", "others", is_flag=True, help="Show each LeakyRelu and Relu too.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    callback=_parse_plot,
    metavar="FILE.png|.svg",
    help="Draw the slopes by depth (needs matplotlib: prelu-tools[plot]).",
)
@click.option(
    "--near",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="How close to 0 (or 1) a slope counts as ReLU (or the identity).",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Run the model on this, and show how often each negative branch is used.",
)
@click.option(
    "--target",
    type=click.Choice(_TARGETS),
    help="Say what this runtime does with each layer.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    help="Exit 1 where a finding is at least this severe.",
)
@click.option(
    "--expect-layers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Exit 1 unless the model has N PReLU layers.",
)
@source_options
@output_options
def command(
    sources: tuple[str, ...],
    slopes: bool,
    others: bool,
    plot: Path | None,
    near: float,
    data: Path | None,
    target: str | None,
    fail_on: str | None,
    expect_layers: int | None,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Show the PReLU slopes of SOURCE, layer by layer: what was learned, and what is wrong.

    SOURCE is model.onnx, model.keras, or Python: nets.py:Net(10), package.module:name. With two of
    them it shows what changed from the first to the second.

    \b
    Example: prelu-tools inspect model.onnx
    """
    from prelu_tools.cli.output import Output, write
    from prelu_tools.commands.inspect import InspectRequest, inspect_source
    from prelu_tools.core.statistics import Thresholds

    if len(sources) > 2:
        raise click.UsageError(
            f"{len(sources)} sources were given: expected one, or two to compare"
        )
    if len(sources) == 2:
        _refuse_for_two(form, reports, plot)
    request = InspectRequest(
        thresholds=Thresholds(near),
        explain=verbose,
        target=target,
        data=data,
        options=gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose),
    )
    output = Output(form, reports, quiet, slopes, others)
    if len(sources) == 2:
        from prelu_tools.commands.compare import compare_sources

        compared = compare_sources(sources[0], sources[1], request)
        output.show(compared)
        return max(
            _verdict(side, fail_on, expect_layers) for side in (compared.left, compared.right)
        )
    result = inspect_source(sources[0], request)
    if plot is not None:
        from prelu_tools.reports.plot import draw

        write(plot, draw(result, plot.suffix.lower()))
    output.show(result)
    return _verdict(result, fail_on, expect_layers)


def _refuse_for_two(form: str, reports: tuple[tuple[str, str], ...], plot: Path | None) -> None:
    """Say no to what shows one model, before two are read."""
    if plot is not None:
        raise click.UsageError("--plot draws one model: give one source")
    if "html" in (form, *(report for report, _ in reports)):
        raise click.UsageError(
            "html shows one model: give one source, or compare two with --format table, json, csv "
            "or markdown"
        )


def _verdict(result: InspectResult, fail_on: str | None, expect_layers: int | None) -> int:
    """1 where a gate says no, with the reason on standard error; else 0."""
    from prelu_tools.reports.printable import printable

    path = printable(result.path)
    failing = {"error": ("error",), "warning": ("error", "warning"), None: ()}[fail_on]
    found = [finding for finding in result.all_findings if finding.severity in failing]
    if found:
        codes = ", ".join(dict.fromkeys(finding.code for finding in found))
        click.echo(f"Error: {path} has findings at --fail-on {fail_on}: {codes}", err=True)
    n_layers = len(result.layers)
    lost = expect_layers is not None and n_layers != expect_layers
    if lost:
        click.echo(f"Error: {path} has {n_layers} PReLU layers; expected {expect_layers}", err=True)
    return int(bool(found) or lost)
