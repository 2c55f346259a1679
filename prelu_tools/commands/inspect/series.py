"""How slopes moved: over checkpoints of one training run, or over its log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from prelu_tools.commands.inspect.command import inspect_source
from prelu_tools.commands.inspect.request import InspectRequest, is_log
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import UsageError
from prelu_tools.core.files.slope_log import read_log
from prelu_tools.core.prelu.movement import HIGHEST, LOWEST, SlopeTrack
from prelu_tools.core.prelu.slopediff import line_up
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.statistics import SlopeStatistics, Thresholds, slope_health
from prelu_tools.core.results.inspection import Finding, InspectResult, LayerReport
from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesPoint, SeriesResult
from prelu_tools.core.results.slope_record import LayerRecord

_COUNTED = ("step", "iter", "iteration", "epoch", "ep")
"""What a number in a file's name counts, the finest first."""
_NUMBER = re.compile(r"\d+")


def inspect_series(sources: Sequence[str], request: InspectRequest) -> SeriesResult:
    """Look at each checkpoint in order, or at each record of one log.

    Args:
        sources: checkpoints, which are put in the order of the numbers in their names where these
            are numbered alike, and else stay as given; or one log of `prelu_tools.training`.
        request: how to look at each.

    Raises:
        UsageError: there are fewer than two checkpoints, logs mixed with others, or options that
            need one model.
        PReLUToolsError: one cannot be read.
    """
    for option, value in (("--data", request.data), ("--target", request.target)):
        if value is not None:
            raise UsageError(f"{option} is for one model, and a series has several: leave it out")
    if any(map(is_log, sources)):
        if len(sources) > 1:
            raise UsageError(
                "a log is already a series: give it alone, without checkpoints or other logs"
            )
        return _of_log(Path(sources[0]), Thresholds(request.near))
    if len(sources) < 2:
        raise UsageError(
            f"a series needs two checkpoints or more, but {len(sources)} was given: add more, or "
            "use a log (slopes.jsonl)"
        )
    ordered, notes = in_order(sources)
    shared = replace(request, options=replace(request.options, is_shared=True))
    return of_checkpoints([inspect_source(source, shared) for source in ordered], notes)


