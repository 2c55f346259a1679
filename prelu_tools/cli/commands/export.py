"""`prelu-tools export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelu_tools.batch.plan import Plan
from prelu_tools.cli.batch import are_many, batch_options, show_many
from prelu_tools.cli.completing import complete_source
from prelu_tools.cli.options import (
    Command,
    output_options,
    request_options,
    source_options,
    sources_from,
    taken,
)
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.errors import PReLUToolsError, UsageError

if TYPE_CHECKING:
    from prelu_tools.cli.output import Output


@click.command("export", cls=Command)
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=complete_source
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="MODEL.onnx",
    help="The file to write; an incomplete file is never left behind. For many models, a folder, "
    "or a name that contains {stem}.",
)
@request_options(ExportRequest)
@batch_options
@source_options
@output_options
def command(
    sources: tuple[str, ...],
    output: str | None,
    out: Output,
    **choices: Any,
) -> int:
    """Export a Keras, PyTorch or ONNX model. Each call of a PReLU layer becomes a PRelu node.

    SOURCE is a model file (such as model.keras, or model.onnx, in which every form of PReLU becomes
    a PRelu node), or Python code (such as nets.py:Net(10) or package.module:name), optionally
    followed by @weights.pt. Python sources are treated as your own code and are run. For many
    models, give several sources, a folder, a pattern ('models/*.keras') or a list (.txt, .csv,
    .toml), and a folder as the output: -o onnx/.

    \b
    Example: prelu-tools export nets.py:Net@weights.pt -o net.onnx
    """
    plan = taken(Plan, choices)
    many = len(sources) > 1 or plan != Plan() or are_many(sources) or "{stem}" in (output or "")
    request = ExportRequest(
        source=sources[0],
        output=Path(output or ""),
        options=sources_from(choices, out),
        **choices,  # named as the fields are
    )
    if many:
        from prelu_tools.batch.lists.jobs import export_jobs

        return show_many(export_jobs(sources, output, request), out, plan)
    if output is None:
        from prelu_tools.commands.preflight import check_request

        try:
            check_request(request, request.source)
        except PReLUToolsError as error:
            if isinstance(error, UsageError):  # of a Python file, it names what can be exported
                raise
        raise click.UsageError("Missing option '-o' / '--output'.")
    from prelu_tools.commands.export.command import export

    with out.progress() as progress:
        result = export(request, progress)
    out.show(result)
    return 0
