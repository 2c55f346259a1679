"""The report of `export`: what was written, and whether it equals its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from prelu_tools.core.options import InputOption, ModelOutput
from prelu_tools.core.results.export import ExportResult
from prelu_tools.core.results.verification.parity import OutputParity
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.core.rounding.figures import times
from prelu_tools.core.rounding.tolerance import FACTOR
from prelu_tools.reports import Style
from prelu_tools.reports.document import Block, Lines, Name, Section, Text, Word
from prelu_tools.reports.sentences import equality, plain_notes, reached, warning_lines
from prelu_tools.reports.views import verify
from prelu_tools.reports.words import counted


def view(result: ExportResult, style: Style) -> Section:
    """The document of a file that was written."""
    headline = (
        f"{result.n_bytes:,} bytes, opset {result.opset}, {counted(result.n_nodes, 'node')}, "
        f"converted with {result.route};\n{_layers(result)}"
    )
    title = (Name(result.source), " -> ", Name(result.path))
    warnings = warning_lines(result.warnings)
    return Section(title, tuple(_blocks(result, style)), headline=headline, warnings=warnings)


def _blocks(result: ExportResult, style: Style) -> Iterator[Block]:
    lines: list[Text] = list(_interface(result.inputs, result.outputs))
    if result.data_path is not None:
        lines.append(("weights in ", Name(result.data_path), f", {result.n_data_bytes:,} bytes"))
    lines += [f"{route.route} rejected it: {route.reason}" for route in result.refused]
    lines += plain_notes(result.notes, "")
    checked = result.verification
    if checked is None:
        yield Lines.of((*lines, (Word("not verified", "warning"),)))
        return
    # A library may show an export that failed; the command stops before there is a result.
    lines += [_held(checked)] if checked.verdict == "pass" else []
    yield Lines.of((*lines, reached(checked)))
    yield as_details(checked, style)


def _interface(inputs: Sequence[InputOption], outputs: Sequence[ModelOutput]) -> Iterator[Text]:
    """The inputs as `--input` has them, with what is dynamic, and the outputs likewise."""
    words: dict[str, Sequence[InputOption | ModelOutput]] = {"input": inputs, "output": outputs}
    heads = {word: f"{word}{'s' if len(of) > 1 else ''}" for word, of in words.items() if of}
    width = max(map(len, heads.values()), default=0) + 2
    for word, head in heads.items():
        shown: list[str] = [f"{head:{width}}"]
        for number, one in enumerate(words[word]):
            shown += [", " if number else "", Name(one.text), f" {one.dtype}"]
        yield (*shown, *(_free(inputs) if word == "input" else ()))


def _free(inputs: Sequence[InputOption]) -> tuple[str, ...]:
    free = dict.fromkeys(size for one in inputs for size in one.shape if isinstance(size, str))
    return ("; dynamic: ", Name(", ".join(free))) if free else ("; fixed sizes",)


def as_details(checked: VerifyResult, style: Style) -> Section:
    """The verification of what was written, folded; its inputs and warnings are said outside."""
    found = verify.view(checked, style)
    return replace(found, title="Verification", headline="", warnings=(), folded=True)


def _layers(result: ExportResult) -> str:
    """How many layers there are, and how they are written."""
    layers = counted(len(result.layers), "PReLU layer")
    if result.optimized is None:
        n_calls = sum(len(layer.nodes) for layer in result.layers)
        return f"{layers} in {counted(n_calls, 'PRelu node')}"
    forms = Counter(layer.form for layer in result.layers)
    return f"{layers} as {', '.join(f'{form} ({n:,})' for form, n in forms.most_common())}"


def _held(result: VerifyResult) -> Text:
    """A verification that passed, in a line."""
    outputs = [output for report in result.candidates for output in report.outputs]
    layers = [x for report in result.candidates for x in report.layers if x.slopes_equal]
    said = f": {counted(len(outputs), 'output')} {_within(outputs)}"
    if layers:
        how = next(map(equality, result.candidates), "equal bit for bit")
        said += f", slopes of {counted(len(layers), 'layer')} {how}"
    return (Word("verified", "pass"), said)


def _within(outputs: Sequence[OutputParity]) -> str:
    """How near they are, in units of the model's own rounding if that is known."""
    shares = [output.worst_of_rounding for output in outputs]
    known = [share for share in shares if share is not None]
    if known and len(known) == len(shares):
        if not any(output.max_abs_diff for output in outputs):
            return "identical" if len(outputs) == 1 else "all identical"
        return f"within {times(max(known))} the model's own rounding error (limit {FACTOR:g}x)"
    worst = max((output.max_abs_diff for output in outputs), default=0.0)
    return f"within {worst:.1e} of the source's"
