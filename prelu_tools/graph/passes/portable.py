"""An ONNX file in canonical form: one PRelu node per call, without Transposes around it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.prelu.slopes import SlopeParameter
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.copies.carrying import path_of
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.layers import (
    LocatedLayer,
    is_generated,
    laid_for,
    locate_layers,
    name_of_operation,
)
from prelu_tools.graph.passes.canonical import replace_by_prelu, settle_slopes
from prelu_tools.graph.passes.cleaning.sinking import cancel_transposes
from prelu_tools.graph.passes.prune import prune_model, unlist_weights
from prelu_tools.graph.view import all_views


@dataclass(frozen=True)
class Canonical:
    """A model whose PReLU are PRelu nodes, tags (`core/prelu/tags.py`) in place of their slopes."""

    model: OnnxModel
    """A copy of the original, functions inlined."""
    tags: TagBook
    """The meaning of the tags."""
    parameters: Mapping[str, SlopeParameter]
    """The slope tensors by their key in `tags`."""
    n_hidden: int
    """PReLU calls in bodies that cannot be observed as they run (`graph/copies/carrying.py`)."""


def canonical(model: OnnxModel, hidden: bool = True) -> Canonical:
    """Fuse every PReLU of a model, those in bodies and in local functions included.

    Args:
        model: the model.
        hidden: whether those in bodies that cannot be observed count, or stay as they are.
    """
    proto = deepcopy(model.proto)
    unlist_weights(proto)
    views = list(all_views(OnnxModel(proto, model.file, dict(model.memory))))
    copy, graph = views[0].model, views[0].graph
    tags, parameters, n_hidden = TagBook(), dict[str, SlopeParameter](), 0
    names = set[str]()
    for located in locate_layers(views):
        calls = [call for call in located.calls if hidden or path_of(call[0]) is not None]
        if not calls:
            continue
        slope = _slope(located, len(calls), names)
        key = located.layer.name
        parameters[key] = slope
        tagged = tags.tag(key, slope.values.shape)
        for number, (view, match) in enumerate(calls):
            name = f"prelu_tools/tag_{len(parameters)}_{number}"
            laid = laid_for(match, located.matches[0], tagged)
            graph.initializer.append(copy.tensor(name, laid))
            replace_by_prelu(view.graph, match, name)
            n_hidden += path_of(view) is None
    prune_model(copy)
    cancel_transposes(copy)
    return Canonical(copy, tags, parameters, n_hidden)


def to_portable(model: OnnxModel, hidden: bool = True) -> OnnxModel:
    """A copy of a model in which every PReLU, whatever its form, is one PRelu node a call.

    Large weights stay where they are: the copy refers to them as the model does.

    Args:
        model: the model.
        hidden: see `canonical`.

    Raises:
        PReLUToolsError: a tensor that is needed cannot be read.
    """
    found = canonical(model, hidden)
    settle_slopes(found.model, found.tags, found.parameters)
    return found.model


def _slope(located: LocatedLayer, n_calls: int, taken: set[str]) -> SlopeParameter:
    layer = located.layer
    values = layer.slopes
    indices = np.arange(values.size).reshape(values.shape)
    if layer.axes is not None and len(layer.axes) == indices.ndim:
        indices = indices.transpose(inverse(layer.axes))
    stored = layer.parameter or located.matches[0].parameter
    if layer.parameter is None and (is_generated(stored) or name_of_operation(stored)):
        stored = ""
    name = stored if stored and stored not in taken else f"{layer.name}/slope"
    taken.add(name)
    return SlopeParameter(layer.name, name, np.asarray(values), indices, n_calls)
