"""Compare a new file with its source before it is put in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.reasons import as_reason, counted
from prelu_tools.core.results.verification.result import ExportVerificationError, VerifyResult

_SHOWN = 3  # reasons in an error


def demand_pass(
    result: VerifyResult,
    what: str,
    written: Path,
    final: Path,
    otherwise: str = "",
    notes: Sequence[str] = (),
    hint: str = "",
) -> VerifyResult:
    """The result, with the name that the file will have in the place of its temporary one.

    Args:
        result: of the file's verification.
        what: the model, as in "exported".
        written: where the file is.
        final: where it is going to be.
        otherwise: what else can be done, for the end of a sentence.
        notes: what was said when it was made, which may explain a failure.
        hint: how to see the reasons that a sentence has no room for.

    Raises:
        ExportVerificationError: it failed.
        PReLUToolsError: there was no verdict.
    """

    def renamed(sentences: Sequence[str]) -> tuple[str, ...]:
        return tuple(as_reason(text).renamed(str(written), str(final)) for text in sentences)

    named = replace(
        result,
        candidates=tuple(replace(report, model=str(final)) for report in result.candidates),
        reasons=renamed(result.reasons),
        notes=renamed(result.notes),
    )
    if named.verdict == "pass":
        return named
    rest = len(named.reasons) - _SHOWN
    more = [f"and {counted(rest, 'more reason')}{hint}"] if rest > 0 else []
    said = [reason.removeprefix(f"{final}: ") for reason in named.reasons[:_SHOWN]]
    reasons = "; ".join([*said, *more]) or "no reason given"
    if named.verdict == "fail":
        text = "; ".join((reasons, *notes))
        raise ExportVerificationError(
            f"the {what} model differs from its source, so {final} was not written: {text}", named
        )
    raise PReLUToolsError(
        f"the {what} model could not be verified, so {final} was not written: {reasons}{otherwise}"
    )
