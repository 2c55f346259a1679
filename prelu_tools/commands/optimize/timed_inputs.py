"""The inputs that `optimize` runs a model on: of the sizes in use, and of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.backends.onnxruntime.running.racing import open_run, shortest_time
from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.recorded import is_record
from prelu_tools.backends.recorded.format import read_recording
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.verify.inputs.drawing import Drawer, DrawPlan
from prelu_tools.commands.verify.inputs.feeds import Feeds, replay_feeds
from prelu_tools.commands.verify.inputs.planning import drawer_within_tables
from prelu_tools.commands.verify.inputs.sizes import Sizes
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.inputs import DEFAULT_SEED, Wanted, pictures
from prelu_tools.core.process.timing import SizesFrom
from prelu_tools.graph.io.metadata import stated_examples
from prelu_tools.graph.io.reader import OnnxModel

_BATCHES = 8  # inputs for the comparison of bits: one of each kind
_SIZES = (64, 112, 224, 448, 640, 1280)  # for the two dynamic axes of an image
_LENGTHS = (64, 256, 1024, 4096, 16384)  # for one dynamic axis
_SLOWEST, _RUNS = 1.0, 60.0  # seconds per run; the minimum number of runs within the tuning time


@dataclass(frozen=True)
class TimedInputs:
    """Inputs for an optimization."""

    feeds: list[Feeds]
    """The first is timed; the outputs are compared on all of them."""
    sizes_from: SizesFrom
    """Where the sizes of the first come from."""


def draw_inputs(source: OnnxGraph, model: OnnxModel, request: OptimizeRequest) -> TimedInputs:
    """Inputs for timing and comparing; the user's own come first.

    Sizes that the model leaves dynamic are those of `--input` or `--inputs`, those of the
    `example_inputs()` that the model was exported with, or the largest usual ones at which it runs
    in under a second. Where nothing is timed they are small.

    Args:
        source: the model.
        model: the same with slopes where they belong.
        request: the options.

    Raises:
        UsageError: the user's sizes are not those that the model fixes.
        PReLUToolsError: the user's inputs cannot be read.
    """
    specs = source.inputs()
    _refuse_other_sizes(specs, request)
    drawer = drawer_within_tables(source, DrawPlan(_BATCHES, DEFAULT_SEED, {}))
    rows = max((spec.example[0] for spec in specs if spec.example), default=1)
    batches = [drawer.run({}, rows, number) for number in range(_BATCHES)]
    if request.inputs_file is not None:
        return TimedInputs([*_given(request.inputs_file, specs), *batches], "--inputs")
    sizes, origin = _timing_sizes(drawer, model, request, specs, rows)
    first = drawer.run(sizes, rows, 0)
    plain = {
        s.name: Wanted(s.dtype, first[s.name].shape[1:]) for s in specs if drawer.is_plain(s.name)
    }
    return TimedInputs([{**first, **pictures(plain, rows, DEFAULT_SEED)}, *batches], origin)


def _refuse_other_sizes(specs: Sequence[TensorSpec], request: OptimizeRequest) -> None:
    """Refuse `--input` where the model fixes another size: it would be ignored."""
    given = {one.name: one.shape for one in request.options.inputs}
    for spec in specs:
        pairs = zip(given.get(spec.name, ()), spec.shape, strict=False)
        if any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs):
            wanted, fixed = (",".join(map(str, sizes)) for sizes in (given[spec.name], spec.shape))
            raise UsageError(
                f"--input {spec.name}:{wanted}: {request.source} takes {spec.name}:{fixed}"
            )


def _given(file: Path, specs: Sequence[TensorSpec]) -> list[Feeds]:
    """The user's inputs; of a record, the largest run of the fewest rows comes first."""
    if not is_record(file):
        return replay_feeds(file, specs)
    runs = [
        {spec.name: run.inputs[spec.name].load().astype(spec.dtype) for spec in specs}
        for run in read_recording(file, str(file)).runs
        if all(spec.name in run.inputs for spec in specs)
    ]
    if not runs:
        raise PReLUToolsError(
            f"{file} is a record of other inputs; expected {', '.join(s.name for s in specs)}"
        )
    return sorted(runs, key=lambda feeds: (_rows(feeds), -sum(x.size for x in feeds.values())))


def _rows(feeds: Feeds) -> int:
    return max((len(values) for values in feeds.values() if values.ndim), default=1)


def _timing_sizes(
    drawer: Drawer, model: OnnxModel, request: OptimizeRequest, specs: Sequence[TensorSpec],
    rows: int,
) -> tuple[Sizes, SizesFrom]:  # fmt: skip
    """Sizes of dynamic axes, and where they come from."""
    if not drawer.free:
        return {}, "model"
    if request.options.inputs:
        return {}, "--input"
    stated = _sizes_by_name(specs, stated_examples(model.proto))
    if drawer.free.keys() <= stated.keys():
        return {name: stated[name] for name in drawer.free}, "source"
    is_timed = request.target == "onnxruntime-cpu" and request.choices is None
    if not is_timed or request.tune is False:
        return {}, "default"
    found = _largest(drawer, model, request, rows)
    return (found, "search") if found else ({}, "default")


def _sizes_by_name(
    specs: Sequence[TensorSpec], examples: Mapping[str, tuple[int, ...]]
) -> dict[str, int]:
    """The sizes of examples by the names that the model's dimensions have."""
    return {
        dim: size
        for spec in specs
        for dim, size in zip(spec.shape, examples.get(spec.name, ()), strict=False)
        if isinstance(dim, str) and len(spec.shape) == len(examples[spec.name])
    }


def _largest(drawer: Drawer, model: OnnxModel, request: OptimizeRequest, rows: int) -> Sizes:
    """The largest usual sizes that run fast enough; none if the model takes none of them.

    A size is tried if the one before it leaves time for it.
    """
    run = open_run(model, request.threads, request.source)
    limit = min(_SLOWEST, request.tune_seconds / _RUNS)
    found: Sizes = {}
    seconds, before = 0.0, 0
    for size in _SIZES if len(drawer.free) > 1 else _LENGTHS:
        growth = (size / before) ** min(2, len(drawer.free)) if before else 1.0
        if seconds * growth > limit:
            break
        sizes = dict.fromkeys(drawer.free, size)
        try:
            seconds = shortest_time(run, drawer.run(sizes, rows, 0), request.threads)
        except PReLUToolsError:
            continue
        if seconds > limit:
            break
        found, before = sizes, size
    return found
