"""Findings in the order in which they matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prelu_tools.core.results.inspection import Finding, Severity
from prelu_tools.reports.document import Block, Lines, Name, Text, Word

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The worst first."""


def by_severity(findings: Iterable[Finding]) -> tuple[tuple[Finding, tuple[str, ...]], ...]:
    """The worst first, each once with the layers that it is about; within a severity as given."""
    layers: dict[tuple[str, str, str], list[str]] = {}
    first: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.severity, finding.code, finding.message)
        first.setdefault(key, finding)
        names = layers.setdefault(key, [])
        if finding.layer is not None:
            names.append(finding.layer)
    order = sorted(first, key=lambda key: SEVERITIES.index(first[key].severity))
    return tuple((first[key], tuple(layers[key])) for key in order)


def sentences(findings: Iterable[Finding], all_layers: Sequence[str]) -> tuple[Text, ...]:
    """A sentence for each, in the order in which they matter."""
    return tuple(
        (
            Word(finding.severity),
            f" {finding.code}",
            *((" in ", *named(layers, all_layers)) if layers else ()),
            f": {finding.message}",
        )
        for finding, layers in by_severity(findings)
    )


def in_words(
    words: Mapping[str, Sequence[str]], meanings: Mapping[str, str], findings: Iterable[Finding]
) -> Block:
    """What the slopes of each layer are like: neither good nor bad, and no finding.

    Args:
        words: those of `slope_health` and of trends, by layer.
        meanings: what they mean; a log may have words of another version.
        findings: what is said elsewhere, by code: it is not said again.
    """
    said = {(one.layer, one.code) for one in findings}
    layers: dict[str, list[str]] = {}
    for layer, own in words.items():
        for word in own:
            if (layer, word) not in said:
                layers.setdefault(word, []).append(layer)
    lines = (
        (f"{meanings[word]} ({word})" if word in meanings else word, ": ", *named(those, [*words]))
        for word, those in layers.items()
    )
    return Lines.of(lines, "Slope summary:")


def named(layers: Sequence[str], all_layers: Sequence[str]) -> tuple[str, ...]:
    """The layers as `which` says them, with their names marked."""
    text = which(layers, all_layers)
    if text.startswith("all layers"):
        return (text,)
    return tuple(part for name in layers for part in (Name(name), ", "))[:-1]


def which(layers: Sequence[str], all_layers: Sequence[str]) -> str:
    """The layers by name; "all layers", or all but a few, where that is shorter to read."""
    if len(layers) == len(all_layers) > 1:
        return "all layers"
    rest = [name for name in all_layers if name not in set(layers)]
    if len(layers) > 6 and 0 < len(rest) <= 3:
        return f"all layers but {', '.join(rest)}"
    return ", ".join(layers)
