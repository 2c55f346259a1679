"""What each tensor of a graph depends on: nothing, the sizes of the inputs, or their values."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from enum import IntEnum
from typing import Final

import onnx

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.walk import bodies, is_onnx, reads


class Dependence(IntEnum):
    """What the value of a tensor depends on; the larger one wins."""

    CONSTANT = 0
    SIZES = 1
    VALUES = 2


_OF_SIZES: Final = ("Shape", "Size")
Known = MutableMapping[str, Dependence]
"""What each tensor depends on; a tensor that is not in it is a mistake of the graph."""


def dependences(
    graph: onnx.GraphProto, known: Known | None = None
) -> Iterator[tuple[onnx.NodeProto, Known]]:
    """Each node of a graph and of the bodies in it, with what its tensors depend on.

    A node comes before those in its bodies. Values that a loop carries depend on all of its inputs.

    Args:
        graph: the graph; functions count as ordinary nodes.
        known: of the tensors around it, the inputs of a body included; None for a main graph.
    """
    own: Known = {} if known is None else ChainMap({}, known)
    constants = {tensor.name for tensor in graph.initializer}
    own.update(dict.fromkeys(constants, Dependence.CONSTANT))
    if known is None:
        inputs = [value.name for value in graph.input if value.name not in constants]
        own.update(dict.fromkeys(inputs, Dependence.VALUES))
    for node in graph.node:
        given = max((own.get(name, Dependence.CONSTANT) for name in reads(node)),
                    default=Dependence.CONSTANT)  # fmt: skip
        if is_onnx(node, *_OF_SIZES):
            given = min(given, Dependence.SIZES)
        elif node.op_type.startswith(("Random", "Bernoulli", "Multinomial")):
            given = Dependence.VALUES
        own.update(dict.fromkeys(node.output, given))
        yield node, own
        for body in bodies(node):
            inside: Known = ChainMap({}, own)
            inside.update({value.name: given for value in body.input})
            yield from dependences(body, inside)


def output_dependence(model: OnnxModel, output: str) -> Dependence:
    """What an output of a model depends on; functions depend on all of their inputs.

    Raises:
        KeyError: the model has no such output.
    """
    found = {tensor.name: Dependence.CONSTANT for tensor in model.proto.graph.initializer}
    found |= {
        value.name: Dependence.VALUES
        for value in model.proto.graph.input
        if value.name not in found
    }
    for node, known in dependences(model.proto.graph):
        found |= {name: known[name] for name in node.output if name}
    return found[output]