def in_order(sources: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Checkpoints by the numbers in their names, where that says their order, and what to say."""
    names = [PurePath(source).name for source in sources]
    if len({_NUMBER.sub("#", name) for name in names}) > 1:
        return list(sources), ("the checkpoints are in the given order, because their names "
                               "differ in more than numbers",)  # fmt: skip
    keys = {source: _key(name) for source, name in zip(sources, names, strict=True)}
    return sorted(sources, key=keys.__getitem__), ()


def _key(name: str) -> tuple[int, ...]:
    """What a name counts, then all of its numbers."""
    counts = [_count(name, word) for word in _COUNTED]
    return (*(count for count in counts if count is not None), *_numbers(name))


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in _NUMBER.findall(name)]


def _count(name: str, word: str) -> int | None:
    """The number after a word: 3 of `epoch` in `epoch=3-step=120.ckpt`."""
    found = re.search(rf"(?<![a-z]){word}s?[^a-z0-9]{{0,2}}(\d+)", name.lower())
    return int(found[1]) if found else None


def _points(results: Sequence[InspectResult]) -> list[SeriesPoint]:
    """What to call each: what its name counts, or its name."""
    names = [PurePath(result.path).name for result in results]
    for word in _COUNTED:
        counts = [_count(name, word) for name in names]
        if None not in counts and len(set(counts)) == len(counts):
            return [
                SeriesPoint(f"{word} {count}", result.path, count)
                for count, result in zip(counts, results, strict=True)
            ]
    stems = [PurePath(name).stem for name in names]
    shown = stems if len(set(stems)) == len(stems) else [result.path for result in results]
    varying = [set(column) for column in zip(*map(_numbers, names), strict=False)]
    steps: list[int | None] = [None] * len(names)
    places = [place for place, column in enumerate(varying) if len(column) == len(names)]
    if places and len({_NUMBER.sub("#", name) for name in names}) == 1:
        steps = [_numbers(name)[places[0]] for name in names]
    return [
        SeriesPoint(*each) for each in zip(shown, (r.path for r in results), steps, strict=True)
    ]


def of_checkpoints(results: Sequence[InspectResult], notes: tuple[str, ...] = ()) -> SeriesResult:
    """The series of models that were inspected, in their order."""
    kept: list[PReLULayer] = []
    rows: list[list[LayerReport | None]] = []
    for place, result in enumerate(results):
        pairs = line_up(kept, [report.layer for report in result.layers])
        reports = {report.layer.name: report for report in result.layers}
        for layer, theirs in pairs.pairs:
            rows[kept.index(layer)].append(reports[theirs.name])
        for layer in pairs.unexpected:
            kept.append(layer)
            rows.append([*([None] * place), reports[layer.name]])
        for row in rows:
            row += [None] * (place + 1 - len(row))
    layers = tuple(_layer(row) for row in rows)
    first, last = results[0].path, results[-1].path
    said = [note for result in results[:1] for note in result.notes]
    findings = tuple(finding for layer in layers for finding in _findings(layer, len(results)))
    return SeriesResult(
        f"{first} to {last}", tuple(_points(results)), layers, findings, (*notes, *said)
    )


Look = tuple[Array, SlopeStatistics, tuple[str, ...]]
"""The slopes of a layer at a point, flat, their statistics and their health."""


def _layer(reports: Sequence[LayerReport | None]) -> LayerSeries:
    looks = [
        None
        if report is None
        else (report.layer.slopes.reshape(-1), report.statistics, report.health)
        for report in reports
    ]
    points, trends = _followed(looks)
    first = next(report.layer for report in reports if report is not None)
    return LayerSeries(first.name, first.parameter, first.form, points, trends)


def _followed(
    looks: Sequence[Look | None],
) -> tuple[tuple[LayerPoint | None, ...], tuple[str, ...]]:
    """A layer at each point, and findings over all points."""
    track = SlopeTrack()
    points = [
        None if look is None else LayerPoint(*look, movement=track.add(look[0])) for look in looks
    ]
    return tuple(points), track.trends()


def _findings(layer: LayerSeries, n_points: int) -> list[Finding]:
    """Findings about a layer over all checkpoints."""
    found = []
    first, last = layer.first, layer.last
    missing = n_points - len(layer.present)
    if missing:
        lack, call = ("lacks", "calls") if missing == 1 else ("lack", "call")
        text = f"{missing:,} of {n_points:,} checkpoints {lack} it, or {call} it by another name"
        found.append(Finding("layer_comes_and_goes", "warning", text, layer.name))
    if "not_moving" in layer.trends:
        text = "its slopes are the same in every checkpoint: frozen, or no gradient reaches them"
        found.append(Finding("not_moving", "warning", text, layer.name))
    if "diverging" in layer.trends:
        low, high = last.statistics.min, last.statistics.max
        text = (
            f"its slopes are from {low:.4g} to {high:.4g} in the last checkpoint, farther outside "
            f"[{LOWEST:g}, {HIGHEST:g}] than before: training diverges there"
        )
        found.append(Finding("diverging", "error", text, layer.name))
    elif "outside_range" in layer.trends:
        text = (
            f"{last.movement.n_outside:,} of its slopes are outside [{LOWEST:g}, {HIGHEST:g}] in "
            "the last checkpoint"
        )
        found.append(Finding("outside_range", "warning", text, layer.name))
    if "pulled_to_zero" in layer.trends:
        text = (
            f"the mean magnitude of its slopes fell from {first.movement.mean_size:.4g} to "
            f"{last.movement.mean_size:.4g}: weight decay may pull them to 0"
        )
        found.append(Finding("pulled_to_zero", "warning", text, layer.name))
    return found


def _of_log(path: Path, thresholds: Thresholds) -> SeriesResult:
    """The series of a training's log."""
    records, is_torn = read_log(path)
    names = dict.fromkeys(layer.name for record in records for layer in record.layers)
    by_step = [{layer.name: layer for layer in record.layers} for record in records]
    layers = [_logged([held.get(name) for held in by_step], thresholds) for name in names]
    findings = tuple(finding for record in records for finding in record.findings)
    notes = []
    if is_torn:
        notes.append("the last line of the log is incomplete and was left out")
    if sampled := [layer.name for layer in layers if layer.is_sampled]:
        notes.append(f"the log contains only some of the slopes of {', '.join(sampled)}")
    points = [SeriesPoint(f"step {record.step}", str(path), record.step) for record in records]
    return SeriesResult(str(path), tuple(points), tuple(layers), findings, tuple(notes))


def _logged(records: Sequence[LayerRecord | None], thresholds: Thresholds) -> LayerSeries:
    looks = [
        None if one is None else (one.slopes, one.statistics, slope_health(one.slopes, thresholds))
        for one in records
    ]
    points, trends = _followed(looks)
    known = [record for record in records if record is not None]
    sampled = any(record.is_sampled for record in known)
    first = known[0]
    return LayerSeries(first.name, first.parameter, first.form, points, trends, sampled)
