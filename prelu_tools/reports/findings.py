"""Findings in the order in which they matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prelu_tools.core.results.inspection import Finding, Severity

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


def which(layers: Sequence[str], all_layers: Sequence[str]) -> str:
    """The layers by name; "all layers", or all but a few, where that is shorter to read."""
    if len(layers) == len(all_layers) > 1:
        return "all layers"
    rest = [name for name in all_layers if name not in set(layers)]
    if len(layers) > 6 and 0 < len(rest) <= 3:
        return f"all layers but {', '.join(rest)}"
    return ", ".join(layers)
