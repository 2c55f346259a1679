"""`prelu-tools verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from prelu_tools.batch.plan import Plan
from prelu_tools.cli.baseline import BaselineRequest, baseline_options
from prelu_tools.cli.batch import are_many, batch_options, run_many
from prelu_tools.cli.completing import complete_source
from prelu_tools.cli.options import (
    Command,
    output_options,
    request_options,
    source_options,
    sources_from,
    taken,
)
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.requests.option import options_of

if TYPE_CHECKING:
    from prelu_tools.batch.lists.jobs import JobList
    from prelu_tools.cli.baseline import BaselineChoice
    from prelu_tools.cli.output import Output

_EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}
_FOR_EVERY_CHECK = {
    *("form", "reports", "quiet", "verbose", "strict_warnings"),
    *(one.field for of in (BaselineRequest, Plan) for one in options_of(of, "cli")),
}


@click.command("verify", cls=Command)
@click.argument("reference", metavar="[REFERENCE", required=False, shell_complete=complete_source)
@click.argument("candidates", metavar="CANDIDATE...]", nargs=-1, shell_complete=complete_source)
@request_options(VerifyRequest)
@baseline_options
@batch_options
@source_options
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    reference: str | None,
    candidates: tuple[str, ...],
    out: Output,
    **choices: Any,
) -> int:
    """Compare each CANDIDATE with REFERENCE: slopes bit for bit, every layer, every output.

    A model is a file (model.onnx, model.keras) or FILE.py:NAME; append @WEIGHTS to load a weights
    file (nets.py:Net@weights.pt). REFERENCE may also be a file that prelu-tools record wrote. ONNX
    candidates run in onnxruntime on each --provider; if a provider did not run every node, the exit
    code is 3.

    For many pairs, use {stem} for the common part of the names ('keras/{stem}.keras'
    'onnx/{stem}.onnx'), or give two folders, or a list: a .csv with the columns reference and
    candidate, or a .toml.

    Without arguments, verify runs the checks that prelu-tools.toml lists as [[checks]], or
    pyproject.toml as [[tool.prelu-tools.checks]], in the current folder.

    \b
    Example: prelu-tools verify nets.py:Net@weights.pt net.onnx
    """
    plan, asked = taken(Plan, choices), taken(BaselineRequest, choices)
    if reference is None:
        from prelu_tools.batch.lists.jobs import check_jobs

        _refuse_options_of_one_check(ctx)
        with out.explaining():
            jobs = check_jobs(out.details, choices["strict_warnings"])
            return _run_list(jobs, out, plan, asked.chosen())
    is_batch = plan != Plan() or are_many((reference, *candidates))
    if not is_batch:
        _refuse_a_reference_alone(ctx, reference, candidates)
    request = VerifyRequest(
        reference=reference,
        candidates=candidates,
        options=sources_from(choices, out),
        **choices,  # named as the fields are
    )
    if is_batch:
        from prelu_tools.batch.lists.jobs import verify_jobs

        with out.explaining():
            return _run_list(verify_jobs(request), out, plan, asked.chosen())
    with out.explaining():
        from prelu_tools.commands.verify.command import verify

        baseline = asked.chosen()
        with out.progress() as progress:
            result = verify(request, progress)
        name = f"{reference} against {', '.join(candidates)}"  # existing baselines use this key
        result = baseline.compare(name, result)
        out.show(result)
        baseline.renew({name: result}, whole=False, quiet=out.quiet)
    return _EXIT[result.verdict]


def _refuse_a_reference_alone(
    ctx: click.Context, reference: str, candidates: tuple[str, ...]
) -> None:
    if not candidates:
        raise click.UsageError(
            f"no candidate to compare {reference} with: add a CANDIDATE; without any arguments, "
            "verify runs the checks of prelu-tools.toml or pyproject.toml",
            ctx,
        )


def _refuse_options_of_one_check(ctx: click.Context) -> None:
    """Options that say how to check are rejected for a list, which sets them for each check."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and isinstance(param, click.Option) and param.name not in _FOR_EVERY_CHECK:
            raise click.UsageError(
                f"{param.opts[0]} is for one REFERENCE and its CANDIDATEs: for a list of checks, "
                "set it in the file",
                ctx,
            )


def _run_list(jobs: JobList, output: Output, plan: Plan, baseline: BaselineChoice) -> int:
    """Run a list of checks, and show the results, compared with a baseline if there is one."""
    result = baseline.compare_all(run_many(jobs, output, plan))
    output.show(result)
    found = {one.name: one.verification for one in result.entries}
    baseline.renew(found, whole=True, quiet=output.quiet)
    return result.exit_code
