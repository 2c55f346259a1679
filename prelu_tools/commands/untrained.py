"""Forgotten weights: the note on a source whose slopes were never trained."""

from __future__ import annotations

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.source_spec import python_parts
from prelu_tools.core.prelu.starts import untrained
from prelu_tools.core.results.reasons import Reason


def untrained_notes(source: Source) -> list[Reason]:
    """At most one sentence: that all slopes of a source are where training starts."""
    parts = python_parts(source.label)
    advice = "the model was not trained, or its trained weights were not loaded"
    if parts is not None and parts[1]:
        advice = f"the weights in {parts[1]} were saved before training"
    elif parts is not None:
        spec = _shown(parts[0], source.weights_suffix)
        advice = f"did you forget the weights? Load them with {spec}"
    found = untrained(source.layers(), source.label, advice)
    return [] if found is None else [found]


def _shown(head: str, suffix: str) -> str:
    text = f"{head}@WEIGHTS{suffix}"
    return f"'{text}'" if "(" in text else text
