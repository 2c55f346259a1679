"""ncnn's two files: the layers in `.param` (text), and their weights in `.bin`.

https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure and the `load_model` of each
layer in ncnn's sources.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prelu_tools.core.errors import PReLUToolsError

_MAGIC: Final = "7767517"
_LARGEST: Final = 64 << 20  # bytes of a .param; the largest known ones have 1 MB
_UNSET: Final = -233
_LISTS: Final = -23300
_TAG: Final = 4  # bytes
_HALF, _INT8, _SINGLE = 0x01306B47, 0x000D4B38, 0x0002C056  # tags of weights
_TABLE: Final = 256 * 4  # bytes before weights that are indices

Value = float | tuple[float, ...]


class DamagedError(PReLUToolsError, ValueError):
    """The files are not what ncnn writes."""


@dataclass(frozen=True)
class Weights:
    """Where some numbers of a layer are in the `.bin`."""

    place: tuple[int, int]
    """The position of the first byte after a tag, and the number of bytes."""
    dtype: str
    """numpy's name of their type; `table` for indices into one."""
    span: tuple[int, int]
    """The range of bytes to the next ones, with a tag and what fills up."""


@dataclass(frozen=True)
class Layer:
    """A line of the `.param`."""

    kind: str
    """ncnn's name of the layer's type."""
    name: str
    """Its own name."""
    bottoms: tuple[str, ...]
    """The blobs that go in."""
    tops: tuple[str, ...]
    """The blobs that come out."""
    parameters: Mapping[int, Value]
    """Its parameters by number."""
    line: str
    """The line itself."""
    weights: tuple[Weights, ...] = ()
    """Its weights, in their order."""

    def number(self, key: int, default: float = 0) -> float:
        """A parameter that is one number.

        Raises:
            DamagedError: it is a list.
        """
        found = self.parameters.get(key, default)
        if isinstance(found, tuple):
            raise DamagedError(
                f"ncnn layer {self.name!r} has a list as parameter {key}, not a number"
            )
        return found

    def first(self, key: int) -> float:
        """The first number of a parameter that is a list; 0 if there is none."""
        found = self.parameters.get(key, 0.0)
        return found if not isinstance(found, tuple) else next(iter(found), 0.0)

    def digits(self, key: int) -> int:
        """In how many decimal digits the file writes a number, or the first one of a list."""
        words = dict(word.partition("=")[::2] for word in self.line.split())
        text = words.get(str(key)) or words.get(str(_LISTS - key), "").partition(",")[2]
        return len(re.split("[,eE]", text)[0].lstrip("+-0.").replace(".", ""))

    def whole(self, key: int, default: int = 0) -> int:
        """The same as an integer, which ncnn keeps in 32 bits.

        Raises:
            DamagedError: it is a list, or does not fit.
        """
        found = int(self.number(key, default))
        if abs(found) >= 1 << 31:
            raise DamagedError(f"ncnn layer {self.name!r} has {found} as parameter {key}")
        return found


Counts = Sequence[tuple[int, bool]]
"""How many numbers, and whether a tag before them says their type."""


def _convolution(layer: Layer) -> Counts:
    if layer.whole(28 if layer.kind.startswith("Deconvolution") else 19):  # weights are an input
        return []
    return [(layer.whole(6), True), *_bias(layer, 5)]


def _dense(layer: Layer) -> Counts:
    return [(layer.whole(2), True), *_bias(layer, 1)]


def _bias(layer: Layer, key: int) -> Counts:
    return [(layer.whole(0), False)] if layer.whole(key) else []


def _affine(count: int, affine: int, size: int) -> Callable[[Layer], Counts]:
    """So many vectors of a size that is a parameter, if another one is not 0."""
    return lambda layer: [(layer.whole(size), False)] * (count if layer.whole(affine, 1) else 0)


def _scale(layer: Layer) -> Counts:
    size = layer.whole(0)
    return [] if size == _UNSET else [(size, False)] * (2 if layer.whole(1) else 1)


def _memory(layer: Layer) -> Counts:
    return [(math.prod(dims_of(layer)), layer.whole(21, 1) == 0)]


def _recurrent(gates: int, biases: int) -> Callable[[Layer], Counts]:
    def counts(layer: Layer) -> Counts:
        outputs, both = layer.whole(0), 2 if layer.whole(2) == 2 else 1
        hidden = layer.whole(3, outputs) if gates == 4 else outputs
        found = [(layer.whole(1), True), (hidden * biases * both, True)]
        found.append((outputs * hidden * gates * both, True))
        return [*found, (outputs * hidden * both, True)] if hidden != outputs else found

    return counts


def _embedding(layer: Layer) -> Counts:
    return [(layer.whole(3), True), *_bias(layer, 2)]


def _attention(layer: Layer) -> Counts:
    size, weights = layer.whole(0), layer.whole(2)
    keys, values = layer.whole(3, size), layer.whole(4, size)
    queries = weights // max(size, 1)
    found: list[tuple[int, bool]] = []
    for count, bias in ((weights, size), (size * keys, size), (size * values, size),
                        (queries * size, queries)):  # fmt: skip
        found += [(count, True), (bias, False)]
    return found


def _product(layer: Layer) -> Counts:
    m, n, k = (layer.whole(key) for key in (7, 8, 9))
    found: list[tuple[int, bool]] = []
    found += [(m * k, True)] if layer.whole(4) else []
    found += [(n * k, True)] if layer.whole(5) else []
    sizes = {0: 1, 1: m, 2: m, 3: m * n, 4: n}
    kind = layer.whole(10)
    found += [(sizes[kind], True)] if layer.whole(6) and kind in sizes else []
    return found


