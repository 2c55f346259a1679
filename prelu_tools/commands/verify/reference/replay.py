"""Use a record in place of running the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.recording import (
    RecordedOutput,
    RecordedRun,
    RecordedSpread,
    Recording,
)
from prelu_tools.commands.verify.deciders import turn_plan
from prelu_tools.commands.verify.inputs.branch_search import search_branches
from prelu_tools.commands.verify.inputs.drawing import known_shapes
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.planning import InputPlan
from prelu_tools.commands.verify.inputs.rows import Rows, find_rows
from prelu_tools.commands.verify.inputs.trials import Domain
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference.constant import constant_outputs, of_inputs, of_slopes
from prelu_tools.commands.verify.reference.perturbed import SPREAD, PerturbedRuns
from prelu_tools.commands.verify.reference.rebatching import Part, parts_of
from prelu_tools.commands.verify.reference.reference import Call, Reference
from prelu_tools.commands.verify.reference.stale import stale_notes, stated_by
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array, shapes_in_words
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.files.documents import Stored
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.options import Dim
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import Extent, resolution_of

_OF_RUNS = ("input_one_value", "no_negative_input")  # notes that depend on which runs are taken


def refuse_fixed_options(recording: Recording, request: VerifyRequest) -> None:
    """Reject options that would be ignored because the record fixes them.

    Raises:
        UsageError: an option asks for other inputs than those of the record.
    """
    plain, specs = VerifyRequest("", ()), {spec.name: spec for spec in recording.inputs}
    others = [one for one in request.options.inputs if one.name in specs]
    asked = {
        "--inputs": request.inputs_file is not None,
        "--samples": request.samples not in (None, recording.samples),
        "--seed": request.seed not in (plain.seed, recording.seed),
        "--input-range": request.ranges and dict(request.ranges) != dict(recording.ranges),
        "--search-seconds": request.search_seconds != plain.search_seconds,
        "--input": any(one.shape != specs[one.name].shape for one in others)
        and not request.options.is_shared,
    }
    for flag, is_other in asked.items():
        if is_other:
            raise UsageError(
                f"{flag} would be ignored: {request.reference} is a record, whose inputs are "
                f"fixed; to change them, give {flag} to prelu-tools record {recording.source}"
            )


def refuse_records(candidates: Sequence[Linked]) -> None:
    """Reject a record as a candidate: it does not run on a reference's inputs.

    Raises:
        UsageError: one is.
    """
    for item in candidates:
        if item.source.recording is not None:
            raise UsageError(
                f"{item.label} is a record, which cannot be run: give it first, as the REFERENCE"
            )


@contextmanager
def replaying(
    source: Source, opened: Sequence[Linked], request: VerifyRequest
) -> Iterator[tuple[Reference, InputPlan]]:
    """The same as `running`, from a record; its resources are released after the block.

    Raises:
        PReLUToolsError: the record is damaged, or has no run at the sizes that candidates fix.
    """
    recording = source.recording
    if recording is None:
        raise AssertionError("not a record")
    shapes = known_shapes(source.inputs(), [(o.source.inputs(), o.links) for o in opened])
    player = _Player(source, recording, request)
    parts = player.parts(shapes)
    rows = find_rows(shapes) if any(part.count for part in parts) else _rows(recording)
    with Stash() as stash:
        reference = player.reference(parts, rows, stash)
        settled = InputPlan(
            reference.feeds, rows, recording.sizes, recording.domains, recording.ranges
        )
        domain = Domain(source.inputs(), {}, whole=True, rows=rows)
        turned = search_branches(
            source, reference.feeds, turn_plan(source, opened, domain, is_searched=False)
        )
        reference.notes += turned.notes
        if recording.source_file is not None:
            said = stated_by(opened)
            reference.notes += stale_notes(source.label, recording.source_file, said)
        reference.untaken = turned.doubts
        yield reference, settled


def _rows(recording: Recording) -> Rows:
    return Rows(recording.row_axes, recording.row_names)


@dataclass
class _Player:
    """Makes a reference of the parts of a record."""

    source: Source
    recording: Recording
    request: VerifyRequest
    calls: list[Call] = field(default_factory=list)

    def parts(self, shapes: Mapping[str, Sequence[Dim]]) -> list[Part]:
        """The runs at these sizes.

        Raises:
            PReLUToolsError: there is none.
        """
        feeds = [self._feeds(run) for run in self.recording.runs]
        parts = list(parts_of(self.recording, feeds, shapes))
        if parts and self.recording.outputs:
            return parts
        if not feeds or not self.recording.outputs:
            raise self._damaged("it has no run")
        wanted = " ".join(f"--input {n}:{','.join(map(str, s))}" for n, s in shapes.items())
        found = "; ".join(dict.fromkeys(map(shapes_in_words, feeds[:3])))
        raise PReLUToolsError(
            f"{self.source.label} has no run at the sizes that a candidate fixes (it has "
            f"{found}): record {self.recording.source} with {wanted}"
        )

    def reference(self, parts: Sequence[Part], rows: Rows, stash: Stash) -> Reference:
        """The reference, as if it had been run on these."""
        recording, is_calibrated = self.recording, self.request.tolerance.multiple is not None
        layers = self.source.layers()
        reference = Reference(
            self.source, layers, [part.feeds for part in parts], rows, CoverageBook(layers), stash
        )
        given = [self._outputs(part, expected=False) for part in parts]
        reference.outputs = [self._outputs(p, expected=True) for p in parts] if is_calibrated else (
            given
        )  # fmt: skip
        reference.precision = recording.precision if is_calibrated else "float32"
        for name, facts in recording.outputs.items():
            reference.extents[name] = Extent(facts.scale, facts.own_error)
            reference.kinds[name] = given[0][name].dtype.name
        for layer in recording.layers:
            reference.layer_extents[layer.layer.name] = Extent(layer.scale, layer.own_error)
        self._add_limits(reference, parts)
        for number, part in enumerate(parts):
            self._add_counts(reference.coverage, part)
            if self.request.layers:
                self._add_layers(reference, number, part)
        reference.known_calls = self.calls
        reference.n_given = sum(part.number < recording.n_given for part in parts)
        reference.n_searched = sum(
            rows.count(part.feeds) for part in parts if part.number >= recording.n_given
        )
        reference.unmoved = constant_outputs(reference.feeds, given, rows)
        reference.notes += self.source.notes
        told = [note.reason for note in recording.notes]
        reference.notes += [note for note in told if code_of(note) not in _OF_RUNS]
        reference.notes += of_inputs(reference.feeds)
        reference.notes += of_slopes(reference.coverage) if self.request.layers else []
        reference.doubts = [doubt.reason for doubt in recording.doubts]
        return reference

    def _feeds(self, run: RecordedRun) -> Feeds:
        found = {}
        for spec in self.recording.inputs:
            if spec.name not in run.inputs:
                raise self._damaged(f"a run has no input {spec.name!r}")
            values = run.inputs[spec.name].load()
            axis = self.recording.row_axes.get(spec.name)
            if not _fits(values, spec) or (axis is not None and not 0 <= axis < values.ndim):
                raise self._damaged(
                    f"input {spec.name!r} is {values.dtype.name} {list(values.shape)[:8]}"
                )
            found[spec.name] = values
        return found

    def _output(self, part: Part, name: str) -> RecordedOutput:
        if name not in part.run.outputs:
            raise self._damaged(f"a run has no output {name!r}")
        return part.run.outputs[name]

    def _outputs(self, part: Part, expected: bool) -> dict[str, Array]:
        found = {}
        for name, facts in self.recording.outputs.items():
            output = self._output(part, name)
            values = output.given.load()
            if expected and output.expected is not None:
                values = self._like(output.expected, values)
            found[name] = self._taken(part, values, facts.row_axis)
        return found

    def _taken(self, part: Part, values: Array, axis: int | None) -> Array:
        found = part.take(values, axis)
        if found is None:
            raise self._damaged(
                f"a tensor of {list(values.shape)[:8]} has no batch of {part.count}"
            )
        return found

    def _add_limits(self, reference: Reference, parts: Sequence[Part]) -> None:
        """The effect of rounding on each value: in float32, and in narrower types."""
        recording = self.recording
        if self.request.tolerance.multiple is None or not recording.moved_runs:
            return
        every = [self._spreads(part, None) for part in parts]
        if all(spreads is not None for spreads in every):
            reference.perturbed = PerturbedRuns(
                recording.moved_runs, [s for s in every if s is not None]
            )
        for kind in ("float16", "bfloat16"):
            narrow = [spreads for part in parts if (spreads := self._spreads(part, kind))]
            if len(narrow) == len(parts):
                reference.coarser[resolution_of(kind)] = PerturbedRuns(recording.moved_runs, narrow)

    def _spreads(self, part: Part, kind: str | None) -> dict[str, Spread] | None:
        found = {}
        for name, facts in self.recording.outputs.items():
            output = self._output(part, name)
            spread = output.spread if kind is None else output.coarser.get(kind)
            if spread is None:
                return None
            found[name] = self._spread(part, spread, output.given.load(), facts.row_axis)
        return found

    def _spread(
        self, part: Part, spread: RecordedSpread, values: Array, axis: int | None
    ) -> Spread:
        def load(stored: Stored | None) -> Array | None:
            if stored is None:
                return None
            found = stored.load()
            if found.shape == ():
                return found
            if found.ndim != values.ndim or any(
                size not in (1, wanted)
                for size, wanted in zip(found.shape, values.shape, strict=True)
            ):
                raise self._damaged(f"a limit is of shape {list(found.shape)[:8]}")
            if axis is not None and found.shape[axis : axis + 1] == (1,):
                return found  # the same for every row
            return self._taken(part, found, axis)

        scale = load(spread.scale)
        if scale is None or scale.dtype != np.float32 or not (scale >= 0).all():
            raise self._damaged("a limit is not a number of 0 or more")
        return Spread(
            scale,
            load(spread.border),
            spread.n_flips,
            load(spread.reach),
            load(spread.lost),
            load(spread.rough),
        )

    def _add_counts(self, book: CoverageBook, part: Part) -> None:
        if not part.is_first:
            return
        for layer in self.source.layers():
            stored = part.run.counts.get(layer.name)
            counts = None if stored is None else stored.load()
            if counts is None or counts.size != layer.slopes.size or counts.dtype.kind not in "iu":
                raise self._damaged(f"a run does not say which slopes of {layer.name} were reached")
            book.add(layer.name, counts.astype(np.int64))

    def _add_layers(self, reference: Reference, number: int, part: Part) -> None:
        """The outputs of layers; for the observed run, their inputs too."""
        looked_at = part.number == self.recording.looked_at and part.is_first
        if looked_at:
            reference.looked_at = number
        for call in part.run.calls:
            expected = call.expected.load()
            taken = part.take(expected, call.row_axis)
            if taken is None:
                continue
            reference.stash.put((reference.precision, number, call.layer, call.call), taken)
            if call.scale is not None and reference.perturbed is not None:
                scale = part.take(self._like(call.scale, expected), call.row_axis)
                if scale is None or not (scale >= 0).all():
                    raise self._damaged("a limit is not a number of 0 or more")
                reference.stash.put((SPREAD, number, call.layer, call.call), scale)
            if looked_at and call.x is not None and call.y is not None:
                x, y = (part.take(one.load(), call.row_axis) for one in (call.x, call.y))
                if x is not None and y is not None:
                    self.calls.append(Call(call.layer, call.call, x, y))

    def _like(self, stored: Stored, values: Array) -> Array:
        found = stored.load()
        if found.shape != values.shape:
            raise self._damaged(
                f"a tensor is of shape {list(found.shape)[:8]}; expected {list(values.shape)[:8]}"
            )
        return found

    def _damaged(self, what: str) -> PReLUToolsError:
        return PReLUToolsError(f"{self.source.label} is damaged: {what}")


def _fits(values: Array, spec: TensorSpec) -> bool:
    """Whether they can be an input: of its type, and of its sizes where these are fixed."""
    return (
        values.dtype.name == spec.dtype
        and values.ndim == len(spec.shape)
        and all(
            isinstance(wanted, str) or wanted == size
            for wanted, size in zip(spec.shape, values.shape, strict=True)
        )
    )
