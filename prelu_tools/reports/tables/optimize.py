"""What `optimize` did, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from prelu_tools.core.results.optimization import Held, LayerChoice, OptimizeResult
from prelu_tools.core.timing import Latency
from prelu_tools.reports.facts import reached
from prelu_tools.reports.tables.parts import counted, grid, shape, wrapped


def optimize_table(result: OptimizeResult, width: int) -> RenderableType:
    """The layers, what was gained, and what was proven."""
    title = Text(f"{result.source} -> {result.path}", style="bold")
    title.append(
        f"\n{result.n_bytes:,} bytes for {result.target}; {result.n_changed} of "
        f"{counted(len(result.layers), 'PReLU layer')} rewritten",
        style="not bold",
    )
    parts: list[RenderableType] = [title, Text(), _layers(result)]
    if result.latency is not None:
        parts += [Text(), _latency(result.latency, result.held)]
    parts.append(wrapped(proven(result), width))
    parts.append(Text(reached(result.verification)))
    parts += [wrapped(f"note: {note}", width) for note in result.notes]
    return Group(*parts)


def _layers(result: OptimizeResult) -> RenderableType:
    table = grid("layer", "input", "slopes", "before", "now", "chosen by", "gained", left=3)
    for column in (3, 4, 5):
        table.columns[column].justify = "left"
    for layer in result.layers:
        table.add_row(
            layer.name,
            shape(layer.shape) if layer.shape is not None else "-",
            f"{layer.n_slopes:,}",
            layer.before,
            layer.form,
            layer.chosen,
            gained(layer),
        )
    return table


def gained(layer: LayerChoice) -> str:
    """What the model gains by one layer, against a PRelu node; a dash where it was not timed."""
    if layer.gained is None or layer.gain is None:
        return "-"
    if layer.gain.low <= 1.0 <= layer.gain.high:
        return "within noise"
    return f"{1e3 * layer.gained:.2f} ms"


def _latency(latency: Latency, held: Held) -> Text:
    text = Text(latency_words(latency), style="green" if latency.ratio.high < 1 else "")
    where = f", onnxruntime {held.runtime} on {held.processor or 'an unnamed processor'}"
    return text.append(f"\n{counted(latency.threads, 'thread')}{where}", style="default")


def latency_words(latency: Latency) -> str:
    """The model before and after, in one line."""
    ratio = latency.ratio
    return (
        f"{1e3 * latency.before:.2f} ms before, {1e3 * latency.after:.2f} ms now: "
        f"{ratio.median:.2f} of the time ({ratio.low:.2f} to {ratio.high:.2f}, "
        f"{counted(ratio.n_rounds, 'round')})"
    )


def proven(result: OptimizeResult) -> str:
    """What was found equal, in one sentence."""
    held = result.held
    layers = "every layer gives what PRelu gives (==)" if held.layer else (
        f"layers are up to {held.max_ulps} ulp from PRelu"
    )  # fmt: skip
    bits = "the same bits at every output" if held.bitwise else "outputs of other bits"
    special = "the same" if held.special else "not the same everywhere"
    return (
        f"verified: {layers}, {bits} on {counted(held.n_inputs, 'input')}, infinities and NaN "
        f"{special}"
    )
