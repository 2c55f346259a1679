"""`prelu-tools doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prelu_tools.cli.options import Command, output_options

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("doctor", cls=Command)
@output_options
def command(out: Output) -> int:
    """Show what is installed, what works, and what to install.

    Each execution provider of onnxruntime is loaded. The exit code is 3 if the packages that
    everything needs (numpy, onnx, onnxruntime) do not work.
    """
    from prelu_tools.commands.doctor import doctor

    result = doctor()
    out.show(result)
    return 0 if result.works else 3
