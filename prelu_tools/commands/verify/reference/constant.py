"""Outputs and inputs that never changed, so that a difference could have gone unnoticed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.results.reasons import Reason
from prelu_tools.graph.facts.dependence import Dependence

OUTPUT_CONSTANT = "output_constant"
"""The code of an output that depends on the inputs and was the same for all of them."""
Results = Sequence[Mapping[str, Array]]


def constant_outputs(feeds: Sequence[Feeds], results: Results, rows: Rows) -> dict[str, bool]:
    """The outputs that are the same, bit for bit, for inputs that differ.

    Rows are compared with the rows of the same sizes, whichever run they are of; an output without
    rows with that of other runs.

    Returns:
        Their names; for each whether it holds floating numbers.
    """
    found = {}
    for name in results[0]:
        groups: defaultdict[tuple[int, ...], list[tuple[int, int | None, Array]]]
        groups = defaultdict(list)
        for run, (feed, outputs) in enumerate(zip(feeds, results, strict=True)):
            values = outputs[name]
            has_rows = values.ndim and len(values) == rows.count(feed)
            for row, part in enumerate(values) if has_rows else [(None, values)]:
                groups[np.shape(part)].append((run, row, np.asarray(part)))
        if all(_are_equal([part for _, _, part in parts]) for parts in groups.values()) and any(
            parts[0][2].size and _are_of_several_inputs(parts, feeds, rows)
            for parts in groups.values()
        ):
            found[name] = bool(np.issubdtype(results[0][name].dtype, np.inexact))
    return found


def _are_of_several_inputs(
    parts: Sequence[tuple[int, int | None, Array]], feeds: Sequence[Feeds], rows: Rows
) -> bool:
    """Whether the parts of outputs are of inputs that differ; each of a row, or of a whole run."""
    given = (feeds[run] if row is None else rows.take(feeds[run], [row]) for run, row, _ in parts)
    first = next(given)
    return any(not all(same_bits(first[n], v) for n, v in other.items()) for other in given)


def _are_equal(parts: Sequence[Array]) -> bool:
    return all(same_bits(parts[0], part) for part in parts[1:])


def of_outputs(
    unmoved: Mapping[str, bool],
    pairs: Iterable[tuple[str, str]],
    reference: Source,
    candidate: Source,
) -> tuple[dict[str, Reason], list[Reason]]:
    """Doubts, by the candidate's names, and notes for outputs that did not change.

    An output that depends on no input, in either graph, is proven by one value. Indices and flags
    are proven by the floating-point outputs that change.

    Args:
        unmoved: see `unmoved_outputs`, of the reference.
        pairs: the names of each output, in the reference and in the candidate.
        reference: the reference.
        candidate: the candidate.
    """
    pairs = list(pairs)
    doubts, notes = {}, []
    moved = [mine for mine, _ in pairs if mine not in unmoved]
    for mine, theirs in pairs:
        if mine not in unmoved:
            continue
        if Dependence.VALUES not in (reference.dependence(mine), candidate.dependence(theirs)):
            notes.append(
                Reason(
                    f"output {mine!r} does not depend on the inputs' values", "output_is_constant"
                )
            )
        elif unmoved[mine] or not moved:
            doubts[theirs] = Reason(
                f"output {mine!r} had the same value for all inputs, although the model "
                "computes it from them, so it could hide a difference; use inputs that "
                "change it (--inputs or --input-range)",
                OUTPUT_CONSTANT,
            )
        else:
            notes.append(Reason(f"output {mine!r} is the same for all inputs", OUTPUT_CONSTANT))
    return doubts, notes


def of_inputs(feeds: Sequence[Feeds]) -> list[Reason]:
    """Inputs that took one value only, and a check with one set of inputs."""
    notes = []
    for name in feeds[0] if feeds else ():
        values = [feed[name] for feed in feeds if feed[name].size]
        first = values[0].reshape(-1)[0] if values else None
        if first is not None and all(bool((v == first).all()) for v in values):
            notes.append(Reason(f"input {name!r} had only one value, {first}", "input_one_value"))
    return notes


def of_slopes(coverage: CoverageBook) -> list[Reason]:
    """Whether no negative value reached any slope."""
    if coverage.exercised or not coverage.total:
        return []
    return [
        Reason(
            "no negative value reached any slope, so slopes were compared only by value, not by "
            "what the layers compute; try other inputs (--inputs or --input-range)",
            "no_negative_input",
        )
    ]
