"""Write each PRelu node of a graph in another form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer, locate_layers
from prelu_tools.graph.passes.prune import prune
from prelu_tools.graph.passes.writing import WRITTEN, Draft, Place, Tensors
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import reads, set_nodes

_NARROW = {"depthwise"}
"""Forms with a convolution, of which onnxruntime has no kernel in float64."""


def lowerable(model: OnnxModel) -> tuple[LocatedLayer, ...]:
    """The layers of a model's main graph whose nodes are all PRelu."""
    found = locate_layers([GraphView(model)])
    return tuple(item for item in found if all(m.form == "prelu" for m in item.matches))


def fitting_forms(item: LocatedLayer, special: bool, rounding: bool) -> Iterator[str]:
    """The forms that can be written in the place of every call of a layer; `prelu` is one.

    Args:
        item: the layer.
        special: whether infinities and NaN have to give what PRelu makes of them.
        rounding: whether a form may round otherwise than PRelu.
    """
    places = [Place(match.slopes, view.shape(match.x)) for view, match in item.calls]
    kinds = {match.slopes.dtype for match in item.matches}
    for name, writing in WRITTEN.items():
        if name != "prelu" and any(kind.kind != "f" for kind in kinds):
            continue  # LeakyRelu, Relu of integers: not in every opset, nor in every runtime
        if name in _NARROW and any(kind.itemsize > 4 for kind in kinds):
            continue
        allowed = (writing.special or not special) and (rounding or not writing.rounds)
        if allowed and all(writing.fits(place) for place in places):
            yield name


def lower(model: OnnxModel, forms: Mapping[str, str]) -> None:
    """Write layers of a model in other forms, in place.

    Args:
        model: every PReLU is a PRelu node (`graph/passes/canonical.py`).
        forms: a form for each layer's name; a layer that is not named stays as it is.

    Raises:
        PReLUToolsError: there is no such layer, or the form does not equal PReLU there.
    """
    layers = {item.layer.name: item for item in lowerable(model)}
    for name, form in forms.items():
        if name not in layers:
            raise PReLUToolsError(
                f"found no PRelu layer {name!r} in the model; it has {', '.join(layers) or 'none'}"
            )
        if form not in fitting_forms(layers[name], special=False, rounding=True):
            raise PReLUToolsError(
                f"{name} cannot be written as {form!r}: expected "
                f"{', '.join(fitting_forms(layers[name], special=False, rounding=True))}"
            )
    graph = model.proto.graph
    calls = [
        (forms[name], match)
        for name in forms
        for _, match in layers[name].calls
        if forms[name] != "prelu"
    ]
    drop_slopes(graph, {match.node.output[0] for _, match in calls})
    tensors = Tensors(graph)
    positions = {node.output[0]: number for number, node in enumerate(graph.node)}
    written = {}
    for form, match in calls:
        draft = Draft(match.node, match.slopes, match.parameter, tensors)
        WRITTEN[form].build(draft)
        written[positions[match.node.output[0]]] = draft.nodes
    nodes = [new for i, old in enumerate(graph.node) for new in written.get(i, [old])]
    set_nodes(graph, nodes)
    prune(graph)


def drop_slopes(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Remove slopes that only these nodes use, so that their names are free for what follows."""
    used = {i for node in graph.node if node.output[0] not in outputs for i in reads(node)}
    used |= {value.name for value in graph.output}
    slopes = {node.input[1] for node in graph.node if node.output[0] in outputs} - used
    kept = [tensor for tensor in graph.initializer if tensor.name not in slopes]
    del graph.initializer[:]
    graph.initializer.extend(kept)
