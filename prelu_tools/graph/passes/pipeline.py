"""The passes that follow a converter, in their order.

A pass is a function that edits a model in place, keeps what it computes (to rounding), leaves it
valid, and finds nothing left to do when it is run again. `tests/properties/test_passes.py` runs
each pass of each pipeline on random nets to see that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.cleaning.convolutions import state_groups, state_output_padding
from prelu_tools.graph.passes.cleaning.folding import (
    fix_reshapes,
    fold_batch_normalization,
    fold_constants,
)
from prelu_tools.graph.passes.cleaning.layouts import drop_idle_casts, drop_idle_reshapes
from prelu_tools.graph.passes.cleaning.narrowing import narrow_convolutions
from prelu_tools.graph.passes.cleaning.sinking import reduce_before_transposing, sink_transposes

GraphPass = Callable[[OnnxModel], None]

AFTER_TF2ONNX: tuple[GraphPass, ...] = (
    fold_constants,
    narrow_convolutions,
    fold_batch_normalization,
    fix_reshapes,
    reduce_before_transposing,
    drop_idle_reshapes,
    state_groups,
    state_output_padding,
)
AFTER_TORCH_OF_KERAS: tuple[GraphPass, ...] = (
    sink_transposes,
    fold_batch_normalization,
    reduce_before_transposing,
)
AFTER_TRACING: tuple[GraphPass, ...] = (drop_idle_casts,)


@dataclass(frozen=True)
class PassResult:
    """The result of one pass."""

    name: str
    """The pass."""
    changed: bool
    """Whether the model is another one now."""


def run_passes(model: OnnxModel, passes: Sequence[GraphPass]) -> tuple[PassResult, ...]:
    """Run passes one after another, in place.

    Returns:
        For each of them, whether it changed the model.
    """
    found = []
    before = _bytes(model)
    for step in passes:
        step(model)
        after = _bytes(model)
        found.append(PassResult(step.__name__, after != before))
        before = after
    return tuple(found)


def _bytes(model: OnnxModel) -> bytes:
    """The skeleton of a model; large weights are not in it."""
    return model.proto.SerializeToString(deterministic=True)
