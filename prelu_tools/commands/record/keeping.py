"""Choose what goes into the record of a reference, within the record's size limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from prelu_tools.backends.protocol.recording import (
    RecordedCall,
    RecordedOutput,
    RecordedRun,
    RecordedSpread,
)
from prelu_tools.commands.record.looking import Looked, n_bytes, smallest
from prelu_tools.commands.record.request import INNER, LIMIT
from prelu_tools.commands.verify.reference.perturbed import SPREAD, PerturbedRuns
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.documents import Stored
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.results.reasons import counted
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import resolution_of

NARROW = ("float16", "bfloat16")
"""Types that a candidate may compute in, for which there are limits of their own."""
_MEGABYTE = 1e6


@dataclass
class Room:
    """The bytes left for a record."""

    left: float
    """In bytes."""
    inner: float
    """The part of it that layer values may take."""
    limit: float
    """The maximum size, in megabytes."""

    def need(self, count: int) -> None:
        """Take a required part.

        Raises:
            PReLUToolsError: it is more than is left.
        """
        self.left -= count
        if self.left < 0:
            raise PReLUToolsError(
                f"inputs and outputs alone take more than --max-size {self.limit:g} (megabytes): "
                "use fewer --samples, smaller sizes with --input, or a larger --max-size"
            )

    def take(self, count: int) -> bool:
        """Take an optional part; False if there is no room for it."""
        if count > self.left:
            return False
        self.left -= count
        return True

    def take_inner(self, count: int) -> bool:
        """The same for layer values."""
        if count > self.inner or not self.take(count):
            return False
        self.inner -= count
        return True


def room_of(megabytes: float | None) -> Room:
    """The room in a record; see `RecordRequest.max_size`."""
    limit = LIMIT if megabytes is None else megabytes
    return Room(limit * _MEGABYTE, (INNER if megabytes is None else limit) * _MEGABYTE, limit)


@dataclass
class Kept:
    """The runs of a record."""

    runs: list[RecordedRun] = field(default_factory=list)
    """All runs of the reference."""
    n_observed: int = 0
    """The runs with layer outputs."""
    not_coarser: dict[str, str] = field(default_factory=dict)
    """By type, why there are no limits for it."""


def run_to_look_at(reference: Reference, room: Room) -> int:
    """The run whose layer inputs are kept.

    The first one, if it takes at most half of the room; otherwise the smallest.
    """
    inner = sum(2 * size for _, size in _calls(reference, 0))
    return 0 if 2 * inner < min(room.left, room.inner) else smallest(reference.feeds)[0]


def keep_runs(
    reference: Reference, looked: Looked, looked_at: int, seen: Stash, room: Room
) -> Kept:
    """Choose what to keep of each run: as much of the layers as there is room for.

    Args:
        reference: the reference, which was run.
        looked: the observations of the second run.
        looked_at: the run whose layer inputs are kept.
        seen: has these.
        room: what the record may hold.

    Raises:
        PReLUToolsError: there is no room for inputs and outputs.
    """
    kept = Kept()
    perturbed = None if reference.perturbed is None else reference.perturbed.outputs
    for run, feeds in enumerate(reference.feeds):
        given, expected = looked.outputs[run], reference.outputs[run]
        room.need(n_bytes(feeds) + n_bytes(given) + n_bytes(looked.counts[run]))
        room.need(n_bytes(expected) if reference.precision == "float64" else 0)
        room.need(sum(map(_size, perturbed[run].values())) if perturbed else 0)
    coarser = _coarser(reference, room, kept)
    observed = _observed(reference, looked, looked_at, seen, room)
    kept.n_observed = len(observed)
    for run, feeds in enumerate(reference.feeds):
        outputs = {
            name: _output(reference, run, name, values, coarser)
            for name, values in looked.outputs[run].items()
        }
        kept.runs.append(
            RecordedRun(
                inputs={name: _held(values) for name, values in feeds.items()},
                outputs=outputs,
                counts={name: _held(values) for name, values in looked.counts[run].items()},
                calls=observed.get(run, ()),
            )
        )
    return kept


def _held(values: Array) -> Stored:
    return Stored(lambda: values)


def _output(
    reference: Reference, run: int, name: str, given: Array, coarser: Mapping[str, PerturbedRuns]
) -> RecordedOutput:
    expected = reference.outputs[run][name]
    perturbed = reference.perturbed
    same = expected.dtype == given.dtype
    return RecordedOutput(
        given=_held(given),
        expected=None if same else _held(expected),
        spread=None if perturbed is None else _spread(perturbed.outputs[run][name]),
        coarser={kind: _spread(found.outputs[run][name]) for kind, found in coarser.items()},
    )


def _spread(spread: Spread) -> RecordedSpread:
    def held(values: Array | None) -> Stored | None:
        return None if values is None else _held(values)

    return RecordedSpread(
        _held(spread.scale),
        spread.n_flips,
        held(spread.border),
        held(spread.reach),
        held(spread.lost),
        held(spread.rough),
    )


def _size(spread: Spread) -> int:
    parts = (spread.scale, spread.border, spread.reach, spread.lost, spread.rough)
    return sum(part.nbytes for part in parts if part is not None)


def _coarser(reference: Reference, room: Room, kept: Kept) -> dict[str, PerturbedRuns]:
    """The limits for narrower types, as far as they are available and there is room."""
    found = {}
    for kind in NARROW if reference.perturbed is not None else ():
        try:
            perturbed = reference.perturbed_to(resolution_of(kind))
        except PReLUToolsError as error:
            kept.not_coarser[kind] = str(error)
            continue
        if perturbed is None or perturbed is reference.perturbed:
            continue
        if room.take(sum(_size(spread) for run in perturbed.outputs for spread in run.values())):
            found[kind] = perturbed
        else:
            kept.not_coarser[kind] = f"--max-size {room.limit:g} left no room for its limits"
    return found


def _calls(reference: Reference, run: int) -> Iterator[tuple[tuple[str, int], int]]:
    """The calls of a run that were seen, and the bytes that each takes."""
    for layer in reference.layers:
        for call in range(len(layer.nodes)):
            values = reference.activation(run, layer.name, call)
            if values is not None:
                scale = reference.spread(run, layer.name, call)
                yield (layer.name, call), values.nbytes + (0 if scale is None else scale.nbytes)


def _observed(
    reference: Reference, looked: Looked, looked_at: int, seen: Stash, room: Room
) -> dict[int, tuple[RecordedCall, ...]]:
    """The layers' outputs, of small runs first."""
    order = smallest(reference.feeds)
    order.sort(key=lambda run: run != looked_at)
    found = {}
    for run in order:
        sizes = dict(_calls(reference, run))
        inner = [("x", run, *call) for call in sizes] + [("y", run, *call) for call in sizes]
        extra = sum(seen.get(key).nbytes for key in inner if key in seen)
        if room.take_inner(sum(sizes.values()) + extra):
            found[run] = tuple(_call(reference, run, call, looked, seen) for call in sizes)
    return found


def _call(
    reference: Reference, run: int, call: tuple[str, int], looked: Looked, seen: Stash
) -> RecordedCall:
    layer, number = call

    def stored(stash: Stash, kind: str) -> Stored | None:
        key = (kind, run, layer, number)
        return Stored(partial(stash.get, key)) if key in stash else None

    expected = stored(reference.stash, reference.precision)
    if expected is None:
        raise AssertionError("a call that was not seen")
    return RecordedCall(
        layer=layer,
        call=number,
        expected=expected,
        scale=stored(reference.stash, SPREAD),
        x=stored(seen, "x"),
        y=stored(seen, "y"),
        row_axis=looked.call_axes.get(call),
    )


def observed_words(kept: Kept, runs: Sequence[object], max_size: float | None) -> str | None:
    """A note if layer outputs are not kept for every run; see `RecordRequest.max_size`."""
    if kept.n_observed == len(runs):
        return None
    why = (
        f"they take at most {INNER:g} MB without --max-size"
        if max_size is None
        else f"more would exceed --max-size {max_size:g} (megabytes)"
    )
    return f"layer values are kept for {kept.n_observed:,} of {counted(len(runs), 'run')}: {why}"
