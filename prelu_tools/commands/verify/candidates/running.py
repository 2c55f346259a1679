"""Run a candidate on the inputs of a check: which does it reject, at which sizes does it differ?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.runners import Runner
from prelu_tools.commands.verify.candidates.outputs import OutputJudge, pair_outputs
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.core.arrays import Array, shapes_in_words
from prelu_tools.core.errors import PReLUToolsError, RefusedInputError
from prelu_tools.core.results.reasons import Reason


def run_feeds(
    runner: Runner, feeds: Sequence[Feeds], layers: LayerJudge, source: Source
) -> list[dict[str, Array]]:
    """The outputs of each run of a candidate; its layers know the number of the run.

    Raises:
        RefusedInputError: it fails on some of them, which it declares that it takes.
        PReLUToolsError: it fails otherwise: whether that is the model's fault is not known.
    """
    results = []
    refused: list[tuple[Feeds, PReLUToolsError]] = []
    for layers.run, feed in enumerate(feeds):
        try:
            results.append(runner.run(feed))
        except PReLUToolsError as error:
            refused.append((feed, error))
    if not refused:
        return results
    feed, first = refused[0]
    if not results or not _declares(source, feed) or "alloc" in str(first).lower():
        raise first
    raise RefusedInputError(
        f"it fails on {len(refused):,} of {len(feeds):,} runs, all of which the reference accepts; "
        f"the first is {shapes_in_words(feed)}: {first}"
    )


def without_added_axes(
    sources: tuple[Source, Source],
    references: Mapping[str, Array],
    results: Sequence[dict[str, Array]],
) -> Iterator[Reason]:
    """Lay a candidate's outputs as the reference's, where a runtime adds axes of size 1 at the end.

    Args:
        sources: the reference and the candidate.
        references: the reference's outputs of one run.
        results: the candidate's of every run; changed in place.

    Yields:
        What was changed, and why.
    """
    for mine, theirs in pair_outputs(references, results[0]):
        rank, found = references[mine].ndim, results[0][theirs].ndim
        why = sources[found > rank].adds_axes
        shapes = [(*run[theirs].shape, *[1] * (rank - found)) for run in results]
        if rank == found or why is None or any(math.prod(x[rank:]) != 1 for x in shapes):
            continue
        for run, shape in zip(results, shapes, strict=True):
            run[theirs] = run[theirs].reshape(shape[:rank])
        yield Reason(
            f"output {theirs!r} has {found} axes, the reference {rank}, because {why}: trailing "
            "axes of size 1 are ignored",
            "axes_dropped",
        )


def _declares(source: Source, feed: Mapping[str, Array]) -> bool:
    """Whether inputs of these shapes are among those that the model says it takes."""
    return all(
        len(spec.shape) == feed[spec.name].ndim
        and all(
            isinstance(size, str) or size == found
            for size, found in zip(spec.shape, feed[spec.name].shape, strict=True)
        )
        for spec in source.inputs()
    )


def sizes_that_differ(
    feeds: Sequence[Feeds], outputs: OutputJudge, results: Sequence[Mapping[str, Array]]
) -> str | None:
    """At which sizes it differs, where it agrees at others, for which no slopes are to blame."""
    found: dict[str, bool] = {}
    for run, feed in enumerate(feeds):
        shapes = shapes_in_words(feed)
        found[shapes] = found.get(shapes) or outputs.notices(results[run], run)
    wrong = [shapes for shapes, differs in found.items() if differs]
    right = [shapes for shapes, differs in found.items() if not differs]
    if not wrong or not right:
        return None
    return Reason(
        f"it differs for {' and '.join(wrong[:3])}, but not for {' and '.join(right[:3])}",
        "differs_at_sizes",
    )
