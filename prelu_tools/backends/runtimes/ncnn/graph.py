"""An ncnn model as an ONNX graph, blob for blob, with a batch axis, which blobs lack.

ncnn applies the slopes of PReLU along the first axis of a blob, whatever its rank: along the
channels of a map, the rows of a matrix, the elements of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from prelu_tools.backends.runtimes.ncnn.param import Layer, dims_of
from prelu_tools.backends.runtimes.translating import GraphBuilder
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.model import OnnxModel

DOMAIN: Final = "ncnn"

_BINARY: Final = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")
_UNARY: Final[Mapping[int, str]] = {
    0: "Abs", 1: "Neg", 2: "Floor", 3: "Ceil", 5: "Sqrt", 7: "Exp", 8: "Log", 15: "Reciprocal",
    16: "Tanh",
}  # fmt: skip
_ALONE: Final[Mapping[str, str]] = {"AbsVal": "Abs", "Sigmoid": "Sigmoid", "TanH": "Tanh"}
_LINEAR: Final[Mapping[str, str]] = {
    "Convolution": "Conv", "ConvolutionDepthWise": "Conv", "Deconvolution": "ConvTranspose",
    "DeconvolutionDepthWise": "ConvTranspose", "InnerProduct": "Gemm", "BatchNorm": "Add",
    "Convolution1D": "Conv", "ConvolutionDepthWise1D": "Conv",
}  # fmt: skip
"""Named as in ONNX, for code that looks at the layer before."""
_FUSING: Final = ("Conv", "ConvTranspose", "Gemm")
_THREE: Final = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise",
                 "Interp", "PixelShuffle", "Padding", "Crop")  # fmt: skip
_SAME_RANK: Final = ("PReLU", "ReLU", "BinaryOp", "UnaryOp", "BatchNorm", "Scale", "Bias", "Clip",
                     "Dropout", "Split", "Permute", "Eltwise", "Sigmoid", "TanH", "Softmax",
                     "InstanceNorm", "LayerNorm", "GroupNorm", "Concat", "Swish", "HardSwish",
                     "GELU", "Mish", "ELU", "SELU", "Slice", "Noop")  # fmt: skip


def translated(
    layers: Sequence[Layer], param: Path, weights: Path, shapes: Mapping[str, Shape | None]
) -> OnnxModel:
    """The graph of a model.

    Args:
        layers: its layers in order.
        param: their file.
        weights: the file of their weights.
        shapes: of inputs, without the axis of the batch, as far as they are known.

    Raises:
        PReLUToolsError: a blob is used before it is made.
    """
    return _Translator(layers, param, weights, shapes).run()


class _Translator:
    def __init__(
        self,
        layers: Sequence[Layer],
        param: Path,
        weights: Path,
        shapes: Mapping[str, Shape | None],
    ) -> None:
        self._layers = layers
        self._weights = weights
        self._shapes = shapes
        self._builder = GraphBuilder(param, DOMAIN)
        self._ranks: dict[str, int | None] = {}

    def run(self) -> OnnxModel:
        builder = self._builder
        read = {blob for layer in self._layers for blob in layer.bottoms}
        for layer in self._layers:
            rank = self._rank(layer)
            for blob in layer.tops:
                builder.name(blob)
                self._ranks[blob] = rank
        for layer in self._layers:
            self._layer(layer)
            for blob in layer.tops:
                shape = _free(self._ranks[blob])
                if layer.kind == "Input":
                    known = self._shapes.get(blob)
                    builder.input(blob, "float32", shape if known is None else (None, *known))
                elif blob not in read:
                    builder.output(blob, "float32", shape)
                elif layer.kind != "MemoryData":
                    builder.typed(blob, "float32", shape)
        return builder.finished("ncnn")

    def _rank(self, layer: Layer) -> int | None:
        """How many axes the result of a layer has besides that of the batch; None if unknown."""
        before = self._ranks.get(layer.bottoms[0]) if layer.bottoms else None
        if layer.kind == "Input":
            known = self._shapes.get(layer.tops[0]) if layer.tops else None
            return len(known) if known else len(dims_of(layer)) or None
        if layer.kind == "MemoryData":
            return len(dims_of(layer))
        if layer.kind in _THREE:
            return 3
        if layer.kind == "Pooling":
            return 1 if layer.whole(4) else 3
        if layer.kind in ("Convolution1D", "ConvolutionDepthWise1D", "LSTM", "GRU", "RNN"):
            return 2
        if layer.kind == "InnerProduct":
            return 2 if before == 2 else 1
        if layer.kind in ("Flatten",):
            return 1
        if layer.kind == "Reshape":
            return sum(key in layer.parameters for key in (0, 1, 11, 2)) or None
        return before if layer.kind in _SAME_RANK else None

    def _layer(self, layer: Layer) -> None:
        builder, tops, bottoms = self._builder, layer.tops, layer.bottoms
        if layer.kind == "Input" or not tops:
            return
        if layer.kind == "MemoryData":
            (weights,) = layer.weights
            if weights.dtype in ("float32", "float16"):
                shape = dims_of(layer)
                builder.stored(tops[0], weights.dtype, shape, weights.place, self._weights)
        elif layer.kind == "Split":
            for top in tops:
                builder.node("Identity", bottoms, [top])
        elif len(tops) > 1 or not self._simple(layer):
            self._other(layer)

    def _other(self, layer: Layer) -> None:
        """Any other layer, and the ReLU that ncnnoptimize may have put into it."""
        top, kind = layer.tops[0], _LINEAR.get(layer.kind, layer.kind)
        fused = layer.whole(9) if kind in _FUSING else 0
        alpha = {1: 0.0, 2: layer.first(10)}.get(fused)
        before = top if alpha is None else self._builder.name(f"{top} before ReLU")
        self._builder.other(kind, self._inputs(layer), [before, *layer.tops[1:]])
        if alpha is not None:
            self._relu(alpha, [before], top)

    def _relu(self, alpha: float, inputs: Sequence[str], output: str) -> None:
        attributes = {"alpha": alpha} if alpha else {}
        self._builder.node("LeakyRelu" if alpha else "Relu", inputs, [output], **attributes)

    def _inputs(self, layer: Layer) -> list[str]:
        """The blobs that go in, and the weights, for who counts them."""
        names = list(layer.bottoms)
        for number, weights in enumerate(layer.weights):
            if weights.dtype in ("float32", "float16"):
                size = 2 if weights.dtype == "float16" else 4
                shape = [weights.place[1] // size]
                name = self._builder.name(f"{layer.name}.{number}")
                self._builder.stored(name, weights.dtype, shape, weights.place, self._weights)
                names.append(name)
        return names

    def _simple(self, layer: Layer) -> bool:
        """An operator that ONNX has as well; False for any other."""
        builder, (top, *_), bottoms = self._builder, layer.tops, list(layer.bottoms)
        kind = layer.kind
        if kind == "PReLU":
            slopes = self._along_first(layer, f"{layer.name}.slope", self._ranks[top])
            builder.node("PRelu", [*bottoms, slopes], [top])
        elif kind == "ReLU":
            self._relu(layer.number(0), bottoms, top)
        elif kind == "Clip":
            ends = [self._scalar(f"{layer.name}.{k}", layer.number(k)) for k in (0, 1)]
            builder.node("Clip", [*bottoms, *ends], [top])
        elif kind == "UnaryOp" and layer.whole(0) in _UNARY:
            builder.node(_UNARY[layer.whole(0)], bottoms, [top])
        elif kind in _ALONE:
            builder.node(_ALONE[kind], bottoms, [top])
        elif kind in ("Dropout", "Noop"):
            builder.node("Identity", bottoms[:1], [top])
        elif kind == "BinaryOp":
            return self._binary(layer, top, bottoms)
        else:
            return False
        return True

    def _binary(self, layer: Layer, top: str, bottoms: list[str]) -> bool:
        kind = layer.whole(0)
        turned = kind in (7, 8)  # b - a, b / a
        if kind >= len(_BINARY) and not turned:
            return False
        if layer.whole(1):
            bottoms = [*bottoms, self._scalar(f"{layer.name}.b", layer.number(2))]
        elif len({self._ranks[blob] for blob in bottoms}) > 1:
            return False  # broadcast by ncnn's own rules
        operator = _BINARY[kind - 6] if turned else _BINARY[kind]
        self._builder.node(operator, bottoms[::-1] if turned else bottoms, [top])
        return True

    def _scalar(self, name: str, value: float) -> str:
        return self._builder.constant(self._builder.name(name), np.array(value, np.float32))

    def _along_first(self, layer: Layer, name: str, rank: int | None) -> str:
        """The first weights of a layer along the first axis after that of the batch."""
        builder, weights = self._builder, layer.weights[0]
        count = weights.place[1] // 4
        stored = builder.name(name)
        builder.stored(stored, "float32", [count], weights.place, self._weights)
        laid = builder.name(f"{name} laid")
        sizes = np.array([count, *[1] * ((rank or 3) - 1)], np.int64)
        shape = builder.constant(builder.name(f"{name} shape"), sizes)
        builder.node("Reshape", [stored, shape], [laid])
        return laid


def _free(rank: int | None) -> Shape | None:
    return None if rank is None else (None,) * (rank + 1)
