"""Everything that `inspect` shows about an ONNX model, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.inspection import Finding, OtherActivation, RefusedForm
from prelu_tools.graph.facts.findings import graph_findings, max_findings, quantizer_finding
from prelu_tools.graph.match.arithmetic import leak_of
from prelu_tools.graph.match.layers import LocatedLayer, locate_layers
from prelu_tools.graph.quantized.noticing import noticed_meaning
from prelu_tools.graph.view import GraphView, all_views

if TYPE_CHECKING:
    from prelu_tools.graph.io.reader import OnnxModel
    from prelu_tools.graph.match.recognise import NearMiss


class Survey(NamedTuple):
    """The content of a model."""

    layers: tuple[LocatedLayer, ...]
    """The PReLU layers, and where they are."""
    layer_findings: tuple[tuple[Finding, ...], ...]
    """Findings about each of them."""
    findings: tuple[Finding, ...]
    """Findings about the model."""
    others: tuple[OtherActivation, ...]
    """LeakyRelu and Relu nodes that are part of no PReLU."""
    refused: tuple[RefusedForm, ...]
    """Near misses; empty unless they were requested."""


def survey(model: OnnxModel, explain: bool, target: str | None) -> Survey:
    """Look at a model.

    Args:
        model: the model; its weights are not read.
        explain: whether to search for near misses.
        target: a name of `graph.targets.forecast.TARGETS` to forecast for; None for none.
    """
    meaning = None
    with suppress(PReLUToolsError):
        meaning = noticed_meaning(model)
    views = list(all_views(model if meaning is None else meaning.model))
    missed: list[NearMiss] = []
    located = locate_layers(views, missed, explain)
    if meaning is not None:
        from prelu_tools.graph.quantized.layers import quantized_layers

        located = quantized_layers(located)
    taken = {name for layer in located for m in layer.matches for n in m.nodes for name in n.output}
    missed = [near for near in missed if near.node.output[0] not in taken]
    findings = list(max_findings(missed))
    if any(match.form == "prelu" for layer in located for match in layer.matches):
        findings.append(quantizer_finding())
    if target is not None:
        from prelu_tools.graph.targets.forecast import forecast_model

        findings += forecast_model(views, target)
    return Survey(
        layers=located,
        layer_findings=tuple(_findings(layer, target) for layer in located),
        findings=tuple(findings),
        others=tuple(other for view in views for other in _others(view, taken)),
        refused=tuple(map(_refused, missed)) if explain else (),
    )


def _refused(near: NearMiss) -> RefusedForm:
    return RefusedForm(near.node.name or near.node.output[0], near.form, near.reason)


def _findings(located: LocatedLayer, target: str | None) -> tuple[Finding, ...]:
    found = tuple(graph_findings(located))
    if target is None:
        return found
    from prelu_tools.graph.targets.forecast import forecast

    return (*found, *forecast(located, target))


def _others(view: GraphView, taken: set[str]) -> Iterator[OtherActivation]:
    for node in view.graph.node:
        leak = leak_of(node)
        if leak is not None and node.output[0] not in taken:
            yield OtherActivation(node.name or node.output[0], node.op_type, leak)
