"""Whether warnings should fail in a check with a record, so that an outdated record fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prelu_tools.backends.protocol.recording import Recording
from prelu_tools.batch.init.references import OnnxFile, Reference
from prelu_tools.core.results.reasons import WARNINGS, Reason

STRICT = "strict_warnings"
STRICT_COMMENT = "# A record that is older than its model is a warning: with this, warnings fail."


def reasons_against(reference: Reference, models: Sequence[OnnxFile]) -> Iterator[Reason]:
    """Why `strict_warnings` is left out: a fresh record has a warning too, and would fail.

    Args:
        reference: the reference; if it is no record, there is nothing to say.
        models: the candidates.
    """
    made = reference.recording
    why = None if made is None else next(_warnings_of(made, models), None)
    if why is not None:
        yield Reason(
            f"{reference.label}: {STRICT} = true is left out, because {why}, which is a "
            "warning too; so a record that is older than its model does not fail",
            "not_strict",
        )


def _warnings_of(made: Recording, models: Iterable[OnnxFile]) -> Iterator[str]:
    """The warnings that a check has even if its record is up to date, as far as files say."""
    yield from (note.text for note in made.notes if note.code in WARNINGS)
    own = sorted(sum(isinstance(size, str) for size in spec.shape) for spec in made.inputs)
    for model in models:
        if own != sorted(map(_n_dynamic, model.inputs or ())):
            yield f"{model.path.as_posix()} has other dynamic sizes than the record"


def _n_dynamic(text: str) -> int:
    """The dynamic sizes of NAME:DIMS."""
    sizes = text.rpartition(":")[2].split(",")
    return sum(bool(size) and not size.isdecimal() for size in sizes)
