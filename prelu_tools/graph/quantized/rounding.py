"""Copies of a quantized model's meaning with its rounding put back at random."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.graph.quantized.meaning import Meaning
from prelu_tools.graph.walk import set_nodes


def with_perturbed_weights(meaning: Meaning, seed: int) -> onnx.ModelProto:
    """The model with each quantized weight perturbed at random, by up to half a step either way.

    The largest distance of weights that round to the same codes.
    """
    proto = _copy(meaning)
    generator = np.random.default_rng(seed)
    nodes = []
    for node in proto.graph.node:
        weight = meaning.steps.get(node.output[0])
        if weight is None:
            nodes.append(node)
            continue
        values = weight.values
        perturbed = values + (generator.random(values.shape, np.float32) - 0.5) * weight.steps
        tensor = numpy_helper.from_array(perturbed.astype(values.dtype), node.output[0])
        proto.graph.initializer.append(tensor)
    set_nodes(proto.graph, nodes)
    return proto


def with_rounding(meaning: Meaning, seed: int | None) -> onnx.ModelProto:
    """The model with the ends of each range, and noise of the size of its steps.

    Args:
        meaning: the model.
        seed: of the noise, which is other in each run; None for the ends alone.
    """
    proto = _copy(meaning)
    rounded, nodes, tensors = set(meaning.rounded), [], []
    for number, node in enumerate(proto.graph.node):
        nodes.append(node)
        name = node.output[0]
        if name not in rounded:
            continue
        codes = meaning.codes[name]
        inside = exact = f"{name}/exact"
        node.output[0] = exact
        if seed is not None:
            half = codes.step / 2
            noise = f"{name}/noise"
            nodes.append(helper.make_node(
                "RandomUniformLike", [exact], [noise], low=-half, high=half,
                seed=_seed(seed, number),
            ))  # fmt: skip
            inside = f"{name}/perturbed"
            nodes.append(helper.make_node("Add", [exact, noise], [inside]))
        ends = [f"{name}/low", f"{name}/high"]
        tensors += [
            numpy_helper.from_array(np.asarray(end, np.float32), label)
            for end, label in zip(codes.ends, ends, strict=True)
        ]
        nodes.append(helper.make_node("Clip", [inside, *ends], [name]))
    set_nodes(proto.graph, nodes)
    proto.graph.initializer.extend(tensors)
    return proto


def _seed(seed: int, number: int) -> float:
    """For the noise of one node: seeds in a row give onnxruntime numbers that depend on another."""
    return float(np.random.default_rng((seed, number)).integers(1 << 24))


def _copy(meaning: Meaning) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(meaning.model.proto)
    return proto
