"""Random nets as ONNX files, every PReLU in its own form: written here, not by the tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from random_nets import Array, Layer, Net, Step

_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}
_PROPERTIES = ("prelu_tools.slope_name", "prelu_tools.slope_shape")


def save(net: Net, path: Path, external: bool) -> Path:
    """Write a net, its tensors in the file or beside it."""
    model = model_of(net)
    if external:
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data",
                  size_threshold=0)  # fmt: skip
    else:
        onnx.save(model, path)
    return path


def model_of(net: Net) -> onnx.ModelProto:
    """A net as a graph."""
    return _Writer(net).model()


class _Writer:
    def __init__(self, net: Net) -> None:
        self.net = net
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, Array] = {}
        self.calls: dict[int, int] = {}
        self._count = 0

    def model(self) -> onnx.ModelProto:
        net = self.net
        first = len(net.inputs)
        for number, step in enumerate(net.steps, start=first):
            sources = [self.name(n) for n in step.sources]
            getattr(self, f"_{step.kind}")(step, sources, self.name(number))
        graph = helper.make_graph(
            self.nodes,
            "random",
            [self._info(n) for n in range(first)],
            [self._info(n) for n in net.outputs],
            [numpy_helper.from_array(values, name) for name, values in self.tensors.items()],
        )
        opsets = [helper.make_opsetid("", net.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def name(self, number: int) -> str:
        """Of a value."""
        return f"x{number}" if number < len(self.net.inputs) else f"value{number}"

    def _info(self, number: int) -> onnx.ValueInfoProto:
        shape = [self.net.batch, *self.net.shapes[number]]
        return helper.make_tensor_value_info(self.name(number), _TYPES[self.net.dtype], shape)

    def op(self, kind: str, inputs: list[str], output: str = "", name: str = "", **a: Any) -> str:
        """A node; the tensor that it makes."""
        self._count += 1
        made = output or f"t{self._count}"
        self.nodes.append(helper.make_node(kind, inputs, [made], name, **a))
        return made

    def constant(self, values: Array, name: str = "") -> str:
        """An initializer; of equal names the first."""
        named = name or f"c{len(self.tensors)}"
        self.tensors.setdefault(named, values)
        return named

    def scalar(self, value: float) -> str:
        """A number of the net's type."""
        return self.constant(np.asarray(value, self.net.dtype), f"scalar_{value}")

    def _conv(self, step: Step, sources: list[str], output: str) -> None:
        assert step.weight is not None
        tensors = [self.constant(step.weight)]
        tensors += [] if step.bias is None else [self.constant(step.bias)]
        pads = [k // 2 for k in step.weight.shape[2:]] * 2
        self.op("Conv", [*sources, *tensors], output, pads=pads)

    def _gemm(self, step: Step, sources: list[str], output: str) -> None:
        assert step.weight is not None
        tensors = [self.constant(step.weight)]
        tensors += [] if step.bias is None else [self.constant(step.bias)]
        self.op("Gemm", [*sources, *tensors], output, transB=1)

    def _add(self, _step: Step, sources: list[str], output: str) -> None:
        self.op("Add", sources, output)

    def _concat(self, _step: Step, sources: list[str], output: str) -> None:
        self.op("Concat", sources, output, axis=1)

    def _flatten(self, _step: Step, sources: list[str], output: str) -> None:
        self.op("Flatten", sources, output)

    def _pool(self, _step: Step, sources: list[str], output: str) -> None:
        self.op("Flatten", [self.op("GlobalAveragePool", sources)], output)

    def _scale(self, step: Step, sources: list[str], output: str) -> None:
        assert step.weight is not None
        self.op("Mul", [*sources, self.constant(step.weight)], output)

    def _relu(self, _step: Step, sources: list[str], output: str) -> None:
        self.op("Relu", sources, output)

    def _prelu(self, step: Step, sources: list[str], output: str) -> None:
        layer = self.net.layers[step.layer]
        rank = layer.slopes.ndim + 1
        x = sources[0]
        if layer.last:
            x = self.op("Transpose", [x], perm=[0, *range(2, rank), 1])
        inner = output if not layer.last else f"{output}_inner"
        call = self.calls.get(step.layer, 0)
        self.calls[step.layer] = call + 1
        name = "" if self.net.names == "nobody" else f"{layer.name}{f'_{call}' if call else ''}"
        Spelled(self, layer, x, inner, name).write()
        if layer.last:
            self.op("Transpose", [inner], output, perm=[0, rank - 1, *range(1, rank - 1)])


def has_two_readings(net: Net, layer: Layer) -> bool:
    """Whether a slope [C] may be taken for another axis's, which export refuses to guess."""
    number = next(i for i, other in enumerate(net.layers) if other is layer)
    shapes = [net.shapes[net.steps[n - len(net.inputs)].sources[0]] for n in net.calls(number)]
    turned = [(*shape[1:], shape[0]) if layer.last else shape for shape in shapes]
    return any(len(shape) > 1 and shape[0] == shape[-1] for shape in turned)


class Spelled:
    """One PReLU in its form."""

    def __init__(self, writer: _Writer, layer: Layer, x: str, output: str, name: str) -> None:
        self.w, self.layer, self.x, self.output, self.name = writer, layer, x, output, name
        self.slopes = np.moveaxis(layer.slopes, 0, -1) if layer.last else layer.slopes

    def write(self) -> None:
        """Put its nodes in the graph."""
        getattr(self, f"_{self.layer.form}")()

    def tensor(self, values: Array, suffix: str = "") -> str:
        """A constant made of the slopes, in the axes that the file stores."""
        few, fewest = self.layer.stored == "few", 1 + has_two_readings(self.w.net, self.layer)
        while few and values.ndim and values.shape[0] == 1 and (
            self.layer.form != "prelu" or values.size == 1 or values.ndim > fewest
        ):  # fmt: skip
            values = values[0]
        values = values[np.newaxis] if self.layer.stored == "batch" else values
        base = {"torch": f"{self.layer.name}.weight"}.get(self.w.net.names, "")
        base = base or f"val_{100 + self.w.net.layers.index(self.layer)}"
        return self.w.constant(np.ascontiguousarray(values), f"{base}{suffix}")

    def end(self, kind: str, inputs: list[str], **attributes: Any) -> None:
        """The node that makes the output."""
        self.w.op(kind, inputs, self.output, self.name, **attributes)

    def positive(self) -> str:
        """The positive part of x."""
        return self.w.op("Relu", [self.x])

    def times(self, tensor: str, values: Array, suffix: str = "") -> str:
        """Some tensor times a constant made of the slopes."""
        return self.w.op("Mul", [tensor, self.tensor(values, suffix)])

    def negative(self) -> str:
        """The positive part of -x."""
        return self.w.op("Relu", [self.w.op("Neg", [self.x])])

    def below(self) -> str:
        """The negative part of x."""
        return self.w.op("Min", [self.x, self.w.scalar(0.0)])

    def stated(self, kind: str, **attributes: Any) -> None:
        """A node without slopes, which says how many they are."""
        self.end(kind, [self.x], **attributes)
        values = (f"{self.layer.name}.weight", ",".join(map(str, self.slopes.shape)))
        for key, value in zip(_PROPERTIES, values, strict=True):
            self.w.nodes[-1].metadata_props.add(key=key, value=value)

    def _prelu(self) -> None:
        self.end("PRelu", [self.x, self.tensor(self.slopes)])

    def _relu(self) -> None:
        self.stated("Relu")

    def _identity(self) -> None:
        self.stated("Identity")

    def _leaky_relu(self) -> None:
        self.stated("LeakyRelu", alpha=float(self.slopes.flat[0]))

    def _relu_neg(self) -> None:
        self.end("Add", [self.positive(), self.times(self.negative(), -self.slopes, "_neg")])

    def _relu_mul(self) -> None:
        minus = self.w.constant(np.full(self.slopes.shape, -1, self.slopes.dtype))
        negative = self.w.op("Relu", [self.w.op("Mul", [self.x, minus])])
        self.end("Add", [self.positive(), self.times(negative, -self.slopes, "_neg")])

    def _relu_sub(self) -> None:
        self.end("Sub", [self.positive(), self.times(self.negative(), self.slopes)])

    def _depthwise(self) -> None:
        channels = self.slopes.shape[0]
        shape = (channels, 1, *self.slopes.shape[1:])
        minus = self.w.constant(np.full(shape, -1, self.slopes.dtype))
        base = f"{self.layer.name}.weight"
        weight = self.w.constant(-self.slopes.reshape(shape), f"{base}_neg")
        negative = self.w.op("Relu", [self.w.op("Conv", [self.x, minus], group=channels)])
        scaled = self.w.op("Conv", [negative, weight], group=channels)
        self.end("Add", [self.positive(), scaled])

    def _where(self) -> None:
        condition = self.w.op("Greater", [self.x, self.w.scalar(0.0)])
        self.end("Where", [condition, self.x, self.times(self.x, self.slopes)])

    def _where_mask(self) -> None:
        above = self.w.op("GreaterOrEqual", [self.x, self.w.scalar(0.0)])
        kind = _TYPES[self.w.net.dtype]
        kept = self.w.op("Mul", [self.w.op("Cast", [above], to=kind), self.x])
        mask = self.w.op("Cast", [self.w.op("Not", [above])], to=kind)
        self.end("Add", [kept, self.w.op("Mul", [mask, self.times(self.x, self.slopes)])])

    def _max_min(self) -> None:
        positive = self.w.op("Max", [self.x, self.w.scalar(0.0)])
        self.end("Add", [positive, self.times(self.below(), self.slopes)])

    def _clip(self) -> None:
        negative = self.w.op("Clip", [self.x, "", self.w.scalar(0.0)])
        self.end("Add", [self.positive(), self.times(negative, self.slopes)])

    def _abs(self) -> None:
        twice = self.w.op("Sub", [self.x, self.w.op("Abs", [self.x])])
        self.end("Add", [self.positive(), self.times(twice, self.slopes / 2, "_half")])

    def _max(self) -> None:
        self.end("Max", [self.x, self.times(self.x, self.slopes)])

    def _max_neg(self) -> None:
        self.end("Max", [self.x, self.times(self.below(), self.slopes)])

    def _linear(self) -> None:
        rest = (1 - self.slopes).astype(self.slopes.dtype)
        kept = self.times(self.positive(), rest, "_rest")
        self.end("Add", [kept, self.times(self.x, self.slopes)])
