"""`prelu-tools optimize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelu_tools.cli.options import (
    Command,
    output_options,
    request_options,
    source_and_output,
    sources_from,
)
from prelu_tools.commands.optimize.request import OptimizeRequest

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("optimize", cls=Command)
@source_and_output("MODEL.onnx", "FAST.onnx")
@request_options(OptimizeRequest)
@output_options
def command(
    source: str,
    output: Path,
    out: Output,
    **choices: Any,
) -> int:
    """Rewrite every PReLU of MODEL.onnx in the form that runs fastest; prove that it is equal.

    onnxruntime's CPU kernel for PRelu is slow on inputs of both signs; other operators compute the
    same function faster. Each layer gets the form that is fastest in this model, on this machine.

    \b
    Example: prelu-tools optimize net.onnx -o fast.onnx
    And back: prelu-tools optimize fast.onnx -o net.onnx --target portable
    """
    from prelu_tools.commands.optimize.command import optimize

    options = sources_from(choices, out)
    request = OptimizeRequest(source=source, output=output, options=options, **choices)
    with out.progress() as progress:
        result = optimize(request, progress)
    out.show(result)
    return 0
