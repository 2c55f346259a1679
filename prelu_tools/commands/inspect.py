"""Show the slopes of one model."""

from __future__ import annotations

from prelu_tools.backends.interface import Source, SourceOptions
from prelu_tools.backends.registry import open_source
from prelu_tools.core.inspection import Finding, InspectResult, LayerReport
from prelu_tools.core.slopes import PReLULayer
from prelu_tools.core.statistics import slope_health, slope_statistics


def inspect_source(text: str, options: SourceOptions) -> InspectResult:
    """Open a source and describe its PReLU layers.

    Raises:
        PReLUToolsError: the source cannot be read.
    """
    return inspect_opened(open_source(text, options))


def inspect_opened(source: Source) -> InspectResult:
    """Describe the PReLU layers of a source that is open."""
    layers = source.layers()
    findings = [] if layers else [_no_prelu(source.spelled)]
    return InspectResult(
        path=source.spelled,
        format=source.framework,
        opset=getattr(source, "opset", None),
        producer=source.producer,
        n_parameters=source.n_parameters,
        layers=tuple(_report(layer) for layer in layers),
        findings=tuple(findings),
    )


def _report(layer: PReLULayer) -> LayerReport:
    findings = []
    if len(layer.nodes) > 1 and not layer.same_instance:
        findings.append(
            Finding(
                "same_values",
                "info",
                f"{len(layer.nodes)} nodes use one initializer; exporters merge initializers of "
                "equal value, so these may be several layers",
                layer.name,
            )
        )
    return LayerReport(
        layer, slope_statistics(layer.slopes), slope_health(layer.slopes), tuple(findings)
    )


def _no_prelu(path: str) -> Finding:
    return Finding(
        "no_prelu",
        "warning",
        f"no PReLU was found in {path}: if it should have some, it lost them, or spells them in a "
        "form that is not known",
    )
