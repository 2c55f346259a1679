"""The report of `quantize`: the layers, the outputs, the times, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prelu_tools.core.process.timing import Ratio
from prelu_tools.core.results.quantization import QuantizedTimes, QuantizeLimits, QuantizeResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import Block, Column, Lines, Name, Section, Share, Table, Text
from prelu_tools.reports.sentences import (
    NO_SNR,
    NO_TOP1,
    NOT_MEASURED,
    REACHED,
    TOP1,
    plain_notes,
    warning_lines,
)
from prelu_tools.reports.views.export import as_details
from prelu_tools.reports.words import counted, covered, duration, percentage, shape

_RATIOS = (
    Column(
        "SNR",
        meaning="signal-to-noise ratio compared with the floating-point model, on the held-out "
        "data",
        absent=NO_SNR,
    ),
    Column("calibration", brief=False, meaning="SNR on the calibration data", absent=NO_SNR),
    Column("plain", meaning="SNR of the file that quantize_static writes", absent=NO_SNR),
)


def view(result: QuantizeResult, style: Style) -> Section:
    """The document of a model that was quantized, or was not."""
    title = (Name(result.source), " -> ", Name(result.path))
    blocks: list[Block] = [_layers(result), _outputs(result)]
    if result.times is not None:
        blocks.append(_times(result.times))
    blocks.append(Lines.of(_lines(result)))
    if result.verification is not None:
        blocks.append(replace(as_details(result.verification, style), reasons=()))
    verdict = result.verdict or ""
    warnings = warning_lines(result.warnings)
    return Section(
        title, tuple(blocks), verdict, _headline(result), tuple(result.reasons), warnings
    )


def _headline(result: QuantizeResult) -> str:
    written = "not written" if result.n_bytes is None else f"{result.n_bytes:,} bytes"
    layers = counted(len(result.layers), "PReLU layer")
    n_left = len(result.layers) - result.n_integer
    left = f", {n_left:,} left in floating point" if n_left else ""
    return f"{written}; {result.n_integer:,} of {layers} quantized{left}"


def _layers(result: QuantizeResult) -> Table:
    columns = (
        Column("layer", "name"),
        Column("input", "text", brief=False, absent=NOT_MEASURED),
        Column("slopes"),
        Column("form", "text", meaning="how PReLU is computed (docs/howto/int8.md)"),
        Column("reason", "text", brief=False),
        Column(
            "step", meaning="distance between the values that slopes may have", absent=NOT_MEASURED
        ),
        Column("off by", meaning="largest error of a slope", absent=NOT_MEASURED),
        *_RATIOS,
        Column("reached", meaning=f"{REACHED} in the calibration data", absent=NOT_MEASURED),
    )
    rows = [
        (
            Name(layer.name),
            "-" if layer.shape is None else shape(layer.shape),
            f"{layer.n_slopes:,}",
            layer.form,
            layer.selected,
            _small(layer.slope_step),
            _small(layer.slope_error),
            decibels(layer.snr),
            decibels(layer.snr_calibration),
            decibels(layer.snr_plain),
            Share(covered(layer.used), layer.used),
        )
        for layer in result.layers
    ]
    return Table(columns, tuple(rows))


def _outputs(result: QuantizeResult) -> Table:
    columns = (
        Column("output", "name"),
        *(replace(column, brief=True) for column in _RATIOS),
        Column("top-1", meaning=TOP1, absent=NO_TOP1),
        Column("top-1 plain", absent=NO_TOP1),
    )
    rows = [
        (
            Name(output.name),
            decibels(output.snr),
            decibels(output.snr_calibration),
            decibels(output.snr_plain),
            "-" if output.top1 is None else percentage(output.top1),
            "-" if output.top1_plain is None else percentage(output.top1_plain),
        )
        for output in result.outputs
    ]
    return Table(columns, tuple(rows)).without()


def _lines(result: QuantizeResult) -> Iterator[Text]:
    if result.times is not None:
        yield _timed_on(result.times)
    if result.metric is not None:
        metric = result.metric
        yield (
            f"{metric.name}: {metric.in_int8:.6g} in int8, {metric.in_float:.6g} in floating "
            f"point, {metric.plain:.6g} with plain quantize_static"
        )
    calibrated, held_out = result.rows
    yield (
        f"ranges calibrated on {counted(calibrated, 'sample')}; other figures measured on "
        f"{held_out:,} held-out samples"
    )
    if result.verdict is None:
        yield "not compared with the floating-point model (--no-verify)"
    if result.limits is not None:
        yield from _required(result, result.limits)
    yield from plain_notes(result.notes)


def _timed_on(times: QuantizedTimes) -> str:
    processor = times.processor or "an unnamed processor"
    sizes = ", ".join(f"input {name!r} of shape {shape(sizes)}" for name, sizes in times.shapes)
    return (
        f"timed with {counted(times.threads, 'thread')}, {sizes}, onnxruntime {times.runtime} on "
        f"{processor}"
    )


def _times(times: QuantizedTimes) -> Table:
    columns = (
        Column("median time of a run", "text"),
        Column("time"),
        Column(
            "int8 / this",
            meaning="time of the new file divided by this, and the 95% interval",
        ),
    )
    rows = [
        ("int8, as written here", duration(times.in_int8), ""),
        ("int8 of plain quantize_static", duration(times.plain), _ratio(times.of_plain)),
        ("floating point", duration(times.in_float), _ratio(times.of_float)),
    ]
    if times.in_fast_float is not None and times.of_fast_float is not None:
        fast = duration(times.in_fast_float), _ratio(times.of_fast_float)
        rows.append(("floating point after optimize --no-tune", *fast))
    return Table(columns, tuple(rows))


def _required(result: QuantizeResult, limits: QuantizeLimits) -> Iterator[Text]:
    """What a pass requires, next to what was measured."""
    known = [one for one in result.outputs if one.snr is not None]
    lowest = min((one.snr for one in known if one.snr is not None), default=None)
    losses = [lost for one in known if (lost := one.lost) is not None]
    most = max((0.0, *losses)) if losses else None
    yield (
        f"PASS requires: each output has an SNR of at least {limits.min_snr:g} dB (lowest: "
        f"{decibels(lowest)}) and at most {limits.max_loss:g} dB less than with plain "
        f"quantize_static (--max-loss; most: {decibels(most)} less); slopes are within half a "
        "step; rounding explains all other differences"
    )
    metric = result.metric
    if metric is not None and limits.max_drop is not None:
        yield (
            f"and {metric.name} falls by at most {limits.max_drop:g} (--max-drop; it falls by "
            f"{metric.in_float - metric.in_int8:.6g})"
        )


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _small(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2g}"


def decibels(value: float | None) -> str:
    """A signal-to-noise ratio; a dash if there is none."""
    return "-" if value is None else f"{value:.1f} dB"
