"""`prelu-tools record`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelu_tools.cli.options import (
    Command,
    output_options,
    request_options,
    source_and_output,
    source_options,
    sources_from,
)
from prelu_tools.commands.record.request import RecordRequest

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("record", cls=Command)
@source_and_output("SOURCE", "REFERENCE.npz")
@request_options(RecordRequest)
@source_options
@output_options
def command(
    source: str,
    output: Path,
    out: Output,
    **choices: Any,
) -> int:
    """Run SOURCE as verify runs a reference, and save the results in REFERENCE.npz.

    verify accepts this file as its REFERENCE, so it works where the framework is not installed: in
    CI, or on the target device.

    \b
    Example: prelu-tools record nets.py:Net@weights.pt -o net.npz
             prelu-tools verify net.npz net.onnx
    """
    from prelu_tools.commands.record.command import record

    request = RecordRequest(
        source=source,
        output=output,
        options=sources_from(choices, out),
        **choices,  # named as the fields are
    )
    with out.progress() as progress:
        result = record(request, progress)
    out.show(result)
    return 0
