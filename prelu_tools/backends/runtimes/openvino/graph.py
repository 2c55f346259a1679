"""An OpenVINO model as an ONNX graph, tensor for tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from prelu_tools.backends.runtimes.openvino.ir import TYPES, Layer, Port, Tensor, numbers
from prelu_tools.backends.runtimes.translating import GraphBuilder, is_type, type_code
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel

DOMAIN: Final = "openvino"
_SAME: Final[Mapping[str, str]] = {
    "Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "Maximum": "Max",
    "Minimum": "Min", "Power": "Pow", "Negative": "Neg", "Abs": "Abs", "Sign": "Sign",
    "ReLU": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "TanH": "Tanh", "Exp": "Exp",
    "Log": "Log", "Sqrt": "Sqrt", "Floor": "Floor", "Ceiling": "Ceil", "Select": "Where",
    "Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "Less": "Less",
    "LessEqual": "LessOrEqual", "Equal": "Equal", "LogicalNot": "Not", "LogicalAnd": "And",
    "LogicalOr": "Or", "SoftPlus": "Softplus",
}  # fmt: skip
"""Operators that ONNX has with the same inputs."""
_LINEAR: Final[Mapping[str, str]] = {
    "Convolution": "Conv", "GroupConvolution": "Conv", "ConvolutionBackpropData": "ConvTranspose",
    "GroupConvolutionBackpropData": "ConvTranspose", "MatMul": "MatMul",
}  # fmt: skip
_SHAPED: Final = ("Reshape", "Unsqueeze", "Squeeze")


@dataclass
class Translated:
    """The graph, and where its tensors are in the file."""

    model: OnnxModel
    """The graph."""
    ports: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For the name of a tensor, the name of its layer and which output of it it is."""
    inputs: list[tuple[str, Tensor]] = field(default_factory=list)
    """The inputs in order, each with its name in the graph."""


def translated(layers: Sequence[Layer], path: Path, weights: Path) -> Translated:
    """The graph of a model.

    Raises:
        PReLUToolsError: a layer reads what no layer before it makes, or weights that are not there.
    """
    return _Translator(layers, path, weights).run()


