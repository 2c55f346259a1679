"""`prelu-tools verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from prelu_tools.cli.options import gather_source_options, output_options, source_options

if TYPE_CHECKING:
    from prelu_tools.core.results import Tolerance

_EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}


def _parse_layouts(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """NAME=nchw|nhwc."""
    found = {}
    for value in values:
        name, _, layout = value.rpartition("=")
        if not name or layout not in ("nchw", "nhwc"):
            raise click.BadParameter(
                f"{value!r} is no layout: expected NAME=nchw or NAME=nhwc, where NAME is "
                "reference, candidate or a model's path"
            )
        found[name] = layout
    return found


def _parse_tolerance(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> Tolerance | None:
    """RTOL,ATOL."""
    from prelu_tools.core.results import Tolerance

    if value is None:
        return None
    try:
        rtol, atol = (float(part) for part in value.split(","))
    except ValueError:
        rtol = atol = -1.0
    if not (0 <= rtol < float("inf") and 0 <= atol < float("inf")):
        raise click.BadParameter(f"{value!r} is no tolerance: expected RTOL,ATOL as in 1e-4,1e-6")
    return Tolerance(rtol, atol, scaled=False, origin="given")


@click.command("verify")
@click.argument("reference", metavar="REFERENCE")
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    default=("cpu",),
    show_default=True,
    metavar="NAME",
    help="cpu, cuda, tensorrt, openvino or onnxruntime's own name; each is checked; repeatable.",
)
@click.option(
    "--inputs",
    "inputs_file",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Replay exactly these inputs; nothing is drawn.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="How many inputs to draw.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the inputs."
)
@click.option(
    "--tolerance",
    callback=_parse_tolerance,
    metavar="RTOL,ATOL",
    help="|a - b| <= ATOL + RTOL |a|  [default: by type, relative to the output's scale]",
)
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 1),
    help="Share of all slopes whose negative branch the inputs have to reach.",
)
@click.option(
    "--layout",
    "layouts",
    callback=_parse_layouts,
    multiple=True,
    metavar="NAME=nchw|nhwc",
    help="The axis order of reference=, candidate= or a model's path=; repeatable.",
)
@click.option(
    "--allow-no-prelu", is_flag=True, help="Let models without any PReLU pass on their outputs."
)
@source_options
@output_options
def command(
    reference: str,
    candidates: tuple[str, ...],
    providers: tuple[str, ...],
    inputs_file: Path | None,
    samples: int,
    seed: int,
    tolerance: Tolerance | None,
    min_coverage: float | None,
    layouts: dict[str, Literal["nchw", "nhwc"]],
    allow_no_prelu: bool,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Hold each CANDIDATE against REFERENCE: every output, and every slope bit for bit.

    Both are any SOURCE: model.onnx, model.keras, nets.py:Net@weights.pt. ONNX candidates run in
    onnxruntime on each --provider; a provider that did not run every node is exit 3, never a pass.

    \b
    Example: prelu-tools verify nets.py:Net@weights.pt net.onnx
    """
    from prelu_tools.cli.output import Output
    from prelu_tools.commands.verify import VerifyRequest, verify

    request = VerifyRequest(
        reference=reference,
        candidates=candidates,
        providers=providers,
        samples=samples,
        seed=seed,
        inputs_file=inputs_file,
        tolerance=tolerance,
        layouts=layouts,
        min_coverage=min_coverage,
        allow_no_prelu=allow_no_prelu,
        options=gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose),
    )
    result = verify(request)
    Output(form, reports, quiet).show(result)
    return _EXIT[result.verdict]
