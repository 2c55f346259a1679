"""Small nets for `optimize`: chains of convolutions as onnxruntime blocks them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from text_nets import save

from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import read_layers

Array = NDArray[np.generic]

CHANNELS = 16
IMAGE = f"float[1,{CHANNELS},12,12]"


def _constants() -> dict[str, Array]:
    generator = np.random.default_rng(0)
    kernel = (CHANNELS, CHANNELS, 3, 3)
    constants = {f"w{i}": (generator.normal(size=kernel) / 9).astype(np.float32) for i in range(4)}
    slopes = generator.normal(0.2, 0.3, CHANNELS)
    constants["mixed"] = np.append(slopes[1:], 1.5).astype(np.float32).reshape(-1, 1, 1)
    constants["small"] = slopes.clip(-0.9, 0.9).astype(np.float32).reshape(-1, 1, 1)
    constants["uniform"] = np.full((CHANNELS, 1, 1), 0.3, np.float32)
    constants["none"] = np.zeros((CHANNELS, 1, 1), np.float32)
    return constants


def save_chain(path: Path, image: str = IMAGE) -> Path:
    """Four layers: of all slopes, of slopes up to 1, of equal ones, and of zeros."""
    pads = "<pads = [1, 1, 1, 1]>"
    body = f"""
        c0 = Conv{pads}(x, w0) [act0] p0 = PRelu(c0, mixed)
        c1 = Conv{pads}(p0, w1) [act1] p1 = PRelu(c1, small)
        c2 = Conv{pads}(p1, w2) [act2] p2 = PRelu(c2, none)
        c3 = Conv{pads}(p2, w3) [act3] y = PRelu(c3, uniform)"""
    return save(path, body, f"{image} x", f"{image} y", **_constants())


def save_positions(path: Path) -> Path:
    """A slope for each position: a tensor that is not kept in the skeleton of a graph."""
    slopes = np.random.default_rng(0).normal(0.2, 0.3, (CHANNELS, 12, 12)).astype(np.float32)
    body = "c = Conv<pads = [1, 1, 1, 1]>(x, w0) [act] y = PRelu(c, alpha)"
    return save(path, body, f"{IMAGE} x", f"{IMAGE} y", w0=_constants()["w0"], alpha=slopes)


def save_residual(path: Path) -> Path:
    """A layer whose output is added to that of a convolution: onnxruntime fuses the sum into it."""
    pads = "<pads = [1, 1, 1, 1]>"
    body = f"""
        c0 = Conv{pads}(x, w0) [act0] p0 = PRelu(c0, mixed)
        c1 = Conv{pads}(p0, w1) s = Add(c1, p0)
        c2 = Conv{pads}(s, w2) [act1] y = PRelu(c2, small)"""
    constants = {n: v for n, v in _constants().items() if n not in ("uniform", "none", "w3")}
    return save(path, body, f"{IMAGE} x", f"{IMAGE} y", **constants)


def outputs(path: Path, seed: int = 3) -> Array:
    """What onnxruntime computes for an input of both signs."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(seed).normal(size=(1, CHANNELS, 12, 12)).astype(np.float32)
    (y,) = session.run(None, {"x": x})
    result: Array = y
    return result


def forms(path: Path) -> dict[str, str]:
    """The form of each layer of a file."""
    return {layer.name: layer.form for layer in read_layers(OnnxModel(onnx.load(path), None))}


def slopes(path: Path) -> dict[str, bytes]:
    """The slopes of each layer of a file, to the bit."""
    layers = read_layers(OnnxModel(onnx.load(path), None))
    return {layer.name: layer.slopes.tobytes() for layer in layers}
