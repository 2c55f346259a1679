"""Metadata about PReLU layers in an exported model, where Netron shows it."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from prelu_tools.core.prelu.layout import BoundaryAxes, Permutation

PREFIX = "prelu_tools."
LAYER = f"{PREFIX}layer"
PARAMETER = f"{PREFIX}parameter"
AXES = f"{PREFIX}axes"
SHARING = f"{PREFIX}sharing"
SOURCE = f"{PREFIX}source"
SOURCE_HASH = f"{PREFIX}source_sha256"
WEIGHTS_HASH = f"{PREFIX}weights_sha256"
SLOPE_NAME = f"{PREFIX}slope_name"
SLOPE_SHAPE = f"{PREFIX}slope_shape"
EXAMPLES = f"{PREFIX}example_inputs"
OPTIONS = f"{PREFIX}options"
INPUT_AXES = f"{PREFIX}input_axes"
OUTPUT_AXES = f"{PREFIX}output_axes"
NEGATED = "/negated"
"""Ends the name of a tensor that holds minus the slopes which the rest of its name names."""
TORCH_SCOPES = "pkg.torch.onnx.name_scopes"
TOOL = "prelu-tools"
_LONGEST = 10_000  # characters of a list of module names
_MOST_DIGITS = 18
_MOST_AXES = 64  # numpy's limit


def describe_layer(
    node: onnx.NodeProto,
    layer: str,
    parameter: str,
    axes: tuple[int, ...] | None,
    sharing: str | None = None,
) -> None:
    """Replace a PRelu node's metadata with the source's names and the moves of its axes.

    Args:
        node: the node.
        layer: the layer's name in the source.
        parameter: the slope tensor's name in the source.
        axes: node input = transpose(source input, axes), as far as the slopes show; None if
            unknown.
        sharing: who shares a slope (`core.prelu.slopes.Sharing`); None to say nothing of it.
    """
    del node.metadata_props[:]
    node.metadata_props.add(key=LAYER, value=layer)
    node.metadata_props.add(key=PARAMETER, value=parameter)
    if axes is not None:
        node.metadata_props.add(key=AXES, value=",".join(map(str, axes)))
    if sharing is not None:
        node.metadata_props.add(key=SHARING, value=sharing)


def stated_axes(node: onnx.NodeProto) -> tuple[int, ...] | None:
    """The axes that `describe_layer` wrote; None if there are none, or no permutation."""
    parts = properties(node).get(AXES, "").split(",")
    if len(parts) > _MOST_AXES or not all(map(_is_whole, parts)):
        return None
    axes = tuple(map(int, parts))
    return axes if _is_order(axes) else None


def state_boundary(axes: BoundaryAxes) -> dict[str, str]:
    """The properties that say how inputs and outputs were moved from the source's axes."""
    sides = {INPUT_AXES: axes.inputs, OUTPUT_AXES: axes.outputs}
    return {key: json.dumps(orders, sort_keys=True) for key, orders in sides.items() if orders}


def stated_boundary(model: onnx.ModelProto) -> BoundaryAxes:
    """The axes that `state_boundary` wrote, without what is no permutation."""
    known = properties(model)
    return BoundaryAxes(*(_orders(known.get(key, "")) for key in (INPUT_AXES, OUTPUT_AXES)))


def _orders(text: str) -> dict[str, Permutation]:
    found = _object(text)
    return {
        name: tuple(axes)
        for name, axes in found.items()
        if isinstance(axes, list) and len(axes) <= _MOST_AXES and _is_order(axes)
    }


def _is_order(axes: Sequence[Any]) -> bool:
    return all(type(axis) is int for axis in axes) and sorted(axes) == list(range(len(axes)))


def stated_slopes(node: onnx.NodeProto) -> tuple[str, tuple[int, ...]] | None:
    """The name and shape of slopes that a node has no tensor for; None if it says nothing.

    A LeakyRelu, Relu or Identity that `optimize` put in the place of a PRelu whose slopes are all
    equal is still that layer.
    """
    known = properties(node)
    sizes = known.get(SLOPE_SHAPE, "").split(",")
    if SLOPE_NAME not in known or len(sizes) > _MOST_AXES or not all(map(_is_whole, sizes)):
        return None
    shape = tuple(map(int, sizes))
    return (known[SLOPE_NAME], shape) if all(shape) else None


def state_examples(sizes: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The property that says at which sizes a model's inputs are used, where they are dynamic."""
    return {EXAMPLES: json.dumps({name: list(s) for name, s in sizes.items()})} if sizes else {}


def state_options(options: Mapping[str, Any]) -> dict[str, str]:
    """The property that says with which options a source was read and checked, by their keys."""
    return {OPTIONS: json.dumps(options, sort_keys=True)} if options else {}


def stated_options(model: onnx.ModelProto) -> dict[str, Any]:
    """The options by key that `state_options` wrote, their values unchecked; none if unreadable."""
    return _object(properties(model).get(OPTIONS, ""))


def stated_source(model: onnx.ModelProto) -> tuple[str, str]:
    """The source that a model was exported from, and a hash; "" if it says none.

    The hash is that of the source's file; where it has none, that of the model's weights.
    """
    known = properties(model)
    text = known.get(SOURCE, "")
    sha256 = known.get(SOURCE_HASH) or known.get(WEIGHTS_HASH, "")
    return (text if len(text) < _LONGEST else ""), sha256


def stated_examples(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The sizes by input that `state_examples` wrote; none where that cannot be read."""
    found = _object(properties(model).get(EXAMPLES, ""))
    return {name: tuple(sizes) for name, sizes in found.items() if _are_sizes(sizes)}


def _object(text: str) -> dict[str, Any]:
    """A JSON object; empty if the text is none."""
    try:
        found = json.loads(text) if len(text) < _LONGEST else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _are_sizes(sizes: object) -> bool:
    return isinstance(sizes, list) and all(type(size) is int and size > 0 for size in sizes)


def _is_whole(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def properties(of: onnx.NodeProto | onnx.ModelProto) -> dict[str, str]:
    """The metadata of a node or a model."""
    return {entry.key: entry.value for entry in of.metadata_props}


def module_scope(text: str) -> str:
    """The module that torch's exporter saw a node in; "" for the root, or where it says nothing."""
    try:
        scopes = ast.literal_eval(text) if 0 < len(text) < _LONGEST else ()
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # nested without end
        return ""
    return str(scopes[-2]) if isinstance(scopes, list) and len(scopes) > 1 else ""
