"""`prelu-tools quantize`."""

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
from prelu_tools.commands.quantize.request import QuantizeRequest

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("quantize", cls=Command)
@source_and_output("MODEL.onnx", "MODEL.int8.onnx")
@click.option(
    "--calibration",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DATA.npz|DIR",
    help="Inputs as the model expects them: an .npz file with an array for each input and a row "
    "for each sample, or a folder of .npz (or .npy) files. A quarter of the rows is held "
    "out to check the result.",
)
@request_options(QuantizeRequest)
@output_options
def command(
    source: str,
    output: Path,
    calibration: Path,
    out: Output,
    **choices: Any,
) -> int:
    """Quantize MODEL.onnx to 8-bit integers, PReLU included, and measure what it costs in accuracy.

    onnxruntime's own quantizer leaves PReLU in floating point, so the int8 model often takes
    several times as long as with ReLU. This command runs that quantizer (QDQ, static, per channel),
    and then writes each PReLU with integer operators, in the form that is fastest in this model,
    with the range that costs the least accuracy. The file is compared with the floating-point model
    before it is put in place.

    \b
    Example: prelu-tools quantize net.onnx -o net.int8.onnx --calibration data.npz
    """
    from prelu_tools.cli.main import EXIT_NO_VERDICT, EXIT_VERDICT
    from prelu_tools.commands.quantize.command import quantize

    options = sources_from(choices, out)
    request = QuantizeRequest(
        source=source, output=output, calibration=calibration, options=options, **choices
    )
    with out.progress() as progress:
        result = quantize(request, progress)
    out.show(result)
    return {"fail": EXIT_VERDICT, "inconclusive": EXIT_NO_VERDICT}.get(result.verdict or "", 0)
