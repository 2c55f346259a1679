"""`prelu-tools init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prelu_tools.cli.options import Command, output_options

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("init", cls=Command)
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option(
    "--schema/--no-schema",
    default=True,
    show_default=True,
    help="Write prelu-tools.schema.json next to it, so that editors know its keys.",
)
@output_options
def command(
    force: bool,
    schema: bool,
    out: Output,
) -> int:
    """Write prelu-tools.toml for the models in the current folder.

    An ONNX file is paired with the source or the record of it that it was exported from; where it
    names none, with one of its name: net.keras, net.pt2, net.h5, or a class Net in a Python file.
    The only ONNX file belongs to the only class or model. Python is parsed, not run. prelu-tools
    verify without arguments runs these checks.

    \b
    Example: prelu-tools init && prelu-tools verify
    """
    from prelu_tools.batch.init.command import InitRequest, init

    out.show(init(InitRequest(force, schema)))
    return 0
