"""`prelu-tools inspect`."""

from __future__ import annotations

from typing import Any

import click

from prelu_tools.cli.options import gather_source_options, output_options, source_options


@click.command("inspect")
@click.argument("source", metavar="SOURCE")
@click.option("--slopes", is_flag=True, help="Show the value of every slope.")
@click.option(
    "--expect-layers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Fail (exit 1) unless the model has N PReLU layers.",
)
@source_options
@output_options
def command(
    source: str,
    slopes: bool,
    expect_layers: int | None,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Show the PReLU slopes of SOURCE, layer by layer: what was learned.

    SOURCE is model.onnx, model.keras, or Python: nets.py:Net(10), package.module:name.

    \b
    Example: prelu-tools inspect model.onnx
    """
    from prelu_tools.cli.output import Output
    from prelu_tools.commands.inspect import inspect_source

    options = gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose)
    result = inspect_source(source, options)
    Output(form, reports, quiet, slopes).show(result)
    if expect_layers is not None and len(result.layers) != expect_layers:
        click.echo(
            f"Error: {source} has {len(result.layers)} PReLU layers; expected {expect_layers}",
            err=True,
        )
        return 1
    return 0
