"""A small net with PReLU, and files that onnxruntime's own quantizer makes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper
from text_nets import save

Array = NDArray[np.generic]
SIZE, CHANNELS = 10, 6
IMAGE = f"float[N,3,{SIZE},{SIZE}]"
_PADS = "<pads = [1, 1, 1, 1]>"


def constants(seed: int = 0) -> dict[str, Array]:
    """Weights as training leaves them, and slopes apart from each other."""
    generator = np.random.default_rng(seed)
    c = CHANNELS
    shapes = {"w0": (c, 3, 3, 3), "w1": (c, c, 3, 3), "w2": (4, c, 1, 1)}
    found: dict[str, Array] = {
        name: (generator.normal(size=s) * np.sqrt(2 / np.prod(s[1:]))).astype(np.float32)
        for name, s in shapes.items()
    }
    found |= {f"b{i}": generator.normal(0, 0.1, n).astype(np.float32) for i, n in
              enumerate((c, c, 4))}  # fmt: skip
    for name in ("s0", "s1"):
        slopes = generator.permutation(np.linspace(0.05, 0.6, c))
        found[name] = slopes.astype(np.float32).reshape(-1, 1, 1)
    return found


def save_net(path: Path, activation: str = "{y} = PRelu({x}, {s})", **changed: Array) -> Path:
    """Two convolutions with PReLU, and a third one.

    Args:
        path: the file to write.
        activation: how PReLU is spelled: `{x}` in, `{y}` out, `{s}` its slopes.
        changed: constants in place of the usual ones, or beside them.
    """
    first, second = (activation.format(x=f"c{i}", y=f"p{i}", s=f"s{i}") for i in range(2))
    body = f"""
        c0 = Conv{_PADS}(x, w0, b0) {first}
        c1 = Conv{_PADS}(p0, w1, b1) {second}
        y = Conv(p1, w2, b2)"""
    ends = f"{IMAGE} x", f"float[N,4,{SIZE},{SIZE}] y"
    return save(path, body, *ends, **{**constants(), **changed})


def pictures(n: int = 12, seed: int = 5) -> Array:
    """Rows of inputs."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 3, SIZE, SIZE)).astype(np.float32)


class _Reader:
    def __init__(self, rows: Array) -> None:
        self._rows: Iterator[Mapping[str, Array]] = iter([{"x": row[None]} for row in rows])

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._rows, None)


def quantized(source: Path, output: Path, form: str = "QDQ", **options: Any) -> Path:
    """What `quantize_static` makes of a net: unsigned activations, one scale for each channel."""
    from onnxruntime import quantization as q

    logging.getLogger().setLevel(logging.ERROR)
    ort.set_default_logger_severity(4)
    given = {"activation_type": q.QuantType.QUInt8, "weight_type": q.QuantType.QInt8,
             "per_channel": True, **options}  # fmt: skip
    q.quantize_static(
        source, output, _Reader(pictures()), quant_format=q.QuantFormat[form], **given
    )
    return output


def quantized_dynamically(source: Path, output: Path) -> Path:
    """What `quantize_dynamic` makes of it."""
    from onnxruntime import quantization as q

    q.quantize_dynamic(source, output, weight_type=q.QuantType.QUInt8)
    return output


def changed(source: Path, output: Path, name: str, change: Callable[[Array], Array]) -> Path:
    """The file with other values in one tensor."""
    proto = onnx.load(source)
    (tensor,) = (t for t in proto.graph.initializer if t.name == name)
    values = numpy_helper.to_array(tensor)
    found = np.asarray(change(values.copy()), values.dtype).reshape(values.shape)
    tensor.CopyFrom(numpy_helper.from_array(found, name))
    onnx.save(proto, output)
    return output
