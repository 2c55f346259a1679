"""Run a source as `verify` runs a reference, and store all observations in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from prelu_tools.backends.opening import open_source
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.recording import (
    OutputFacts,
    RecordedFile,
    RecordedLayer,
    Recording,
    Sentence,
)
from prelu_tools.backends.recorded.format import VERSION, write_recording
from prelu_tools.backends.recorded.formulas import formula_of
from prelu_tools.backends.source_spec import base_name
from prelu_tools.commands.export.provenance import learned_file
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.record.keeping import (
    Kept,
    keep_runs,
    observed_words,
    room_of,
    run_to_look_at,
)
from prelu_tools.commands.record.looking import Looked, look
from prelu_tools.commands.record.request import RecordRequest
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.inputs.other import asking, recorded_for
from prelu_tools.commands.verify.inputs.planning import InputPlan
from prelu_tools.commands.verify.reference.live import check_ranges, running
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.files.documents import Stored
from prelu_tools.core.files.hashing import sha256_of
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.options import OtherInputs, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.special import special_input
from prelu_tools.core.process.progress import ProgressCallback, silent
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.record import RecordResult
from prelu_tools.core.results.verification.result import Coverage
from prelu_tools.core.rounding.tolerance import Extent
from prelu_tools.graph.io.metadata import stated_source
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.io.writer import refuse_existing, replacing

_LARGE = 5_000_000  # bytes: each new version adds as much to every clone
_FEW = 4


def record(
    request: RecordRequest,
    progress: ProgressCallback = silent,
    opened: Source | None = None,
) -> RecordResult:
    """Write the record of a source.

    Args:
        request: what to record, and how.
        progress: called with the name of each step.
        opened: the source, if it is open.

    Raises:
        UsageError: the output exists, or an option makes no sense.
        PReLUToolsError: the source cannot be read or run, or the file cannot be written.
    """
    refuse_existing(request.output, request.force, ".npz", "a record")
    check_request(request, *([request.source] if opened is None else []))
    progress(f"loading {request.source}")
    source = open_source(request.source, _with_sizes(request)) if opened is None else opened
    if source.recording is not None:
        raise UsageError(
            f"{request.source} is a record already: record {source.recording.source} again"
        )
    check = VerifyRequest(
        request.source,
        (),
        inputs_file=request.inputs_file,
        ranges=request.ranges,
        samples=request.samples,
        seed=request.seed,
        search_seconds=request.search_seconds,
        min_coverage=1.0,  # a check with the record may require it, and cannot search
        options=request.options,
    )
    check_ranges(source, check)
    refuse_ignored_options([source], request)
    progress(f"running {request.source}")
    with running(source, (), check) as (reference, settled), Stash() as seen:
        room = room_of(request.max_size)
        at = run_to_look_at(reference, room)
        looked = look(reference, at, seen)
        layers = tuple(_layer(source, reference, layer) for layer in reference.layers)
        kept = keep_runs(reference, looked, at, seen, room)
        note = observed_words(kept, reference.feeds, request.max_size)
        reference.notes += [note] if note else []
        made = _recording(request, reference, settled, looked, kept, layers, at)
        if opened is None:
            made = replace(made, source_file=_read_from(request.source))
        progress(f"writing {request.output}")
        _write(request.output, made)
        return _result(request, reference, made, kept)


def _with_sizes(request: RecordRequest) -> SourceOptions:
    """The options of the source; it may ask the ONNX files next to the record for its inputs."""

    def ask() -> OtherInputs | None:
        told = asking(request.options, _exported(request), {}, Layouts()).other
        with suppress(PReLUToolsError):  # these files may be of something else
            other = None if told is None else told()
            return None if other is None else recorded_for(other)
        return None

    return replace(request.options, other=ask)


def _exported(request: RecordRequest) -> list[str]:
    """The files next to the record that say that they were exported from its source."""
    wanted, found = base_name(request.source), []
    for path in sorted(request.output.parent.glob("*.onnx")):
        with suppress(PReLUToolsError):
            if stated_source(read_model(path).proto)[0] == wanted:
                found.append(str(path))
    return found


def _read_from(label: str) -> RecordedFile | None:
    file = None if "://" in label else learned_file(label)
    if file is None:
        return None
    return RecordedFile(base_name(label), file.as_posix(), sha256_of(file))


def _large(n_bytes: int, n_samples: int) -> Iterator[Reason]:
    """A note where a file is large for a repository."""
    if n_bytes > _LARGE:
        fewer = f"fewer samples (--samples {_FEW}) or " if n_samples > _FEW else ""
        yield Reason(
            f"{n_bytes / 1e6:.1f} MB is large for a file in Git: record {fewer}smaller sizes "
            "(--input), or use Git LFS",
            "record_is_large",
        )


def _write(path: Path, recording: Recording) -> None:
    try:
        with replacing(path) as temporary:
            write_recording(temporary, recording)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror or error}") from error


def _recording(
    request: RecordRequest,
    reference: Reference,
    settled: InputPlan,
    looked: Looked,
    kept: Kept,
    layers: tuple[RecordedLayer, ...],
    looked_at: int,
) -> Recording:
    source = reference.source
    return Recording(
        source=str(request.source),
        framework=source.framework,
        producer=source.producer,
        versions=installed_versions(),
        n_parameters=source.n_parameters,
        computes_in=source.computes_in,
        inputs=tuple(source.inputs()),
        unnamed=source.unnamed,
        outputs={name: _facts(reference, looked, name) for name in reference.outputs[0]},
        layers=layers,
        runs=tuple(kept.runs),
        n_given=reference.n_given,
        n_searched=reference.n_searched,
        row_axes=dict(reference.rows.axes),
        row_names=reference.rows.names,
        precision=reference.precision,
        moved_runs=0 if reference.perturbed is None else reference.perturbed.runs,
        looked_at=looked_at,
        seed=request.seed,
        samples=request.samples,
        ranges=dict(request.ranges),
        sizes=settled.sizes,
        domains=settled.inputs,
        not_coarser=kept.not_coarser,
        notes=tuple(Sentence(str(note), code_of(note)) for note in reference.notes),
        doubts=tuple(Sentence(str(doubt), code_of(doubt)) for doubt in reference.doubts),
    )


def _facts(reference: Reference, looked: Looked, name: str) -> OutputFacts:
    extent, dependence = reference.extents[name], reference.source.dependence(name)
    return OutputFacts(
        dtype=reference.kinds[name],
        scale=extent.scale,
        own_error=extent.own_error,
        dependence=None if dependence is None else int(dependence),
        row_axis=looked.output_axes.get(name),
    )


def _layer(source: Source, reference: Reference, layer: PReLULayer) -> RecordedLayer:
    extent = reference.layer_extents.get(layer.name, Extent())
    answers = _answers(source, layer)
    formula = formula_of(list(answers.values()), layer.slopes) if answers else None
    reached = bool((reference.coverage.counts(layer.name) > 0).all())
    return RecordedLayer(
        layer=layer,
        scale=extent.scale,
        own_error=extent.own_error,
        is_unread=reached and source.is_unread(layer.name, reference.feeds[0]),
        formula=formula,
        special={}
        if formula
        else {kind: Stored(partial(np.asarray, y)) for kind, (_, y) in answers.items()},
    )


def _answers(source: Source, layer: PReLULayer) -> dict[str, tuple[Array, Array]]:
    """By type, the special values of that type and what a layer makes of them."""
    own = layer.slopes.dtype
    if not layer.slopes.ndim or not np.issubdtype(own, np.floating):
        return {}
    kinds = [
        kind
        for kind in ("float16", "float32", "float64")
        if np.dtype(kind).itemsize <= own.itemsize
    ]
    found = {}
    try:
        activation = source.activation(layer.name)
        for kind in kinds:
            x = special_input(layer, np.dtype(kind)).astype(own)
            with np.errstate(all="ignore"):
                found[kind] = (x, activation(x))
    except PReLUToolsError:
        return {}
    return found


def _result(
    request: RecordRequest, reference: Reference, made: Recording, kept: Kept
) -> RecordResult:
    book = reference.coverage
    n_bytes = request.output.stat().st_size
    notes: list[str] = [*reference.notes, *_large(n_bytes, reference.n_samples)]
    return RecordResult(
        source=made.source,
        producer=made.producer,
        path=str(request.output),
        n_bytes=n_bytes,
        format_version=VERSION,
        seed=made.seed,
        samples=reference.n_samples,
        n_searched=made.n_searched,
        n_runs=len(made.runs),
        n_observed=kept.n_observed,
        n_layers=len(made.layers),
        n_outputs=len(made.outputs),
        precision=made.precision,
        coverage=Coverage(book.exercised, book.total, book.unreached()),
        versions=made.versions,
        notes=tuple(dict.fromkeys(notes)),
        doubts=tuple(map(str, reference.doubts)),
    )
