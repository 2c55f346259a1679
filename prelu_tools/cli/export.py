"""`prelu-tools export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from prelu_tools.cli.completing import complete_source, complete_words
from prelu_tools.cli.options import (
    gather_source_options,
    output_options,
    range_option,
    source_options,
)
from prelu_tools.cli.zoo import are_models, asks_for_zoo, run_many, zoo_options


@click.command("export")
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=complete_source
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="MODEL.onnx",
    help="The file to write: whole, or not at all. For many models a folder, or a name with {stem} "
    "in it.",
)
@click.option(
    "--opset",
    type=int,
    help="Opset of the result  [default: 18, or that of an ONNX file where it is newer]",
)
@click.option(
    "--dtype",
    metavar="[float32|float16]",
    shell_complete=complete_words("float32", "float16"),
    help="Type of the weights, inputs and outputs  [default: the source's own]",
)
@click.option(
    "--target",
    type=click.Choice(["portable", "onnxruntime-cpu"]),
    default="portable",
    show_default=True,
    help="portable: one PRelu node a call; onnxruntime-cpu: the forms that a cost model takes for "
    "the fastest there (prelu-tools optimize measures).",
)
@click.option(
    "--slope-axis",
    type=int,
    metavar="AXIS",
    help="For an ONNX file with slopes of shape [C] that can be read in two ways: the axis that "
    "they lie along, 1 for the channels of NCHW, -1 for the last.",
)
@click.option(
    "--input-layout",
    type=click.Choice(["keep", "nchw", "nhwc"]),
    default="keep",
    show_default=True,
    help="Axis order of the inputs of a Keras model, from rank 3 on; outputs keep theirs.",
)
@click.option(
    "--external-data",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Put large weights in a file beside the model, MODEL.onnx.HASH.data: only from 2 GB on, "
    "or as asked.",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Compare the result with SOURCE before it is put in place.",
)
@range_option
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@zoo_options
@source_options
@output_options
def command(
    sources: tuple[str, ...],
    output: str | None,
    opset: int | None,
    external_data: Literal["auto", "always", "never"],
    dtype: str | None,
    target: Literal["portable", "onnxruntime-cpu"],
    slope_axis: int | None,
    input_layout: Literal["keep", "nchw", "nhwc"],
    verify: bool,
    ranges: dict[str, tuple[float, float]],
    force: bool,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> int:
    """Take SOURCE, a Keras, PyTorch or ONNX model, to ONNX: each PReLU call is one PRelu node.

    SOURCE is model.keras, model.onnx (whose PReLU, however they are spelled, become PRelu nodes),
    or Python: nets.py:Net(10), package.module:name, with @weights.pt behind
    it if need be. Python sources are your own code, and run as such. Many models, a folder, a
    pattern ('models/*.keras') or a list (.txt, .csv, .toml) go to a folder: -o onnx/.

    \b
    Example: prelu-tools export nets.py:Net@weights.pt -o net.onnx
    """
    from prelu_tools.cli.output import Output
    from prelu_tools.cli.output import progress as show_progress
    from prelu_tools.commands.export.command import ExportRequest, export

    many = len(sources) > 1 or asks_for_zoo(choices) or _are_many(sources)
    if output is None and not many:
        raise click.UsageError("Missing option '-o' / '--output'.")
    request = ExportRequest(
        source=sources[0],
        output=Path(output or ""),
        opset=opset,
        external_data=external_data,
        dtype=dtype,
        target=target,
        slope_axis=slope_axis,
        input_layout=input_layout,
        verify=verify,
        ranges=ranges,
        force=force,
        options=gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose),
    )
    if many:
        from prelu_tools.zoo.making import export_tasks

        tasks = export_tasks(sources, output, request)
        return run_many("export", tasks, Output(form, reports, quiet), verbose, choices)
    with show_progress(quiet, verbose) as progress:
        result = export(request, progress)
    Output(form, reports, quiet).show(result)
    return 0


def _are_many(sources: tuple[str, ...]) -> bool:
    if are_models(sources):
        return False
    from prelu_tools.zoo.sources import is_many

    return any(is_many(text) for text in sources)
