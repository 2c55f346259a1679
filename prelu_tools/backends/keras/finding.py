"""Find the PReLU that layers with other variables too hold inside: in the graph of the model.

A layer whose one variable is its slopes is asked (`watch.py`). Of the others every variable that
may be slopes is tagged, and the graph converted: where a form of PReLU has tags for its slopes, it
says which variable that is, how it is laid over the input, and which tensors to watch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from prelu_tools.backends.calls import PReLUCall
from prelu_tools.backends.keras.convert import constants_of, to_onnx
from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.program import Program, Tap, Weight
from prelu_tools.backends.keras.running import as_written
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.slopes import align
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.model import OnnxModel
from prelu_tools.graph.recognise import Match, find_prelus
from prelu_tools.graph.view import GraphView

_OPSET = 18
_ENTRY = "prelu_tools/x"
_PASSING = ("Identity", "Neg", "Reshape", "ExpandDims", "Squeeze", "BroadcastTo", "Transpose",
            "Cast", "Sub", "AddV2", "Add", "RealDiv", "StridedSlice", "Pack")  # fmt: skip
_USING = ("Mul", "Maximum", "LeakyRelu", "DepthwiseConv2dNative")


class Found(NamedTuple):
    """A call that was found in the graph."""

    call: PReLUCall
    """What it is."""
    tap: Tap
    """Where it is."""


def find_inside(program: Program, candidates: Iterable[Weight], show: bool) -> list[Found]:
    """The PReLU calls whose slopes are among these variables, in the order of the graph.

    Raises:
        PReLUToolsError: the model cannot be converted.
    """
    weights = {weight.name: weight for weight in candidates if _multiplies(program, weight)}
    if not weights:
        return []
    tags = TagBook()
    tagged_weights = {name: tags.tag(name, weight.shape) for name, weight in weights.items()}
    constants = constants_of(program, tagged_weights)
    with quiet(show, logger="tf2onnx"):
        view = GraphView(OnnxModel(to_onnx(program, constants, _OPSET), None))
    places = {name: place for place, name in enumerate(program.nodes)}
    found = []
    for match in find_prelus(view):
        tagged = tags.find(match.slopes)
        x, y = _source_of(program, match), match.node.output[0]
        if tagged is None or tagged.sign != 1 or match.order is not None:
            continue
        if x is None or y.partition(":")[0] not in places:
            continue
        weight, shape = weights[tagged.key], view.shape(match.x)
        rank = len(shape) if shape else None
        call = PReLUCall(
            layer=weight.layer,
            parameter=weight.name,
            kind=match.form,
            values=weight.read(),
            indices=align(tagged.indices, rank),
            input_shape=(None, *shape[1:]) if shape else (None,),
            preceding_parameters=_others(program, weight, weights),
            apply=partial(_apply, program, x, y),
        )
        found.append((places[y.partition(":")[0]], Found(call, Tap(weight.name, x, y))))
    return _named([item for _, item in sorted(found, key=lambda pair: pair[0])])


def _source_of(program: Program, match: Match) -> str | None:
    """The input of a match in the graph: tf2onnx names a tensor that it moved in another way."""
    for node in match.nodes:
        original = program.nodes.get(node.name)
        for place, name in enumerate(node.input):
            if name == match.x and original is not None and place < len(original.input):
                read: str = original.input[place]
                return read if ":" in read else f"{read}:0"
    return None


def _multiplies(program: Program, weight: Weight) -> bool:
    """Whether a variable, moved and turned, ends up as a factor: no kernel or bias does."""
    names, users = {weight.tensor.partition(":")[0]}, program.users
    stack = list(names)
    while stack:
        for node in users.get(stack.pop(), ()):
            if node.op in _USING:
                return True
            if node.op in _PASSING and node.name not in names:
                names.add(node.name)
                stack.append(node.name)
    return False


def _others(program: Program, weight: Weight, slopes: Iterable[str]) -> int | None:
    sizes = [
        int(np.prod(other.shape))
        for other in program.weights
        if other.layer == weight.layer and other.name not in slopes
    ]
    return sum(sizes) or None


def _named(found: Sequence[Found]) -> list[Found]:
    """A layer with several slopes has each of them called by its own name."""
    owned: dict[str, set[str]] = {}
    for item in found:
        owned.setdefault(item.call.layer, set()).add(item.call.parameter)
    return [
        item._replace(call=replace(item.call, layer=_own_name(item.call)))
        if len(owned[item.call.layer]) > 1 or not item.call.layer
        else item
        for item in found
    ]


def _own_name(call: PReLUCall) -> str:
    return f"{call.layer}/{call.parameter.rpartition('/')[2]}".lstrip("/")


def _apply(program: Program, x: str, y: str, values: Array) -> Array:
    """What the graph makes of an input of one PReLU.

    Raises:
        PReLUToolsError: TensorFlow does not run it.
    """
    definition = type(program.definition).FromString(program.definition.SerializeToString())
    for node in definition.node:
        for place, name in enumerate(node.input):
            if name in (x, x.removesuffix(":0")):
                node.input[place] = _ENTRY
    entry = definition.node.add(name=_ENTRY, op="Placeholder")
    entry.attr["dtype"].type = tf.as_dtype(values.dtype).as_datatype_enum
    entry.attr["shape"].shape.unknown_rank = True
    try:
        with quiet(show=False), as_written():
            function: Any = program.function([f"{_ENTRY}:0"], [y], definition)
            (result,) = function(*program.tensors([values]))
    except Exception as error:
        raise PReLUToolsError(
            f"the PReLU at {y} cannot be called by itself ({type(error).__name__})"
        ) from error
    return np.asarray(result)
