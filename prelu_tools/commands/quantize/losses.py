"""How far a quantized model is from the floating-point one: signal-to-noise ratios, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.graph.copies.instrument import tapped
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.quantized.layers import quantized_layers
from prelu_tools.graph.quantized.meaning import Meaning, meaning_of
from prelu_tools.graph.view import all_views


@dataclass
class Ratio:
    """A signal-to-noise ratio that is added up over runs."""

    _signal: float = 0.0
    _noise: float = 0.0

    def add(self, expected: Array, found: Array) -> None:
        """One run."""
        if expected.shape != found.shape or not np.issubdtype(expected.dtype, np.floating):
            return
        right = expected.astype(np.float64)
        self._signal += float((right**2).sum())
        self._noise += float(((found.astype(np.float64) - right) ** 2).sum())

    @property
    def decibels(self) -> float | None:
        """The ratio; None if there is no signal, or no noise."""
        if not self._signal or not self._noise:
            return None
        return 10 * float(np.log10(self._signal / self._noise))


@dataclass
class Losses:
    """What is lost, output by output and layer by layer."""

    outputs: dict[str, Ratio] = field(default_factory=dict)
    layers: dict[str, Ratio] = field(default_factory=dict)
    same: dict[str, list[int]] = field(default_factory=dict)
    """For outputs that are rows of classes: rows with the same top class, and all rows."""

    def top1(self, output: str) -> float | None:
        """The share of rows with the same largest value."""
        same, rows = self.same.get(output, [0, 0])
        return same / rows if rows else None


class Watched:
    """A floating-point model, run on data: its outputs and those of its PReLU layers."""

    def __init__(self, proto: onnx.ModelProto, tensors: Mapping[str, str], label: str) -> None:
        """Load it.

        Args:
            proto: the model.
            tensors: the output tensor of each layer's first call, by layer name.
            label: its name for messages.
        """
        self._names = [value.name for value in proto.graph.output]
        self._tensors = tensors
        self._session = Session(tapped(proto, tensors.values()), "cpu", label)

    def run(self, feeds: Feeds) -> tuple[dict[str, Array], dict[str, Array]]:
        """The outputs, and the layers' outputs by name."""
        inside = [name for name in self._tensors.values() if name not in self._names]
        found = self._session.fetch(feeds, [*self._names, *inside])
        layers = {layer: found[name] for layer, name in self._tensors.items()}
        return {name: found[name] for name in self._names}, layers


def losses_of(
    proto: onnx.ModelProto, watched: Watched, feeds: Sequence[Feeds], label: str
) -> Losses:
    """Run a quantized model and the one in floating point on the same data.

    Raises:
        PReLUToolsError: onnxruntime cannot run it.
    """
    meaning = meaning_of(OnnxModel(proto, None))
    tensors = {} if meaning is None else _results(meaning, proto)
    plain = Session(proto, "cpu", label)
    inside = Session(tapped(proto, tensors.values()), "cpu", label)
    found = Losses()
    for feed in feeds:
        outputs, layers = watched.run(feed)
        results = plain.run(feed)
        for name, expected in outputs.items():
            found.outputs.setdefault(name, Ratio()).add(expected, results[name])
            _count_same(found.same.setdefault(name, [0, 0]), expected, results[name])
        seen = inside.fetch(feed, list(dict.fromkeys(tensors.values()))) if tensors else {}
        for layer, name in tensors.items():
            codes = None if meaning is None else meaning.codes.get(name)
            values = seen[name]
            reals = values if codes is None or values.dtype.kind == "f" else codes.reals(values)
            if layer in layers:
                found.layers.setdefault(layer, Ratio()).add(layers[layer], reals)
    return found


def _results(meaning: Meaning, proto: onnx.ModelProto) -> dict[str, str]:
    """The output tensor of each layer's first call, by layer name."""
    known = {name for node in proto.graph.node for name in node.output}
    located = quantized_layers(locate_layers(all_views(meaning.model)))
    names = {item.layer.name: item.matches[0].node.output[0] for item in located}
    return {layer: name for layer, name in names.items() if name in known}


def _count_same(counts: list[int], expected: Array, found: Array) -> None:
    is_row = expected.ndim == 2 and expected.shape[1] > 1 and expected.shape == found.shape
    if is_row and np.issubdtype(expected.dtype, np.floating):
        counts[0] += int((expected.argmax(axis=1) == found.argmax(axis=1)).sum())
        counts[1] += len(expected)
