"""The report of `optimize`: the layers, the gain, and the proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prelu_tools.core.process.timing import Latency, SizesFrom
from prelu_tools.core.results.optimization import EqualityReport, LayerChoice, OptimizeResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import Column, Lines, Name, Section, Table, Text, Word
from prelu_tools.reports.sentences import plain_notes, reached, warning_lines
from prelu_tools.reports.views.export import as_details
from prelu_tools.reports.words import counted, duration, shape


def view(result: OptimizeResult, style: Style) -> Section:
    """The document of a model that was made fast."""
    headline = (
        f"{result.n_bytes:,} bytes, target {result.target}; {result.n_changed:,} of "
        f"{counted(len(result.layers), 'PReLU layer')} rewritten"
    )
    title = (Name(result.source), " -> ", Name(result.path))
    details = as_details(result.verification, style)
    blocks = (_layers(result), Lines.of(_lines(result)), details)
    gain = () if result.latency is None else (_gain(result.latency, result.layers),)
    warnings = warning_lines(result.warnings)
    return Section(title, blocks, headline=headline, reasons=gain, warnings=warnings)


def _layers(result: OptimizeResult) -> Table:
    columns = (
        Column("layer", "name"),
        Column("input", "text", absent="not known"),
        Column("slopes"),
        Column("before", "text"),
        Column("now", "text"),
        Column("reason", "text"),
        Column(
            "saves",
            meaning="time that the model saves compared with a PRelu node here",
            absent="not timed",
        ),
    )
    rows = [
        (
            Name(layer.name),
            shape(layer.shape) if layer.shape is not None else "-",
            f"{layer.n_slopes:,}",
            layer.before,
            layer.form,
            layer.chosen,
            _gained(layer),
        )
        for layer in result.layers
    ]
    return Table(columns, tuple(rows)).without()


def _gained(layer: LayerChoice) -> str:
    """What the model gains by one layer, against a PRelu node; a dash if it was not timed."""
    if layer.gained is None or layer.gain is None:
        return "-"
    if layer.gain.high >= 1.0:  # forms within a hundredth of the fastest count as equally fast
        return "within noise"
    return duration(layer.gained) if abs(layer.gained) >= 5e-8 else "<0.1 µs"


def _lines(result: OptimizeResult) -> Iterator[Text]:
    if result.latency is not None:
        yield from _latency(result.latency, result.held)
    yield _proven(result)
    yield reached(result.verification)
    yield from plain_notes(result.notes)


def _gain(latency: Latency, layers: Sequence[LayerChoice]) -> Text:
    """The model before and after: what it was all for; in words where it takes longer."""
    ratio = latency.ratio
    words = (
        f"{duration(latency.before)} before, {duration(latency.after)} now: "
        f"{ratio.median:.2f}x the time ({ratio.low:.2f} to {ratio.high:.2f} over "
        f"{counted(ratio.n_rounds, 'round')})"
    )
    if ratio.low > 1:
        is_forecast = any(layer.chosen == "cost model" for layer in layers)
        advice = "; leave out --no-tune to time the forms" if is_forecast else ""
        return (Word(f"{words}: slower{advice}", "warning"),)
    return (Word(words, "pass"),) if ratio.high < 1 else words


def _latency(latency: Latency, held: EqualityReport) -> Iterator[Text]:
    """What it was timed on, and at which sizes."""
    processor = held.processor or "an unnamed processor"
    yield f"{counted(latency.threads, 'thread')}, onnxruntime {held.runtime} on {processor}"
    if latency.sizes_from in _SIZES:
        sizes = ", ".join(f"{name} {shape(dims)}" for name, dims in latency.shapes)
        yield f"timed at {sizes}: {_SIZES[latency.sizes_from]}"
    if latency.waited > _BUSY:
        yield (
            f"during the timing, other processes used {latency.waited:.0%} of the processor; "
            "only this process's time was counted"
        )


_BUSY = 0.1  # the share of the time that is worth a line
_SIZES: Mapping[SizesFrom, str] = {
    "--input": "the sizes of --input",
    "--inputs": "the first inputs of --inputs",
    "source": "the sizes that the model was exported with",
    "search": "the largest common size that runs fast enough to be timed; --input sets another",
    "default": "a small size, because the model does not say which is used; set it with --input",
}
"""What is said of the sizes that a model with dynamic sizes was timed at."""


def _proven(result: OptimizeResult) -> str:
    """What was found equal, in one sentence."""
    held = result.held
    layers = "every layer equals PRelu (-0 counts as 0)" if held.layer else (
        f"layers are up to {held.max_ulps} ulp from PRelu"
    )  # fmt: skip
    bits = "equal bit for bit" if held.bitwise else "not equal bit for bit"
    special = "the same results" if held.special else "not always the same results"
    return (
        f"verified: {layers}; outputs {bits} on {counted(held.n_inputs, 'row')} of input; "
        f"{special} for infinities and NaN"
    )
