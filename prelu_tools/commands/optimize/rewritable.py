"""The places of a model where a PReLU can be written in another form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.running.tapped import TappedSession, taps_of
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.costs import Surroundings, forecast
from prelu_tools.core.prelu.slopes import align
from prelu_tools.core.results.optimization import Exactness
from prelu_tools.graph.facts.blocked import is_blocked
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.passes.lowering import fitting_forms, lowerable


@dataclass(frozen=True)
class RewritableLayer:
    """One layer that can be rewritten."""

    name: str
    """The layer's name."""
    shape: tuple[int, ...] | None
    """Shape of its input as the model ran; None if it was not run."""
    n_slopes: int
    """How many slopes it has."""
    forms: tuple[str, ...]
    """The forms that equal PReLU there, the one that the cost model takes for the fastest first."""
    cost: float
    """Nanoseconds that it takes as a PRelu node, as the cost model has it."""
    kind: tuple[object, ...]
    """The common properties of layers that are timed together."""


def rewritable_layers(
    model: OnnxModel, feeds: Mapping[str, Array] | None, exact: Exactness, runtime: str
) -> tuple[RewritableLayer, ...]:
    """The layers of a model that can be rewritten.

    Args:
        model: every PReLU is a PRelu node.
        feeds: inputs to run it on, for the shapes; None if it cannot be run.
        exact: how equal a form has to be.
        runtime: the version of onnxruntime.

    Raises:
        PReLUToolsError: the model does not run on these inputs.
    """
    located = lowerable(model)
    shapes = _shapes(model, located, feeds) if feeds is not None and located else {}
    if _learn(located, shapes):
        located = lowerable(model)
    return tuple(_spot(item, shapes.get(item.layer.name), exact, runtime) for item in located)


def _shapes(
    model: OnnxModel, located: tuple[LocatedLayer, ...], feeds: Mapping[str, Array]
) -> dict[str, tuple[int, ...]]:
    session = TappedSession(model, taps_of(located), "cpu", "the model with PRelu nodes")
    return {tap.layer: x.shape for tap, x, _ in session.parts(feeds) if tap.number == 0}


def _learn(located: tuple[LocatedLayer, ...], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Keep the ranks that a run shows of inputs whose shapes cannot be inferred, in the model.

    Returns:
        Whether there are any.
    """
    new = False
    for item in located:
        shape = shapes.get(item.layer.name)
        view, match = item.calls[0]
        if shape is None or view.shape(match.x) is not None:
            continue
        kind = onnx.helper.np_dtype_to_tensor_dtype(match.slopes.dtype)
        value = onnx.helper.make_tensor_value_info(match.x, kind, [None] * len(shape))
        view.graph.value_info.append(value)
        new = True
    return new


def _spot(
    item: LocatedLayer, shape: tuple[int, ...] | None, exact: Exactness, runtime: str
) -> RewritableLayer:
    place = _surroundings(item, shape)
    forms = fitting_forms(item, exact.kind == "special", exact.kind == "approximate")
    costs = {form: forecast(form, place, runtime) * len(item.calls) for form in forms}
    ranked = tuple(sorted(costs, key=lambda form: costs[form]))
    kind = (shape, place.blocked, place.by_channel, frozenset(ranked))
    return RewritableLayer(
        item.layer.name, shape, item.layer.slopes.size, ranked, costs["prelu"], kind
    )


def _surroundings(item: LocatedLayer, shape: tuple[int, ...] | None) -> Surroundings:
    view, match = item.calls[0]
    known = shape or tuple(size or 1 for size in item.layer.input_shape or (1,))
    slopes = align(match.slopes, len(known))
    return Surroundings(
        n_elements=int(np.prod(known, dtype=np.int64)),
        n_channels=known[1] if len(known) > 1 else 1,
        blocked=len(known) == 4 and is_blocked(view, match.x),
        by_channel=slopes.ndim == 4 and slopes.size == slopes.shape[1] > 1,
    )
