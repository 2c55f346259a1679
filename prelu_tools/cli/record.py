"""`prelu-tools record`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prelu_tools.cli.completing import complete_source
from prelu_tools.cli.options import (
    Command,
    gather_source_options,
    output_options,
    request_options,
    source_options,
)
from prelu_tools.commands.record.request import RecordRequest


@click.command("record", cls=Command)
@click.argument("source", metavar="SOURCE", shell_complete=complete_source)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="REFERENCE.npz",
    help="The file to write, completely or not at all.",
)
@request_options(RecordRequest)
@source_options
@output_options
def command(
    source: str,
    output: Path,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> int:
    """Run SOURCE as verify runs a reference, and save the results in REFERENCE.npz.

    verify accepts this file as its REFERENCE, so it works where the framework is not installed: in
    CI, or on the target device.

    \b
    Example: prelu-tools record nets.py:Net@weights.pt -o net.npz
             prelu-tools verify net.npz net.onnx
    """
    from prelu_tools.cli.output import Output, progress
    from prelu_tools.commands.record.command import record

    request = RecordRequest(
        source=source,
        output=output,
        options=gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose),
        **choices,  # named as the fields are
    )
    with progress(quiet, verbose) as tell:
        result = record(request, tell)
    Output(form, reports, quiet).show(result)
    return 0