class _Translator:
    def __init__(self, layers: Sequence[Layer], path: Path, weights: Path) -> None:
        self._layers, self._path, self._weights = layers, path, weights
        self._size = weights.stat().st_size
        self._builder = GraphBuilder(path, DOMAIN)
        self._names: dict[Port, str] = {}
        self._tensors: dict[Port, Tensor] = {}
        self._constants: dict[str, Layer] = {}
        self._found = Translated(OnnxModel.__new__(OnnxModel))

    def run(self) -> Translated:
        for layer in self._layers:
            for place, (port, tensor) in enumerate(layer.outputs):
                wanted = tensor.names[0] if tensor.names else layer.name
                name = self._builder.name(wanted or f"layer {layer.number}")
                self._names[layer.number, port] = name
                self._tensors[layer.number, port] = tensor
                self._found.ports[name] = (layer.name, place)
        for layer in self._layers:
            self._layer(layer)
        self._found.model = self._builder.finished("openvino")
        return self._found

    def _layer(self, layer: Layer) -> None:
        builder = self._builder
        try:
            inputs = [self._names[port] for port in layer.inputs]
        except KeyError as error:
            raise PReLUToolsError(
                f"{self._path} is not a readable OpenVINO model: layer {layer.name!r} reads a "
                "tensor that no layer produces"
            ) from error
        outputs = [self._names[layer.number, port] for port, _ in layer.outputs]
        if layer.kind == "Result":
            if inputs:
                tensor = self._tensors[layer.inputs[0]]
                builder.output(inputs[0], tensor.dtype, tensor.shape)
            return
        if layer.kind == "Const":
            self._constant(layer, outputs)
            return
        for name, (_, tensor) in zip(outputs, layer.outputs, strict=True):
            if layer.kind == "Parameter":
                builder.input(name, tensor.dtype, tensor.shape)
                self._found.inputs.append((name, tensor))
            else:
                builder.typed(name, tensor.dtype, tensor.shape)
        if layer.kind != "Parameter" and not (
            len(outputs) == 1 and inputs and self._simple(layer, inputs, outputs)
        ):
            builder.other(_LINEAR.get(layer.kind, layer.kind), inputs, outputs)

    def _constant(self, layer: Layer, outputs: Sequence[str]) -> None:
        kind = TYPES.get(layer.data.get("element_type", "").lower())
        if not outputs or kind is None or not is_type(kind):
            return
        try:
            place = int(layer.data["offset"]), int(layer.data["size"])
            shape = numbers(layer.data.get("shape", ""))
        except (KeyError, ValueError) as error:
            raise PReLUToolsError(
                f"{self._path} is not a readable OpenVINO model: constant {layer.name} does not "
                "say where its values are"
            ) from error
        if min(*place, *shape, 0) < 0 or sum(place) > self._size:
            raise PReLUToolsError(
                f"{self._path} is not a readable OpenVINO model: constant {layer.name} is "
                f"outside {self._weights.name}"
            )
        self._builder.stored(outputs[0], kind, shape, place, self._weights)
        self._constants[outputs[0]] = layer

    def _simple(self, layer: Layer, inputs: list[str], outputs: list[str]) -> bool:
        """An operator that ONNX has as well; False for any other."""
        builder, kind = self._builder, layer.kind
        ((_, tensor),) = layer.outputs
        if kind == "PReLU" and len(inputs) == 2:
            builder.node("PRelu", [inputs[0], self._laid(layer, inputs[1])], outputs)
        elif kind in _SAME:
            builder.node(_SAME[kind], inputs, outputs)
        elif kind == "Convert" and is_type(tensor.dtype):
            builder.node("Cast", inputs, outputs, to=type_code(tensor.dtype))
        elif kind == "Clamp":
            ends = [
                builder.constant(
                    builder.name(f"{outputs[0]} {end}"),
                    np.array(float(layer.data.get(end, 0)), np.float32),
                )
                for end in ("min", "max")
            ]
            builder.node("Clip", [inputs[0], *ends], outputs)
        elif kind in _SHAPED and None not in tensor.shape:
            sizes = np.array(tensor.shape, np.int64)
            shape = builder.constant(builder.name(f"{outputs[0]} shape"), sizes)
            builder.node("Reshape", [inputs[0], shape], outputs)
        elif kind == "Transpose" and (axes := self._axes(inputs)) is not None:
            builder.node("Transpose", inputs[:1], outputs, perm=axes)
        else:
            return False
        return True

    def _laid(self, layer: Layer, slope: str) -> str:
        """The slopes as OpenVINO applies them: a vector of the size of axis 1 belongs to axis 1.

        Anything else is laid by numpy's rule.
        """
        x, slopes = (self._tensors[port].shape for port in layer.inputs)
        if len(slopes) != 1 or len(x) < 3 or slopes[0] == 1 or slopes[0] != x[1]:
            return slope
        sizes = np.array([slopes[0], *[1] * (len(x) - 2)], np.int64)
        shape = self._builder.constant(self._builder.name(f"{slope} shape"), sizes)
        laid = self._builder.name(f"{slope} laid")
        self._builder.node("Reshape", [slope, shape], [laid])
        return laid

    def _axes(self, inputs: Sequence[str]) -> list[int] | None:
        layer = self._constants.get(inputs[1]) if len(inputs) == 2 else None
        kind = None if layer is None else TYPES.get(layer.data.get("element_type", "").lower())
        if layer is None or kind not in ("int32", "int64"):
            return None
        with self._weights.open("rb") as file:
            file.seek(int(layer.data["offset"]))
            raw = file.read(min(int(layer.data["size"]), 1024))
        if len(raw) % np.dtype(kind).itemsize:
            return None
        axes = np.frombuffer(raw, kind).tolist()
        return axes if sorted(axes) == list(range(len(axes))) else None
