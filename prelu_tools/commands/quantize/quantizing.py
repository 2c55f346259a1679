"""A model while it is quantized: in floating point, plainly quantized, with integer PReLU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.quantizing import (
    QuantizerOptions,
    folded,
    quantized_statically,
)
from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.commands.quantize.ranges import FASTEST, RangeSample
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import align
from prelu_tools.graph.copies.instrument import tapped
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.passes.lowering import fitting_forms, lower, lowerable
from prelu_tools.graph.passes.portable import to_portable
from prelu_tools.graph.quantized.channels import equalize, negate
from prelu_tools.graph.quantized.forms import (
    FLOAT,
    IntegerPlace,
    IntegerWriter,
    fitting_integer_forms,
    followers,
)
from prelu_tools.graph.walk import free_name, users_of

_QUANTIZED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_IN_FLOAT = ("relu", "identity", "leaky_relu", "max", "relu_mul")  # the fastest that fits


@dataclass
class FloatModel:
    """A floating-point model, as it is given to the quantizer, and what its data showed."""

    proto: onnx.ModelProto
    """Every PReLU is a PRelu node; normalisations are folded; every node has a name."""
    located: tuple[LocatedLayer, ...]
    """Its layers."""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of the inputs of PReLU in the first run, by the tensor's name."""
    sized: set[str] = field(default_factory=set)
    """Tensors whose last axis had the same size in all runs."""
    samples: dict[str, RangeSample] = field(default_factory=dict)
    """By the name of the tensor that goes into a PReLU: values of it, with their slopes."""
    peaks: dict[str, Array] = field(default_factory=dict)
    """By the same name, the largest size of each channel after that PReLU."""
    coverage: CoverageBook = field(default_factory=lambda: CoverageBook(()))
    """Which negative branches the calibration data used."""

    @property
    def results(self) -> dict[str, str]:
        """The output tensor of each layer's first call, by layer name."""
        return {x.layer.name: x.matches[0].node.output[0] for x in self.located}


def float_model(model: OnnxModel) -> FloatModel:
    """Prepare a model for the quantizer.

    Raises:
        PReLUToolsError: onnxruntime cannot load it.
    """
    portable = to_portable(model, hidden=False)
    proto = folded(portable.inlined())
    taken = {node.name for node in proto.graph.node}
    for node in proto.graph.node:
        if not node.name:
            node.name = free_name(f"{node.op_type}_{node.output[0]}", taken)
    return FloatModel(proto, _outside(OnnxModel(proto, None)))


def _outside(model: OnnxModel) -> tuple[LocatedLayer, ...]:
    """The layers that are in no body of an If, Loop or Scan: the quantizer looks into none."""
    found = lowerable(model)
    return tuple(item for item in found if all(view.outer is None for view, _ in item.calls))


def look(
    found: FloatModel, feeds: Sequence[Feeds], label: str, shapes: Sequence[Sequence[object]]
) -> None:
    """Run the model on the calibration data, and store the inputs of its PReLU layers.

    Args:
        found: the model.
        feeds: the data.
        label: its name for messages.
        shapes: of its inputs; where a size is dynamic, no map keeps its width, whatever the data
            show.

    Raises:
        PReLUToolsError: it does not run on the data.
    """
    calls = [(x.layer, m) for x in found.located for m in x.matches]
    names = list(dict.fromkeys(match.x for _, match in calls))
    inputs = {value.name for value in found.proto.graph.input}
    inside = [name for name in names if name not in inputs]
    session = Session(tapped(found.proto, inside), "cpu", label)
    found.coverage = CoverageBook([x.layer for x in found.located])
    is_free = any(isinstance(size, str) for shape in shapes for size in list(shape)[2:])
    found.sized = set() if is_free else set(names)
    for number, feed in enumerate(feeds):
        values = {**{n: feed[n] for n in names if n in feed}, **session.fetch(feed, inside)}
        for layer, match in calls:
            x = values[match.x]
            first = found.shapes.setdefault(match.x, x.shape)
            if x.shape[-1:] != first[-1:]:
                found.sized.discard(match.x)
            found.coverage.note(layer.name, x)
            slopes = align(match.slopes, x.ndim)
            found.samples.setdefault(match.x, RangeSample()).add(x, slopes, number)
            axes = tuple(axis for axis in range(x.ndim) if axis != 1)
            sizes = np.abs(np.where(x > 0, x, slopes * x)).max(axis=axes, initial=0.0)
            found.peaks[match.x] = np.maximum(sizes, found.peaks.get(match.x, 0.0))


def equalized(model: FloatModel) -> FloatModel | None:
    """A copy with channels closer in size, not yet run; None if no layer allows that."""
    return _changed(model, lambda proto: equalize(proto, model.peaks))


