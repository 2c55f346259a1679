"""A model in the format of a runtime: its file is read as a graph, and the runtime runs it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import onnx

from prelu_tools.backends.probing.seeking import redraw
from prelu_tools.backends.protocol.defaults import GraphDefaults
from prelu_tools.backends.protocol.inputs import SearchLimits, TensorSpec
from prelu_tools.backends.protocol.interface import Searchable
from prelu_tools.backends.protocol.runners import Observer, Runner, WideRunner
from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.pointers import refuse_pointer
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.rounding.noise import Noise
from prelu_tools.graph.facts.tensors import Maker, floating_tensors
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer, locate_layers
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.view import all_views

if TYPE_CHECKING:
    from prelu_tools.graph.view import GraphView

_AT_ONCE = 64  # tensors observed in one run
_NARROW = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


def weights_beside(path: Path) -> Path:
    """The `.bin` file that has the weights of a graph in its own file.

    Raises:
        PReLUToolsError: there is none, or it is a Git LFS pointer.
    """
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise PReLUToolsError(f"{path} needs its weights next to it: expected {weights}")
    refuse_pointer(weights)
    return weights


class Loaded(Protocol):
    """A model that a runtime has loaded."""

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """The outputs by name, and the tensors that were requested.

        Raises:
            PReLUToolsError: the runtime rejects the inputs.
        """
        ...


class RuntimeSource(GraphDefaults):
    """What all runtimes share; each says how its files are loaded."""

    framework: str

    def __init__(self, label: str, model: OnnxModel, specs: Sequence[TensorSpec]) -> None:
        """Take a model that was read.

        Args:
            label: as the user spelled it.
            model: its graph, tensor for tensor; weights may be in its file still.
            specs: its inputs.
        """
        self.label = label
        self.model = model
        self._specs = tuple(specs)
        self.producer = model.proto.producer_name

    @abstractmethod
    def loaded(self, names: Sequence[str]) -> AbstractContextManager[Loaded]:
        """The model, loaded by its runtime.

        Args:
            names: tensors of the graph that are wanted in addition to the outputs.

        Raises:
            PReLUToolsError: the runtime is not installed, or cannot load it.
        """

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`."""
        return self._specs

    @cached_property
    def located(self) -> tuple[LocatedLayer, ...]:
        """The layers, and where they are in the graph."""
        found = locate_layers(all_views(self.model))
        return tuple(replace(item, layer=self._typed(item)) for item in found)

    def _typed(self, item: LocatedLayer) -> PReLULayer:
        """A layer whose slopes have the type in which the file stores them, where that holds them.

        Weights that are stored in a narrow type are widened as the model is loaded.
        """
        layer, match = item.layer, item.calls[0][1]
        stored = {t.name: t.data_type for t in self.model.proto.graph.initializer}
        kind = stored.get(match.parameter)
        layer = replace(layer, parameter=layer.parameter or match.parameter)
        if kind not in _NARROW or layer.slopes.dtype != np.float32:
            return layer
        narrow = layer.slopes.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
        same = np.array_equal(narrow.astype(np.float32), layer.slopes)
        return replace(layer, slopes=frozen(narrow)) if same else layer

    @property
    def searchable(self) -> Searchable:
        """See `Source.searchable`."""
        return self

    @property
    def has_bodies(self) -> bool:
        """False: such a body is a node like others here."""
        return False

    @abstractmethod
    def shows(self, tensor: str) -> bool:
        """Whether a tensor of the graph is one of the file, which `loaded` can be asked for."""

    def makers(self) -> dict[str, Maker]:
        """See `Searchable.makers`."""
        view = next(iter(all_views(self.model)))
        found = floating_tensors(view).items()
        return {n: m for n, m in found if self.shows(n) and not view.is_constant(n)}

    def every(
        self, _provider: str, names: Sequence[str], feeds: Mapping[str, Array]
    ) -> Iterator[tuple[str, Array]]:
        """See `Searchable.every`."""
        inputs = [spec.name for spec in self.inputs()]
        for start in range(0, len(names), _AT_ONCE):
            group = names[start : start + _AT_ONCE]
            with self.loaded(group) as loaded:
                _, found = loaded.run({name: feeds[name] for name in inputs})
            yield from ((name, found[name]) for name in group)

    @contextmanager
    def runner(self, observe: Observer | None = None) -> Iterator[Runner]:
        """See `Source.runner`: observed tensors and outputs are run separately."""
        calls = self._calls() if observe is not None else []
        names = list(dict.fromkeys(n for _, _, m in calls for n in (m.x, m.node.output[0])))
        with self.loaded([]) as plain:
            if observe is None or not names:
                yield _Runner(plain)
                return
            with self.loaded(names) as tapped:
                yield _Runner(plain, tapped, calls, observe)

    def _calls(self) -> list[tuple[str, int, Match]]:
        """Every call of a layer in the main graph."""
        return [
            (item.layer.name, number, match)
            for item in self.located
            for number, (view, match) in enumerate(item.calls)
            if view.outer is None
        ]

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """Not available.

        Raises:
            PReLUToolsError: always.
        """
        raise PReLUToolsError(f"{self.framework} does not run {self.label} in float64")

    def perturbed_runner(
        self, noise: Noise, observe: Observer | None = None
    ) -> AbstractContextManager[Runner]:
        """Not available.

        Raises:
            PReLUToolsError: always.
        """
        raise PReLUToolsError(f"{self.framework} cannot run a layer of {self.label} alone")

    def seek(
        self, _targets: object, start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: more draws, since runtimes give no gradients."""
        return redraw(start, limits)

    def call(self, layer: str) -> Match:
        """What was matched of `placed_call`."""
        return self.placed_call(layer)[1]

    def placed_call(self, layer: str) -> tuple[GraphView, Match]:
        """The first call of a layer, by the layer's name or, for a split layer, by its node's.

        Raises:
            PReLUToolsError: there is none of that name.
        """
        for item in self.located:
            for node, call in zip(item.layer.nodes, item.calls, strict=True):
                if layer in (item.layer.name, node):
                    return call
        raise PReLUToolsError(f"{layer} is not a layer of {self.label}")


class _Runner:
    """Runs the model, and once more where its layers are observed."""

    def __init__(
        self,
        plain: Loaded,
        tapped: Loaded | None = None,
        calls: Sequence[tuple[str, int, Match]] = (),
        observe: Observer | None = None,
    ) -> None:
        self._plain = plain
        self._tapped = tapped
        self._calls = calls
        self._observe = observe

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        if self._tapped is not None and self._observe is not None:
            _, found = self._tapped.run(feeds)
            for layer, number, match in self._calls:
                y = found[match.node.output[0]]
                y = y if match.order is None else y.transpose(inverse(match.order))
                self._observe(layer, number, found[match.x], y)
        return self._plain.run(feeds)[0]
