"""`prelu-tools verify`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from prelu_tools.cli.baseline import OPTIONS as BASELINE_OPTIONS
from prelu_tools.cli.baseline import baseline_options, chosen
from prelu_tools.cli.batch import NAMES, are_models, asks_for_batch, batch_options, run_many
from prelu_tools.cli.completing import complete_source
from prelu_tools.cli.ignored_options import Command
from prelu_tools.cli.options import (
    gather_source_options,
    output_options,
    request_options,
    source_options,
)
from prelu_tools.commands.verify.request import VerifyRequest

if TYPE_CHECKING:
    from prelu_tools.cli.baseline import BaselineChoice
    from prelu_tools.cli.output import Output

_EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}
_FOR_EVERY_CHECK = ("form", "reports", "quiet", "verbose", *BASELINE_OPTIONS)


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
    form: str,
    reports: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
    inputs: tuple[Any, ...],
    custom_objects: tuple[str, ...],
    allow_unsafe_load: bool,
    baseline: Path | None,
    baseline_factor: float | None,
    update_baseline: bool,
    **choices: Any,
) -> int:
    """Compare each CANDIDATE with REFERENCE: slopes bit for bit, every layer, every output.

    Both are any SOURCE: model.onnx, model.keras, nets.py:Net@weights.pt. ONNX candidates run in
    onnxruntime on each --provider; a provider that did not run every node is exit 3, never a pass.

    Many pairs: {stem} stands for what names have in common ('keras/{stem}.keras'
    'onnx/{stem}.onnx'); or give two folders, or a list (.csv with reference and candidate, .toml).

    Without any SOURCE, the checks run that prelu-tools.toml lists as [[checks]], or pyproject.toml
    as [[tool.prelu-tools.checks]], in the current folder.

    \b
    Example: prelu-tools verify nets.py:Net@weights.pt net.onnx
    """
    from prelu_tools.cli.output import Output, progress
    from prelu_tools.commands.verify.command import verify

    output = Output(form, reports, quiet, details=verbose)
    if reference is None:
        _refuse_options_of_one_check(ctx)
        with output.explaining():
            held = chosen(baseline, baseline_factor, update_baseline)
            return _verify_many(output, verbose, held)
    batch = {name: choices.pop(name) for name in NAMES}
    is_batch = asks_for_batch(batch) or _are_many((reference, *candidates))
    if not is_batch:
        _refuse_a_reference_alone(ctx, reference, candidates)
        _refuse_unknown_layouts(ctx, choices["layouts"], (reference, *candidates))
    request = VerifyRequest(
        reference=reference,
        candidates=candidates,
        options=gather_source_options(inputs, custom_objects, allow_unsafe_load, verbose),
        **choices,  # named as the fields are
    )
    if is_batch:
        from prelu_tools.batch.making import verify_tasks

        if baseline is not None or update_baseline:
            raise click.UsageError("--baseline is for one check, or for a list of checks", ctx)
        with output.explaining():
            return run_many("verify", verify_tasks(request), output, verbose, batch)
    with output.explaining():
        held = chosen(baseline, baseline_factor, update_baseline)
        with progress(quiet, verbose) as tell:
            result = verify(request, tell)
        name = f"{reference} against {', '.join(candidates)}"
        result = held.hold(name, result)
        output.show(result)
        held.renew({name: result}, whole=False, quiet=quiet)
    return _EXIT[result.verdict]


def _are_many(sources: tuple[str, ...]) -> bool:
    if are_models(sources):
        return False
    from prelu_tools.batch.pairs import are_many

    return are_many(sources)


def _refuse_a_reference_alone(
    ctx: click.Context, reference: str, candidates: tuple[str, ...]
) -> None:
    if not candidates:
        raise click.UsageError(
            f"no candidate to compare {reference} with: give a CANDIDATE after it; without any "
            "SOURCE, the checks of prelu-tools.toml or pyproject.toml run",
            ctx,
        )


def _refuse_unknown_layouts(
    ctx: click.Context, layouts: Iterable[str], sources: tuple[str, ...]
) -> None:
    known = ("reference", "candidate", *sources)
    for name in layouts:
        if name not in known:
            raise click.UsageError(
                f"--layout {name}=: expected one of {', '.join(dict.fromkeys(known))}", ctx
            )


def _refuse_options_of_one_check(ctx: click.Context) -> None:
    """What says how to check has no place beside a list that says so for each of its checks."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and isinstance(param, click.Option) and param.name not in _FOR_EVERY_CHECK:
            raise click.UsageError(
                f"{param.opts[0]} is for one REFERENCE and its CANDIDATEs: for a list of checks, "
                "what each of them asks for belongs in the file",
                ctx,
            )


def _verify_many(output: Output, verbose: bool, held: BaselineChoice) -> int:
    """Run the checks of the current folder's file, and show what became of them."""
    from prelu_tools.cli.output import progress, say, say_traceback
    from prelu_tools.commands.checks.run import find_checks, run_checks

    def trace(error: BaseException) -> None:
        if verbose:
            say_traceback(error)

    found = find_checks(show_chatter=verbose)
    if not output.quiet:
        for note in found.notes:
            say(f"Note: {note}")
    with progress(output.quiet, verbose) as tell:
        result = run_checks(found, tell, trace)
    result = held.hold_checks(result)
    output.show(result)
    held.renew({one.name: one.result for one in result.outcomes}, whole=True, quiet=output.quiet)
    return _EXIT[result.verdict]
