"""`prelu-tools export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prelu_tools.batch.plan import Plan
from prelu_tools.cli.batch import are_many, batch_options, show_many
from prelu_tools.cli.completing import complete_source
from prelu_tools.cli.options import (
    Command,
    gather_source_options,
    output_options,
    request_options,
    source_options,
    taken,
)
from prelu_tools.commands.export.request import ExportRequest


@click.command("export", cls=Command)
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=complete_source
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="MODEL.onnx",
    help="The file to write, completely or not at all. For many models a folder, or a name that "
    "contains {stem}.",
)
@request_options(ExportRequest)
@batch_options
@source_options
@output_options
def command(
    sources: tuple[str, ...],
    output: str | None,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> int:
    """Export SOURCE, a Keras, PyTorch or ONNX model, to ONNX: each PReLU call is one PRelu node.

    SOURCE is model.keras, model.onnx (every form of PReLU becomes a PRelu node), or Python:
    nets.py:Net(10), package.module:name, optionally followed by @weights.pt. Python sources are
    treated as your own code and are run. For many models, give several sources, a folder, a pattern
    ('models/*.keras') or a list (.txt, .csv, .toml), and a folder as the output: -o onnx/.

    \b
    Example: prelu-tools export nets.py:Net@weights.pt -o net.onnx
    """
    from prelu_tools.cli.output import Output
    from prelu_tools.cli.output import progress as show_progress

    plan = taken(Plan, choices)
    many = len(sources) > 1 or plan != Plan() or are_many(sources) or "{stem}" in (output or "")
    if output is None and not many:
        raise click.UsageError("Missing option '-o' / '--output'.")
    request = ExportRequest(
        source=sources[0],
        output=Path(output or ""),
        options=gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose),
        **choices,  # named as the fields are
    )
    if many:
        from prelu_tools.batch.lists.jobs import export_jobs

        jobs = export_jobs(sources, output, request)
        return show_many(jobs, Output(form, reports, quiet, details=verbose), verbose, plan)
    from prelu_tools.commands.export.command import export

    with show_progress(quiet, verbose) as progress:
        result = export(request, progress)
    Output(form, reports, quiet, details=verbose).show(result)
    return 0