def negated(model: FloatModel) -> FloatModel | None:
    """A copy with fewer slopes above 1, not yet run; None if no layer allows for that."""
    return _changed(model, negate)


def _changed(model: FloatModel, change: Callable[[onnx.ModelProto], int]) -> FloatModel | None:
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    return FloatModel(proto, _outside(OnnxModel(proto, None))) if change(proto) else None


@dataclass(frozen=True)
class Quantizer:
    """Quantizes one model, with ranges that are calibrated once."""

    model: FloatModel
    """The model."""
    feeds: Sequence[Feeds]
    """The calibration data."""
    options: QuantizerOptions
    """Options of onnxruntime's quantizer."""
    folder: Path
    """Where the ranges are kept."""

    def plain(self) -> onnx.ModelProto:
        """What `quantize_static` makes of it, PRelu nodes in floating point."""
        return quantized_statically(
            self.model.proto, self.feeds, self.options, cache=self.folder / "ranges.json"
        )

    def prepared(self, kept: Sequence[str], worth: float) -> Prepared:
        """The same with ranges for PReLU in integers.

        Args:
            kept: the layers that stay in floating point, with the node before each.
            worth: see `RangeSample.best`.
        """
        ranges: dict[str, tuple[float, float]] = {}
        users = users_of(self.model.proto.graph)
        for item in self.model.located:
            for match in item.matches:
                if item.layer.name in kept or not item.layer.slopes.size:
                    continue
                best = self.model.samples[match.x].best(worth)
                ranges[match.x] = best.x
                result = match.node.output[0]
                for name in (result, *followers(users, result)):
                    ranges[name] = best.y
        proto = quantized_statically(
            self.model.proto, self.feeds, self.options, ranges=ranges,
            excluded=self._nodes_of(kept), cache=self.folder / "ranges.json",
        )  # fmt: skip
        return Prepared(self.model, proto, worth == FASTEST)

    def _nodes_of(self, kept: Sequence[str]) -> list[str]:
        makers = {name: n for n in self.model.proto.graph.node for name in n.output}
        names = []
        for item in self.model.located:
            if item.layer.name in kept:
                for match in item.matches:
                    names.append(match.node.name)
                    before = makers.get(match.x)
                    if before is not None and before.op_type in _QUANTIZED:
                        names.append(before.name)
        return names


@dataclass(frozen=True)
class Prepared:
    """A QDQ graph whose PRelu nodes can be written in integers."""

    model: FloatModel
    """The floating-point model."""
    proto: onnx.ModelProto
    """The graph, PRelu nodes in floating point."""
    fastest: bool
    """Whether to take forms that are less exact for being faster."""

    def places(self, writer: IntegerWriter) -> dict[str, IntegerPlace]:
        """By `layer` or `layer#2` for its second call."""
        names = {
            call_name(item.layer.name, number): match.node.output[0]
            for item in self.model.located
            for number, match in enumerate(item.matches)
        }
        return writer.places(names)

    def fitting(self) -> dict[str, tuple[str, ...]]:
        """The forms that fit each call, the most exact one first; `float` alone for no place."""
        places = self.places(self._writer(self.proto))
        found = {}
        for item in self.model.located:
            for number in range(len(item.matches)):
                name = call_name(item.layer.name, number)
                place = places.get(name)
                found[name] = fitting_integer_forms(place, self.fastest) if place else (FLOAT,)
        return found

    def written(self, forms: Mapping[str, str]) -> onnx.ModelProto:
        """A copy with each call in its form; calls in floating point in the fastest form."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.proto)
        writer = self._writer(copy)
        places = self.places(writer)
        writer.write(places, forms)
        left = OnnxModel(copy, None)
        choices = {}
        for item in _outside(left):
            fitting = set(fitting_forms(item, special=False, rounding=False))
            choices[item.layer.name] = next(f for f in _IN_FLOAT if f in fitting)
        lower(left, choices)
        return left.proto

    def _writer(self, proto: onnx.ModelProto) -> IntegerWriter:
        return IntegerWriter(proto, self.model.shapes, frozenset(self.model.sized))


def call_name(layer: str, number: int) -> str:
    """The name of a layer's call among forms."""
    return layer if not number else f"{layer}#{number + 1}"


def demand_opset(model: OnnxModel, label: str) -> None:
    """Reject a model whose opset lacks per-channel scales.

    Raises:
        PReLUToolsError: it is older than 13.
    """
    if model.opset < 13:
        raise PReLUToolsError(
            f"{label} has opset {model.opset}, but integers with a scale for each channel need "
            f"13: convert it first (prelu-tools export {label} -o new.onnx)"
        )
