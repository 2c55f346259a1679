"""Write the PRelu nodes of a model so that a runtime reads them correctly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.layout import Permutation, compose, inverse
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.metadata import AXES, stated_axes
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.passes.lowering import drop_slopes, put_nodes
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.writing import Draft, Tensors
from prelu_tools.graph.passes.writing import write as write_form
from prelu_tools.graph.targets.slope_shapes import Plan, answer_of, plan_for
from prelu_tools.graph.view import GraphView, all_views


@dataclass(frozen=True)
class Fitted:
    """The change to one call of a layer."""

    layer: str
    """The layer's name."""
    before: tuple[int, ...]
    """The shape of its slopes as they were written."""
    plan: Plan | None
    """How it is written now; None if it stays as it was."""
    is_refused: bool = False
    """Whether the runtime leaves it to another one; otherwise, without a plan, nothing is known."""


@dataclass(frozen=True)
class _Edit:
    view: GraphView
    match: Match
    plan: Plan


def fitted(
    model: OnnxModel, runtime: str, name: str, may_refuse: bool = False
) -> tuple[OnnxModel, tuple[Fitted, ...]]:
    """A copy of a model whose PRelu nodes a runtime reads correctly.

    Args:
        model: every PReLU is a PRelu node; others stay as they are.
        runtime: one of the table of slope shapes.
        name: the user's name for it.
        may_refuse: whether a runtime that refuses a node leaves it to another one.

    Returns:
        The copy, and what was changed or could not be looked up.

    Raises:
        PReLUToolsError: it reads a layer wrong, however that is written.
    """
    views = list(all_views(model))
    edits: list[_Edit] = []
    found: list[Fitted] = []
    for located in locate_layers(views):
        for view, match in located.calls:
            if match.form != "prelu":
                continue
            shape, before = view.shape(match.x), match.slopes.shape
            answer = None if shape is None else answer_of(runtime, shape, before)
            if answer == "right":
                continue
            plan = None if shape is None else plan_for(runtime, shape, before)
            if plan is not None:
                edits.append(_Edit(view, match, plan))
            elif answer == "wrong" or (answer == "refused" and not may_refuse):
                raise PReLUToolsError(_nothing(located.layer.name, shape, before, name))
            refused = plan is None and answer == "refused"
            found.append(Fitted(located.layer.name, tuple(before), plan, refused))
    copy = views[0].model
    _write(copy, edits)
    return copy, tuple(found)


def _nothing(layer: str, shape: Shape | None, slope: Sequence[int], name: str) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in shape or ())
    return (
        f"{name} misreads {layer}, slopes {list(slope)} on an input of [{sizes}], in every way of "
        "writing it that was measured (docs/runtimes.md): train it with other shared axes, or "
        "leave --target out"
    )


def _write(model: OnnxModel, edits: Sequence[_Edit]) -> None:
    """Replace the nodes as planned, in place."""
    main = model.proto.graph
    drop_slopes(main, [edit.match.node for edit in edits])
    tensors = Tensors(main)
    put_nodes(main, [(e.view, e.match.node, write(e.match, e.plan, tensors)) for e in edits])
    prune_model(model)


def write(match: Match, plan: Plan, tensors: Tensors) -> list[onnx.NodeProto]:
    """The nodes of one PReLU, written as planned.

    Args:
        match: its PRelu node.
        plan: how.
        tensors: where slopes go.
    """
    if plan.way == "transpose":
        return _moved(match, plan, tensors)
    draft = Draft(match.node, match.slopes.reshape(plan.slope), match.parameter, tensors)
    write_form(draft, "relu_neg" if plan.way == "relu" else "prelu")
    return draft.nodes


def _moved(match: Match, plan: Plan, tensors: Tensors) -> list[onnx.NodeProto]:
    """PRelu with the last axis on axis 1; its name and what it states stay with the PRelu."""
    node, rank = match.node, plan.rank
    perm: Permutation = (0, rank - 1, *range(1, rank - 1))
    names = [tensors.free(f"{node.output[0]}/{role}") for role in ("moved", "prelu")]
    before = helper.make_node("Transpose", [match.x], names[:1], names[0], perm=perm)
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    inner.output[0] = names[1]
    axes = stated_axes(node)
    if axes is not None and len(axes) == rank:
        entry = next(one for one in inner.metadata_props if one.key == AXES)
        entry.value = ",".join(map(str, compose(perm, axes)))
    slopes = np.ascontiguousarray(match.slopes).reshape(plan.slope)
    draft = Draft(inner, slopes, match.parameter, tensors)
    draft.x = names[0]
    write_form(draft, "prelu")
    after = helper.make_node(
        "Transpose", names[1:], [node.output[0]], f"{names[1]}/back", perm=inverse(perm)
    )
    return [before, *draft.nodes, after]
