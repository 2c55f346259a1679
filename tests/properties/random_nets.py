"""Random nets with PReLUs, as plain data: what they are, not how a file or framework has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

Array = np.ndarray[Any, np.dtype[Any]]
Draw = Any

SPELLINGS = (
    "prelu", "relu", "identity", "leaky_relu", "depthwise", "relu_mul", "relu_neg", "relu_sub",
    "where", "where_mask", "max_min", "clip", "abs", "max", "max_neg", "linear",
)  # fmt: skip
"""Every name in `graph/match/forms.py`; a test holds it so."""
FIRST_OPSET = 13
_SMALLEST = {"float32": 2.0**-126, "float16": 2.0**-14}
_LARGEST_NET = 8


@dataclass(frozen=True)
class Layer:
    """One learned slope tensor."""

    name: str
    form: str
    slopes: Array
    """Laid over a row of the input: (channels, sizes...), 1 where they are shared."""
    stored: str
    """Axes of the tensor in the file: `few` (without those in front that numpy's rule adds; none
    for one slope), `row`, or `batch` (with one for the batch)."""
    last: bool = False
    """Whether it stands between two Transpose nodes, where channels are last."""


@dataclass(frozen=True)
class Step:
    """One value of a net, made of earlier ones."""

    kind: str
    """conv, gemm, prelu, add, concat, flatten, pool, scale, relu."""
    sources: tuple[int, ...]
    """Numbers of the values that it is made of; inputs come first."""
    layer: int = -1
    weight: Array | None = None
    bias: Array | None = None


@dataclass
class Net:
    """A net without its batch axis: a value's shape is (channels, sizes...), or (features,)."""

    dtype: str
    opset: int
    inputs: list[tuple[int, ...]]
    layers: list[Layer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    names: str = "torch"
    """Who is supposed to have named the tensors: torch, an exporter, or nobody."""
    batch: str | int = "batch"

    def calls(self, layer: int) -> list[int]:
        """The values that a layer makes."""
        first = len(self.inputs)
        return [first + i for i, step in enumerate(self.steps) if step.layer == layer]

    @property
    def sources(self) -> set[int]:
        """The values that something is made of."""
        return {number for step in self.steps for number in step.sources}


@st.composite
def nets(draw: Draw, newest: int) -> Net:
    """A net of up to a dozen steps: chains, branches, sums, several inputs and outputs."""
    sizes = st.integers(1, 4)
    rank = draw(st.sampled_from((2, 3, 4, 4, 4, 5)))
    shape = (draw(sizes), *(draw(sizes) for _ in range(rank - 2)))
    net = Net(
        dtype=draw(st.sampled_from(("float32", "float32", "float16"))),
        opset=draw(st.integers(FIRST_OPSET, newest)),
        inputs=[shape] * draw(st.sampled_from((1, 1, 2))),
        names=draw(st.sampled_from(("torch", "exporter", "nobody"))),
        batch=draw(st.sampled_from(("batch", "batch", 2))),
    )
    net.shapes = list(net.inputs)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for _ in range(draw(st.integers(1, _LARGEST_NET))):
        _grow(draw, net, random)
    for number in range(len(net.inputs)):
        if number not in net.sources:
            _add_prelu(draw, net, random, number)
    if not net.layers:
        _add_prelu(draw, net, random, len(net.shapes) - 1)
    leaves = [n for n in range(len(net.shapes)) if n not in net.sources]
    inner = [n for n in range(len(net.inputs), len(net.shapes)) if n not in leaves]
    more = draw(st.lists(st.sampled_from(inner), max_size=2, unique=True)) if inner else []
    net.outputs = draw(st.permutations([*leaves, *more]))
    return net


def _grow(draw: Draw, net: Net, random: np.random.Generator) -> None:
    source = draw(st.integers(0, len(net.shapes) - 1))
    shape = net.shapes[source]
    kinds = ["prelu", "prelu", "prelu", "scale", "relu"]
    kinds += ["conv"] * (len(shape) in (2, 3)) + ["gemm"] * (len(shape) == 1)
    kinds += ["flatten", "pool"] * (len(shape) > 1)
    others = [n for n, other in enumerate(net.shapes) if other == shape and n != source]
    kinds += ["add", "concat"] * bool(others)
    kind = draw(st.sampled_from(kinds))
    if kind == "prelu":
        _add_prelu(draw, net, random, source)
    elif kind == "conv":
        _add_conv(draw, net, random, source)
    elif kind == "gemm":
        wide = draw(st.integers(1, 4))
        weight = _weights(random, (wide, shape[0]), net.dtype)
        bias = _weights(random, (wide,), net.dtype) if draw(st.booleans()) else None
        _append(net, Step("gemm", (source,), weight=weight, bias=bias), (wide,))
    elif kind in ("add", "concat"):
        other = draw(st.sampled_from(others))
        made = shape if kind == "add" else (2 * shape[0], *shape[1:])
        _append(net, Step(kind, (source, other)), made)
    elif kind == "flatten":
        _append(net, Step(kind, (source,)), (int(np.prod(shape)),))
    elif kind == "pool":
        _append(net, Step(kind, (source,)), (shape[0],))
    else:
        # Not -1: x - x is 0 for all inputs.
        factor = np.asarray(draw(st.sampled_from((0.5, -0.75, 1.25))), net.dtype)
        _append(net, Step(kind, (source,), weight=factor if kind == "scale" else None), shape)


def _append(net: Net, step: Step, shape: tuple[int, ...]) -> None:
    net.steps.append(step)
    net.shapes.append(shape)


def _weights(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    fan_in = int(np.prod(shape[1:])) or 1
    return np.asarray(random.normal(0.0, 1.0, shape) / np.sqrt(fan_in)).astype(dtype)


def _add_conv(draw: Draw, net: Net, random: np.random.Generator, source: int) -> None:
    shape = net.shapes[source]
    wide, kernel = draw(st.integers(1, 4)), draw(st.sampled_from((1, 3)))
    weight = _weights(random, (wide, shape[0], *[kernel] * (len(shape) - 1)), net.dtype)
    bias = _weights(random, (wide,), net.dtype) if draw(st.booleans()) else None
    _append(net, Step("conv", (source,), weight=weight, bias=bias), (wide, *shape[1:]))


def _add_prelu(draw: Draw, net: Net, random: np.random.Generator, source: int) -> None:
    shape = net.shapes[source]
    fitting = [i for i, layer in enumerate(net.layers) if _lies(layer, shape)]
    if fitting and draw(st.integers(0, 3)) == 0:  # the same layer once more
        number = draw(st.sampled_from(fitting))
    else:
        number = len(net.layers)
        net.layers.append(_layer(draw, net.dtype, random, shape, f"act{number}"))
    _append(net, Step("prelu", (source,), layer=number), shape)


def _lies(layer: Layer, shape: tuple[int, ...]) -> bool:
    fits = layer.slopes.ndim == len(shape) and all(
        a in (1, b) for a, b in zip(layer.slopes.shape, shape, strict=False)
    )
    return fits and (layer.form != "depthwise" or layer.slopes.shape[0] == shape[0])


def _layer(
    draw: Draw, dtype: str, random: np.random.Generator, shape: tuple[int, ...], name: str
) -> Layer:
    form = draw(st.sampled_from(SPELLINGS))
    if form == "depthwise" and len(shape) not in (2, 3):
        form = "relu_mul"
    sharing = draw(st.sampled_from(("channel-shared", "channel-wise", "element-wise", "any")))
    if form in ("relu", "identity", "leaky_relu", "depthwise"):
        sharing = "channel-wise"
    kept = {
        "channel-shared": [False] * len(shape),
        "channel-wise": [True] + [False] * (len(shape) - 1),
        "element-wise": [True] * len(shape),
    }.get(sharing) or [draw(st.booleans()) for _ in shape]
    sizes = tuple(size if keep else 1 for size, keep in zip(shape, kept, strict=True))
    slopes = _slopes(draw, form, random, sizes, dtype)
    stored = draw(st.sampled_from(("few", "row", "batch")))
    last = form != "depthwise" and len(shape) > 1 and draw(st.integers(0, 3)) == 0
    return Layer(name, form, slopes, stored, last)


def _slopes(
    draw: Draw, form: str, random: np.random.Generator, sizes: tuple[int, ...], dtype: str
) -> Array:
    """Of all sizes and both signs, special ones among them; no two layers have equal ones."""
    if form in ("relu", "identity"):
        return np.full(sizes, float(form == "identity"), dtype)
    values = random.normal(0.1, 1.0, sizes).astype(dtype)
    if form == "leaky_relu":
        return np.full(sizes, values.flat[0], dtype)
    odd = draw(st.sampled_from((None, None, 0.0, -0.0, 1.0, 0.25, _SMALLEST[dtype] / 4, 3.75)))
    if odd is not None and form != "abs":  # half a subnormal number may be none
        values.flat[draw(st.integers(0, values.size - 1))] = odd
    if form in ("max", "max_neg"):
        values = np.where(values > 1, 2 - values, values).astype(dtype)
    if form == "linear":
        values = values.clip(-2, 2)
    return values
