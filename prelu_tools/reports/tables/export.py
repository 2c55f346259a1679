"""What `export` wrote, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from prelu_tools.core.results.export import ExportResult
from prelu_tools.core.results.verification import OutputParity, VerifyResult
from prelu_tools.reports.facts import reached, times
from prelu_tools.reports.tables.parts import COLOURS, counted


def export_text(result: ExportResult) -> RenderableType:
    """What was written, and whether it held."""
    title = Text(f"{result.source} -> {result.path}", style="bold")
    title.append(
        f"\n{result.n_bytes:,} bytes, opset {result.opset}, {counted(result.n_nodes, 'node')}, "
        f"by {result.route}\n{layer_words(result)}",
        style="not bold",
    )
    if result.data_path is not None:
        title.append(
            f"\nweights in {result.data_path}, {result.n_data_bytes:,} bytes", style="not bold"
        )
    parts: list[RenderableType] = [title]
    parts += [Text(f"{route.route} refused it: {route.reason}") for route in result.refused]
    parts += [Text(note) for note in result.notes]
    checked = result.verification
    parts.append(Text("not verified", style="yellow") if checked is None else _held(checked))
    return Group(*parts)


def layer_words(result: ExportResult) -> str:
    """How many layers there are, and how they are written."""
    layers = counted(len(result.layers), "PReLU layer")
    if result.optimized is None:
        n_calls = sum(len(layer.nodes) for layer in result.layers)
        return f"{layers} in {counted(n_calls, 'PRelu node')}"
    forms = Counter(layer.form for layer in result.layers)
    return f"{layers} as {', '.join(f'{form} ({n})' for form, n in forms.most_common())}"


def _held(result: VerifyResult) -> Text:
    """A verification that passed, in two lines."""
    outputs = [output for report in result.candidates for output in report.outputs]
    layers = [x for report in result.candidates for x in report.layers if x.slopes_equal]
    text = Text("verified: ", style=COLOURS[result.verdict])
    text.append(
        f"{counted(len(outputs), 'output')} within {_within(outputs)}, "
        f"slopes of {counted(len(layers), 'layer')} equal bit for bit",
        style="default",
    )
    return text.append(f"\n{reached(result)}", style="default")


def _within(outputs: Sequence[OutputParity]) -> str:
    """How near they are, in units of the model's own rounding where that is known."""
    shares = [output.worst_of_rounding for output in outputs]
    known = [share for share in shares if share is not None]
    if known and len(known) == len(shares):
        return f"{times(max(known))} the model's own rounding"
    worst = max((output.max_abs_diff for output in outputs), default=0.0)
    return f"{worst:.1e} of the source's"
