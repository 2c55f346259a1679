"""`prelu-tools optimize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelu_tools.cli.completing import complete_source, complete_words
from prelu_tools.cli.idle import Command
from prelu_tools.cli.options import gather_source_options, output_options, parse_inputs

if TYPE_CHECKING:
    from prelu_tools.core.results.optimization import Exactness

_TARGETS = ("onnxruntime-cpu", "portable", "onnxruntime-cuda", "openvino", "tensorrt")


def _parse_exact(ctx: click.Context, param: click.Parameter, value: str) -> Exactness | None:
    if ctx.resilient_parsing:  # a shell asks for completions, and is in a hurry
        return None
    from prelu_tools.core.errors import UsageError
    from prelu_tools.core.results.optimization import Exactness

    try:
        return Exactness.parse(value)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error


@click.command("optimize", cls=Command)
@click.argument("source", metavar="MODEL.onnx", shell_complete=complete_source)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FAST.onnx",
    help="The file to write: whole, or not at all.",
)
@click.option(
    "--target",
    type=click.Choice(_TARGETS),
    default="onnxruntime-cpu",
    show_default=True,
    help="What it is to run on; all but onnxruntime-cpu get one PRelu node a call.",
)
@click.option(
    "--exact",
    callback=_parse_exact,
    default="layer",
    show_default=True,
    metavar="layer|bitwise|special|approximate=ULPS",
    shell_complete=complete_words("layer", "bitwise", "special", "approximate="),
    help="layer: each layer gives what PRelu gives for every finite input; bitwise: the model's "
    "outputs keep their bits too, on this machine; special: infinities and NaN too; "
    "approximate: a layer may be off by ULPS.",
)
@click.option(
    "--tune/--no-tune",
    default=None,
    help="Time the forms in the model; by default where it runs in under a second. --no-tune "
    "takes what a cost model says, the same on every machine.",
)
@click.option(
    "--tune-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long that may take.",
)
@click.option(
    "--choices",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the choices of a run before again, from its --report json=FILE.",
)
@click.option(
    "--inputs",
    "inputs_file",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Inputs to time with, and to compare the outputs' bits on; without it, they are drawn.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of onnxruntime when it is timed.",
)
@click.option(
    "--input",
    "inputs",
    callback=parse_inputs,
    multiple=True,
    metavar="NAME:DIMS",
    help="Sizes to time with, x:1,3,112,112, where the model leaves them open; repeatable.",
)
@click.option(
    "--repair-slopes",
    is_flag=True,
    help="Lay slopes [C] that stand on maps [N, C, H, W] along the channels, as files from MXNet "
    "mean them.",
)
@click.option(
    "--slope-axis",
    type=int,
    metavar="N",
    help="The axis that such slopes are meant for, where C equals both: 1 for the channels, -1 "
    "for the last.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@output_options
def command(
    source: str,
    output: Path,
    inputs: tuple[Any, ...],
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> int:
    """Write every PReLU of MODEL.onnx in the form that runs fastest, proven equal.

    onnxruntime's CPU kernel for PRelu is slow on inputs of both signs; the same function in other
    operators is not. Each layer gets the form that is fastest in this model, on this machine.

    \b
    Example: prelu-tools optimize net.onnx -o fast.onnx
    And back: prelu-tools optimize fast.onnx -o net.onnx --target portable
    """
    from prelu_tools.cli.output import Output
    from prelu_tools.cli.output import progress as show_progress
    from prelu_tools.commands.optimize.command import OptimizeRequest, optimize

    options = gather_source_options(inputs, (), False, verbose)
    request = OptimizeRequest(source=source, output=output, options=options, **choices)
    with show_progress(quiet) as progress:
        result = optimize(request, progress)
    Output(form, reports, quiet).show(result)
    return 0
