"""Models of ncnn and of OpenVINO, written by hand: they need neither."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prelu_tools.core.arrays import Array

SLOPES = np.array([0.25, -0.5, 1.5], np.float32)
_HALF = (0x01306B47).to_bytes(4, "little")


def save_ncnn(path: Path, lines: Sequence[str], weights: bytes = b"") -> Path:
    """Write `path` (a `.param`) and the `.bin` beside it."""
    blobs = {word for line in lines for word in line.split()[4:] if "=" not in word}
    text = "\n".join(["7767517", f"{len(lines)} {len(blobs)}", *lines, ""])
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".bin").write_bytes(weights)
    return path


def tagged(values: Array) -> bytes:
    """Weights as ncnn has those of a convolution; float16 by its tag."""
    if values.dtype == np.float16:
        raw = values.tobytes()
        return _HALF + raw + bytes(-len(raw) % 4)
    return bytes(4) + values.tobytes()


def save_ncnn_net(path: Path, half: bool = False) -> Path:
    """A dense layer of 4 to 3 features, and its PReLU."""
    kind = np.float16 if half else np.float32
    weight = np.random.default_rng(0).normal(size=(3, 4)).astype(kind)
    bias = np.array([0.5, -0.5, 0.25], np.float32)
    lines = [
        "Input in0 0 1 in0 0=4",
        "InnerProduct fc 1 1 in0 1 0=3 1=1 2=12",
        "PReLU act 1 1 1 out0 0=3",
    ]
    return save_ncnn(path, lines, tagged(weight) + bias.tobytes() + SLOPES.tobytes())


_TYPES = {"float32": ("f32", "FP32"), "float16": ("f16", "FP16"), "int64": ("i64", "I64")}


class OpenVinoFile:
    """An OpenVINO model in the making; tensors are known by the numbers of their layers."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._layers: list[str] = []
        self._edges: list[str] = []
        self._weights = b""
        self._ports: list[str] = []

    def layer(
        self, kind: str, name: str, inputs: Sequence[int], dims: Sequence[int] | None,
        dtype: str = "float32", **data: object,
    ) -> int:  # fmt: skip
        """A layer of one output, of these sizes; without them, of none."""
        number = len(self._ports)
        attributes = " ".join(f'{key}="{value}"' for key, value in data.items())
        ports = "".join(f'<port id="{i}"/>' for i, _ in enumerate(inputs))
        for place, source in enumerate(inputs):
            port = self._ports[source]
            self._edges.append(
                f'<edge from-layer="{source}" from-port="{port}" to-layer="{number}" '
                f'to-port="{place}"/>'
            )
        out = ""
        if dims is not None:
            sizes = "".join(f"<dim>{size}</dim>" for size in dims)
            out = (
                f'<output><port id="{len(inputs)}" precision="{_TYPES[dtype][1]}" '
                f'names="{name}">{sizes}</port></output>'
            )
        self._ports.append(str(len(inputs)))
        self._layers.append(
            f'<layer id="{number}" name="{name}" type="{kind}" version="opset1"><data '
            f"{attributes}/><input>{ports}</input>{out}</layer>"
        )
        return number

    def parameter(self, name: str, shape: Sequence[int]) -> int:
        """An input; -1 for a free size."""
        sizes = ",".join("?" if size < 0 else str(size) for size in shape)
        return self.layer("Parameter", name, [], shape, shape=sizes, element_type="f32")

    def constant(self, name: str, values: Array) -> int:
        """A constant."""
        kind = str(values.dtype)
        offset = len(self._weights)
        self._weights += values.tobytes()
        sizes = ", ".join(map(str, values.shape))
        return self.layer(
            "Const", name, [], values.shape, kind,
            element_type=_TYPES[kind][0], shape=sizes, offset=offset, size=values.nbytes,
        )  # fmt: skip

    def save(self, path: Path, output: int) -> Path:
        """Write `path` (an `.xml`) and the `.bin` beside it."""
        self.layer("Result", "result", [output], None)
        path.write_text(
            f'<?xml version="1.0"?><net name="by hand" version="11"><layers>'
            f"{''.join(self._layers)}</layers><edges>{''.join(self._edges)}</edges></net>",
            encoding="utf-8",
        )
        path.with_suffix(".bin").write_bytes(self._weights)
        return path


def save_openvino_net(path: Path) -> Path:
    """A sum, and its PReLU."""
    file = OpenVinoFile()
    x = file.parameter("x", [-1, 3])
    bias = file.constant("bias", np.array([[0.5, -0.5, 0.25]], np.float32))
    total = file.layer("Add", "sum", [x, bias], [-1, 3], auto_broadcast="numpy")
    slopes = file.constant("act.weight", SLOPES)
    return file.save(path, file.layer("PReLU", "act", [total, slopes], [-1, 3]))
