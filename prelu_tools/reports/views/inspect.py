"""The report of `inspect` on one model: its layers, their health, and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prelu_tools.core.prelu.statistics import SlopeStatistics
from prelu_tools.core.results.inspection import InspectResult, LayerReport, LayerUsage
from prelu_tools.reports import Style
from prelu_tools.reports.document import (
    Block,
    Cell,
    Column,
    Facts,
    Lines,
    Name,
    Section,
    Share,
    Slopes,
    Table,
)
from prelu_tools.reports.findings import in_words, sentences
from prelu_tools.reports.words import counted, n_slopes, number, origin, percentage, shape, share

_SHARING = {
    "channel-shared": "shared",
    "channel-wise": "per channel",
    "element-wise": "per element",
    "partial": "partial",
}
_UNSEEN = "not observed"
_ADDS = "slopes as a percentage of the parameters of the preceding layer"
MEANING = {
    "at_init": "all slopes have their initial value",
    "relu_like": "all slopes near 0",
    "identity_like": "all slopes near 1",
    "leaky": "all slopes between 0 and 1",
    "sign_flipping": "some slopes below 0",
    "expansive": "some slopes above 1",
    "uniform": "all slopes equal",
    "non_finite": "NaN or infinite slopes",
}
"""What the words of `slope_health` mean."""
NUMBERS = ("count", "mean", "std", "min", "max", "<0", ">1")
"""Columns for what `numbers` says of slopes."""


def view(result: InspectResult, style: Style) -> Section:
    """The document of one model."""
    names = [report.layer.name for report in result.layers]
    general = [one for one in result.all_findings if one.layer is None and one.severity == "info"]
    found = [one for one in result.all_findings if one not in general]
    return Section(
        (Name(result.path),),
        (*_layers(result), *_more(result, style)),
        headline=_headline(result),
        reasons=sentences(found, names),
        remarks=sentences(general, names),
    )


def _headline(result: InspectResult) -> str:
    """The kind of model, and how many activations of which kind it has."""
    others = Counter(other.operator for other in result.others)
    return (
        f"{origin(result)}; {result.n_parameters:,} parameters;\n{n_slopes(result)}"
        f"{''.join(f', {count:,} {operator}' for operator, count in sorted(others.items()))}"
    )


def _layers(result: InspectResult) -> Iterator[Block]:
    if result.notes:
        yield Lines(result.notes)
    if not result.layers:
        return
    used = any(report.usage for report in result.layers)
    tables = (_slopes(result), _usage(result.layers)) if used else (_slopes(result),)
    yield Slopes(tables, result.layers)
    words = {report.layer.name: report.health for report in result.layers}
    yield in_words(words, MEANING, result.all_findings)


def _more(result: InspectResult, style: Style) -> Iterator[Block]:
    if style.slopes:
        yield Facts(tuple((report.layer.name, _values(report)) for report in result.layers))
    if result.others:
        columns = (Column("not learned", "name"), Column("operator", "text"), Column("slope"))
        rows = tuple((Name(one.name), one.operator, f"{one.slope:g}") for one in result.others)
        title = f"{counted(len(rows), 'activation')} whose slope was not learned"
        yield Section(title, (Table(columns, rows),), folded=not style.others)
    if result.refused:
        lines = tuple((Name(one.node), f" ({one.form}): {one.reason}") for one in result.refused)
        yield Lines(lines, "Resembles PReLU, but is not one:")


def _slopes(result: InspectResult) -> Table:
    columns = (
        Column("layer", "name"),
        Column("form", "text", needed=False),
        Column("sharing", "text"),
        Column("shape", "text", needed=False),
        *(Column(title) for title in NUMBERS),
        Column("adds", meaning=_ADDS, absent="not known"),
    )
    rows = [_row(report) for report in result.layers]
    total = result.statistics
    if total is not None and len(rows) > 1:
        rows.append(("all", "", "", "", *numbers(total), ""))
    return Table(columns, tuple(rows))


def _row(report: LayerReport) -> tuple[Cell, ...]:
    layer = report.layer
    uses = f" (x{len(layer.nodes):,})" if len(layer.nodes) > 1 else ""
    return (
        Name(f"{layer.name}{uses}"),
        layer.form,
        _SHARING[layer.sharing],
        shape(layer.stored_shape),
        *numbers(report.statistics),
        _overhead(layer.overhead_percent),
    )


def numbers(stats: SlopeStatistics) -> tuple[str, ...]:
    """A cell for each of `NUMBERS`."""
    return (
        f"{stats.count:,}",
        *(number(value) for value in (stats.mean, stats.std, stats.min, stats.max)),
        share(stats.n_negative, stats.count),
        share(stats.n_above_one, stats.count),
    )


def _overhead(percent: float | None) -> str:
    """What the slopes add to the parameters of the layer before."""
    if percent is None:
        return "-"
    return f"{percent:.2f}%" if percent < 10 else f"{percent:.0f}%"


def _usage(reports: Sequence[LayerReport]) -> Table:
    """What the data did: the mean over a layer's slopes, those it never used, and their weight."""
    columns = (
        Column("layer", "name"),
        Column(
            "negative values",
            meaning="share of the layer's input that is negative",
            absent=_UNSEEN,
        ),
        Column("slopes", absent=_UNSEEN),
        Column("unused", meaning="slopes that met no negative value", absent=_UNSEEN),
        Column(
            "of output",
            meaning="share of the layer's output, by magnitude, that comes from negative values",
            absent=_UNSEEN,
        ),
    )
    rows = [
        (Name(report.layer.name), *(_used(report.usage) if report.usage else ("-",) * 4))
        for report in reports
    ]
    return Table(columns, tuple(rows))


def _used(usage: LayerUsage) -> tuple[str, ...]:
    shares = usage.negative_share
    mean = float(shares.mean()) if shares.size else float("nan")
    return (
        Share(percentage(mean), mean),
        f"{shares.size:,}",
        f"{len(usage.unused):,}",
        Share(percentage(usage.output_share), usage.output_share),
    )


def _values(report: LayerReport) -> str:
    return ", ".join(f"{value:.6g}" for value in report.layer.slopes.reshape(-1).tolist())
