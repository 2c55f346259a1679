"""Count how often the bodies of If, Loop and Scan run on the inputs of a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.verification.decisions import Decision
from prelu_tools.graph.copies.branches import COUNTS, Body, counted
from prelu_tools.graph.io.reader import OnnxModel


def counter_of(model: OnnxModel, label: str) -> BodyCounter | None:
    """What counts the bodies of a model; None if it has none that inputs decide of.

    Raises:
        PReLUToolsError: see `Session`.
    """
    found = counted(model)
    return None if found is None else BodyCounter(*found, label)


class BodyCounter:
    """A session of a model that counts its bodies."""

    def __init__(self, model: OnnxModel, bodies: Sequence[Body], label: str) -> None:
        """Load the copy that counts; see `graph/copies/branches.py`."""
        self._session = Session(model.proto, "cpu", label, model.folder)
        self._bodies = bodies

    def decisions(self, runs: Sequence[Mapping[str, Array]]) -> tuple[Decision, ...]:
        """See `Source.decisions`: one for each node with bodies that some input may run."""
        counts = np.zeros(len(self._bodies), np.int64)
        for feeds in runs:
            counts += self._session.fetch(feeds, [COUNTS])[COUNTS]
        nodes = dict.fromkeys(body.node for body in self._bodies)
        return tuple(self._decision(node, counts) for node in nodes)

    def _decision(self, node: str, counts: Array) -> Decision:
        own = [(body, counts[i]) for i, body in enumerate(self._bodies) if body.node == node]
        return Decision(
            name=node,
            ways=tuple(body.way for body, _ in own),
            taken=frozenset(body.way for body, count in own if count),
            by_sizes=all(body.by_sizes for body, _ in own),
        )
