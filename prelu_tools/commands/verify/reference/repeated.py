"""Whether a model's outputs are reproducible, and a row's outputs independent of its batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.backends.protocol.interface import RandomPart, Source
from prelu_tools.backends.protocol.runners import Runner
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.results.reasons import Reason, code_of

Results = Sequence[Mapping[str, Array]]

ACTING_DROPOUT = "dropout_in_training_mode"
"""The code of a Dropout that drops values for sure."""
_RANDOM = ("random_outputs", "random_node", ACTING_DROPOUT)
_AGAIN = 6  # more runs, to tell two exact kernels from randomness
_KERNELS = 4  # distinct results among eight: at least half
_ROUNDING = 1000  # units in the last place of the largest value: the effect of another kernel
_GROSS = 1e-2  # relative to the largest value: more than the effect of another kernel


@dataclass
class RepeatedRun:
    """The result of running a model again."""

    doubts: list[Reason] = field(default_factory=list)
    """Reasons why a comparison proves nothing."""
    notes: list[Reason] = field(default_factory=list)
    """Notes for the user."""


def run_again(runner: Runner, feeds: Sequence[Feeds], results: Results) -> RepeatedRun:
    """Run one batch of each size again, in the mode in which it was run before.

    A model without randomness may still have two kernels for one operator, and choose by the
    alignment of its buffers: their results differ by rounding, and recur. Random results differ
    each time, or by more than rounding.

    Args:
        runner: the model, observed as before.
        feeds: the inputs of each run.
        results: its outputs for them.
    """
    found = RepeatedRun()
    for number, run in enumerate(_one_of_each_size(feeds)):
        again = runner.run(feeds[run])
        if _equal(again, results[run]):
            continue
        others = [runner.run(feeds[run]) for _ in range(_AGAIN)]
        if _is_rounding([results[run], again, *others]):
            found.notes.append(_other_kernel())
            return found
        found.doubts.append(_random(feeds[run], others_are_steady=number > 0))
        return found
    return found


def run_unobserved(source: Source, feeds: Sequence[Feeds], results: Results) -> list[Reason]:
    """Run the smallest batch without anybody who observes, as the model is used.

    A framework may take other kernels then, and round otherwise; more than that is another model.
    """
    if source.observes_apart or not feeds:
        return []
    run = _one_of_each_size(feeds)[0]
    with source.runner() as runner:
        plain = runner.run(feeds[run])
    if all(is_near(plain[n], v, _GROSS) for n, v in results[run].items()):
        return []
    return [
        Reason(
            "gives different outputs when its layers are not observed, so the comparison proves "
            "nothing about the model in use",
            "observed_differs",
        )
    ]


def _one_of_each_size(feeds: Sequence[Feeds]) -> list[int]:
    """The first run of each set of sizes, small ones first."""
    first: dict[tuple[object, ...], int] = {}
    for run, feed in enumerate(feeds):
        first.setdefault(tuple((name, values.shape) for name, values in feed.items()), run)
    return sorted(first.values(), key=lambda run: sum(v.size for v in feeds[run].values()))


def _equal(left: Mapping[str, Array], right: Mapping[str, Array]) -> bool:
    return all(same_bits(left[name], values) for name, values in right.items())


def _is_rounding(results: Results) -> bool:
    """Whether a few results of the size of rounding come back again and again."""
    distinct: list[Mapping[str, Array]] = []
    for result in results:
        if not any(_equal(result, other) for other in distinct):
            distinct.append(result)
    near = all(is_near(other[n], v) for other in distinct for n, v in results[0].items())
    return near and len(distinct) <= _KERNELS


def is_near(left: Array, right: Array, share: float | None = None) -> bool:
    """Whether results differ by at most the effect of another kernel; integers not at all.

    Args:
        left: a result.
        right: another one of the same model.
        share: of the largest value, which they may differ by; None for units in the last place.
    """
    if left.shape != right.shape or not np.issubdtype(left.dtype, np.floating):
        return same_bits(left, right)
    scale = float(np.nan_to_num(np.abs(right), posinf=0.0).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        gap = np.abs(left.astype(np.float64) - right.astype(np.float64))
    limit = (share or _ROUNDING * float(np.finfo(left.dtype).eps)) * scale
    return bool(((gap <= limit) | (left == right) | (np.isnan(left) & np.isnan(right))).all())


def _random(feeds: Feeds, others_are_steady: bool) -> Reason:
    sizes = ", ".join(f"{name} {list(values.shape)}" for name, values in feeds.items())
    only = f"; smaller inputs did not show it, these did: {sizes}" if others_are_steady else ""
    return Reason(
        "gives different outputs when it is run again on the same inputs: something in it is "
        "random "
        f"(a Dropout that is still active?), so nothing can be proven{only}",
        "random_outputs",
    )


def _other_kernel() -> Reason:
    return Reason(
        "gives outputs that differ by rounding when it is run again on the same inputs: it has "
        "more than one kernel for the same operator",
        "rounding_differs_between_runs",
    )


def random_parts(source: Source) -> list[Reason]:
    """The parts of a model that draw random numbers, even if a runtime may remove them."""
    return [_random_part(part) for part in source.random_parts()]


def is_random(doubts: Sequence[str]) -> bool:
    """Whether these say of a model that it is."""
    return any(code_of(doubt) in _RANDOM for doubt in doubts)


def _random_part(part: RandomPart) -> Reason:
    does = "is in training mode" if part.drops else "draws random numbers"
    when = "" if part.is_certain else ", depending on a value that the graph computes"
    random = "outputs differ from run to run: remove it for inference"
    what = "it drops values, unless the runtime removes it" if part.drops else random
    return Reason(
        f"{part.text} {does}{when}{': ' if part.drops else ', so '}{what}",
        ACTING_DROPOUT if part.drops and part.is_certain else "random_node",
    )


def depends_on_batch(feeds: Sequence[Feeds], results: Results, rows: Rows) -> list[Reason]:
    """Outputs of a row that change with the rest of its batch, where the first row ran alone."""
    if len(results) < 2 or not is_first_row(feeds[1], feeds[0], rows):
        return []
    together, alone = results[:2]
    found = []
    for name, values in alone.items():
        row = _first_row(together[name])
        if row.shape == values.shape and np.issubdtype(row.dtype, np.floating):
            size = float(np.nan_to_num(np.abs(row)).max(initial=0.0))
            if float(np.nan_to_num(np.abs(row - values)).max(initial=0.0)) > _GROSS * size:
                found.append(
                    Reason(
                        f"output {name!r} of a row depends on the other rows of its batch: is a "
                        "BatchNorm using batch statistics?",
                        "batch_dependent",
                    )
                )
    return found


def _first_row(values: Array) -> Array:
    """A batch of the first row; inputs without an axis are passed whole."""
    return values[:1] if values.ndim else values


def is_first_row(alone: Feeds, together: Feeds, rows: Rows) -> bool:
    """Whether the one run is the first row of the other."""
    if not rows.count(together) > 1 == rows.count(alone):
        return False
    first = rows.take(together, [0])
    return all(np.array_equal(first[name], values) for name, values in alone.items())
