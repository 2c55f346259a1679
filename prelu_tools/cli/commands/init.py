"""`prelu-tools init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prelu_tools.cli.options import Command, output_options

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("init", cls=Command)
@click.option(
    "--force",
    is_flag=True,
    help="Add missing checks to an existing list; the rest of it does not change.",
)
@click.option(
    "--schema/--no-schema",
    default=True,
    show_default=True,
    help="Also write prelu-tools.schema.json, so that editors know the keys of the list.",
)
@output_options
def command(
    force: bool,
    schema: bool,
    out: Output,
) -> int:
    """Write prelu-tools.toml for the models in the current folder.

    Each ONNX file is paired with the source that it was exported from, or with a record of that
    source. If the file does not name its source, one with the same name is used: for net.onnx,
    net.keras, net.pt2, net.h5, or a class Net in a Python file. A single ONNX file and a single
    class or model always form a pair. Python files are parsed, not run. prelu-tools verify without
    arguments runs these checks.

    \b
    Example: prelu-tools init && prelu-tools verify
    """
    from prelu_tools.batch.init.command import InitRequest, init

    out.show(init(InitRequest(force, schema)))
    return 0
