"""The nets of the int8 benchmark, with PReLU and with what it could cost at the least."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from benchmarks.nets.inputs import natural
from prelu_tools.backends.onnxruntime.quantizing import quantized_statically, quantizer_options
from prelu_tools.commands.quantize.quantizing import float_model
from prelu_tools.graph.io.reader import OnnxModel

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Int8Net:
    """One net."""

    name: str
    """Its file's name without a suffix."""
    title: str
    """Its name in tables."""
    shape: tuple[int, ...]
    """The shape of its input, without the batch."""
    weights: str
    """Where its weights come from, in words."""
    rows: int = 24
    """Rows of calibration data."""


NETS = (
    Int8Net("pnet", "PNet 320x240", (3, 240, 320), "trained"),
    Int8Net("rnet", "RNet", (3, 24, 24), "trained", 64),
    Int8Net("onet", "ONet", (3, 48, 48), "trained", 64),
    Int8Net("mobilefacenet", "MobileFaceNet", (3, 112, 112), "drawn"),
    Int8Net("fsrcnn", "FSRCNN", (1, 180, 320), "drawn"),
    Int8Net("srvgg", "SRVGG", (3, 128, 128), "drawn"),
    Int8Net("iresnet50", "IResNet-50", (3, 112, 112), "drawn", 16),
)
BY_NAME = {net.name: net for net in NETS}


def write(net: Int8Net, path: Path) -> Path:
    """The net as ``torch.onnx.export`` writes it, with a batch of one."""
    import torch

    from benchmarks.nets.build import build, sample
    from benchmarks.nets.write import write_torch

    module = sample("mtcnn_torch").RNet().eval() if net.name == "rnet" else build(net.name)
    with torch.no_grad():
        write_torch(module, (1, *net.shape), path)
    return path


def data(net: Int8Net) -> Array:
    """Pictures with the statistics of natural ones, a row each."""
    return np.concatenate([natural((1, *net.shape), seed) for seed in range(net.rows)])


def bound(path: Path, feeds: list[dict[str, Array]], activation: str) -> onnx.ModelProto:
    """The net quantized with another activation in place of PReLU: Relu, or LeakyRelu."""
    model = float_model(OnnxModel(onnx.load(path), path))
    for node in model.proto.graph.node:
        if node.op_type == "PRelu":
            node.op_type = activation
            del node.input[1:]
            if activation == "LeakyRelu":
                node.attribute.append(helper.make_attribute("alpha", 0.25))
    return quantized_statically(model.proto, feeds, quantizer_options({}))