_CONVOLUTIONS: Final = tuple(
    f"{kind}{dimensions}"
    for kind in ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")
    for dimensions in ("", "1D", "3D")
)
_WEIGHTS: Final[Mapping[str, Callable[[Layer], Counts]]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    "InnerProduct": _dense,
    "BatchNorm": lambda layer: [(layer.whole(0), False)] * 4,
    "Scale": _scale,
    "Bias": lambda layer: [(layer.whole(0), False)],
    "PReLU": lambda layer: [(layer.whole(0), False)],
    "InstanceNorm": _affine(2, 2, 0),
    "GroupNorm": _affine(2, 3, 1),
    "LayerNorm": _affine(2, 2, 0),
    "RMSNorm": _affine(1, 2, 0),
    "MemoryData": _memory,
    "Normalize": lambda layer: [(layer.whole(3), False)],
    "Embed": _embedding,
    "LSTM": _recurrent(4, 4),
    "GRU": _recurrent(3, 4),
    "RNN": _recurrent(1, 1),
    "MultiHeadAttention": _attention,
    "Gemm": _product,
}
_QUANTIZED: Final = (*_CONVOLUTIONS, "InnerProduct")


def dims_of(layer: Layer) -> tuple[int, ...]:
    """The sizes of a MemoryData or an Input, as numpy has them: channels first; () for none."""
    sizes = [layer.whole(key) for key in (2, 11, 1, 0)]
    return tuple(size for size in sizes if size)


def read_files(param: Path, weights: Path) -> tuple[Layer, ...]:
    """The layers in their order, with the places of their weights.

    Raises:
        PReLUToolsError: a file cannot be read, or is not ncnn's.
    """
    try:
        if param.stat().st_size > _LARGEST:
            raise DamagedError(f"it has more than {_LARGEST >> 20} MB")
        layers = _lines(param.read_text(encoding="utf-8", errors="replace"))
        with weights.open("rb") as file:
            return tuple(_placed(file.fileno(), layers))
    except OSError as error:
        raise PReLUToolsError(f"{error.filename} cannot be read: {error.strerror}") from error
    except (DamagedError, ValueError, OverflowError) as error:
        raise PReLUToolsError(f"{param} is not a readable ncnn model: {error}") from error


def _lines(text: str) -> list[Layer]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].strip() != _MAGIC:
        raise DamagedError(f"expected {_MAGIC} in its first line")
    return [_layer(line) for line in lines[2:]]


def _layer(line: str) -> Layer:
    words = line.split()
    if line.startswith("pnnx."):
        raise DamagedError(
            "it is pnnx's own graph; use ncnn's, which pnnx writes next to it: .ncnn.param"
        )
    if len(words) < 4 or not (words[2].isdecimal() and words[3].isdecimal()):
        raise DamagedError(f"expected a layer, found {line[:60]!r}")
    bottoms = 4 + int(words[2])
    tops = bottoms + int(words[3])
    if tops > len(words):
        raise DamagedError(f"layer {words[1]!r} has fewer blobs than it declares")
    parameters = dict(map(_parameter, words[tops:]))
    kind, name = words[:2]
    return Layer(kind, name, tuple(words[4:bottoms]), tuple(words[bottoms:tops]), parameters, line)


def _parameter(word: str) -> tuple[int, Value]:
    key, _, value = word.partition("=")
    number = int(key)
    if number > _LISTS:
        return number, _finite(value)
    return _LISTS - number, tuple(_finite(part) for part in value.split(",")[1:])


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise DamagedError(f"{text} is not a number")
    return value


def _placed(descriptor: int, layers: Sequence[Layer]) -> list[Layer]:
    size, place = os.fstat(descriptor).st_size, 0
    found = []
    for layer in layers:
        if layer.kind in _QUANTIZED and layer.whole(8):
            raise DamagedError(f"layer {layer.name!r} is quantized to int8, which is not supported")
        counts = _WEIGHTS[layer.kind](layer) if layer.kind in _WEIGHTS else []
        weights = []
        for count, tagged in counts:
            weights.append(_weights(descriptor, place, count, tagged, size))
            place = weights[-1].span[1]
        found.append(
            Layer(layer.kind, layer.name, layer.bottoms, layer.tops, layer.parameters,
                  layer.line, tuple(weights))
        )  # fmt: skip
    if place != size:
        raise DamagedError(f"its weights have {size:,} bytes, but its layers need {place:,}")
    return found


def _weights(descriptor: int, place: int, count: int, tagged: bool, size: int) -> Weights:
    if count < 0:
        raise DamagedError(f"a layer has {count:,} weights")
    tag = int.from_bytes(os.pread(descriptor, _TAG, place), "little") if tagged else 0
    start = place + (_TAG if tagged else 0)
    if tag in (0, _SINGLE):
        kind, length = "float32", 4 * count
    elif tag in (_HALF, _INT8):
        kind, length = ("float16", 2 * count) if tag == _HALF else ("int8", count)
    else:
        kind, length = "table", _TABLE + count
    end = start + length + -length % 4
    if end > size:
        raise DamagedError(f"its weights end at byte {size:,}, but a layer needs {end:,}")
    return Weights((start, length), kind, (place, end))
