"""Separate the PReLUs that a converter wrote into nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from onnx import helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.passes.canonical import fuse_prelus
from prelu_tools.graph.walk import all_nodes


def spell_out(
    model: OnnxModel,
    tags: TagBook,
    learned: Collection[float],
    shown: Sequence[tuple[Array, Array]] = (),
) -> None:
    """One PRelu node for every PReLU; one LeakyRelu where the slope is a number of the code.

    Slopes that are known by their values alone get their tags. A number that is learned is a
    slope that was not seen in the source: its node stays, for verification to find.

    Args:
        model: a converter's output, with tags for slopes.
        tags: the tags.
        learned: the values of parameters and buffers that are one number throughout.
        shown: slopes that the graph shows as they are, and the tags for them.
    """

    def is_of_the_code(slopes: Array) -> bool:
        first = slopes.flat[0] if slopes.size else np.nan
        return bool((slopes == first).all()) and float(first) not in learned

    def tags_of(slopes: Array) -> Array | None:
        return next((made for own, made in shown if _are_equal(own, slopes)), None)

    def wanted(match: Match) -> bool:
        is_known = tags.find(match.slopes) is not None or tags_of(match.slopes) is not None
        return is_known or is_of_the_code(match.slopes)

    fuse_prelus(model, wanted)
    tensors = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    for node in all_nodes(model.proto.graph.node):
        if node.op_type != "PRelu" or node.input[1] not in tensors:
            continue
        slopes = model.values(tensors[node.input[1]])
        made = tags_of(slopes)
        if made is not None:
            node.input[1] = f"{node.input[1]}/tags"
            if node.input[1] not in tensors:
                tensor = model.tensor(node.input[1], made.reshape(slopes.shape))
                model.proto.graph.initializer.append(tensor)
                tensors[tensor.name] = tensor
        elif tags.find(slopes) is None and is_of_the_code(slopes):
            node.op_type = "LeakyRelu"
            del node.input[1:]
            node.attribute.append(helper.make_attribute("alpha", float(slopes.flat[0])))


def _are_equal(left: Array, right: Array) -> bool:
    return np.array_equal(np.squeeze(left), np.squeeze(right))
