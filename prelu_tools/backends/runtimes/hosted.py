"""A model in a file that its runtime reads in its own process: see `hosting.py`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
import onnx

from prelu_tools.backends.protocol.inputs import TensorSpec, one_size_a_name, stated_spec
from prelu_tools.backends.runtimes.hosting import Engine, Host, host_of
from prelu_tools.backends.runtimes.source import Loaded, RuntimeSource
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.prelu.slopes import Shape


class HostedSource(RuntimeSource):
    """Each runtime says how the whole of a file is loaded, and how a part of it."""

    called: ClassVar[str]
    """The runtime's name, for messages."""
    package: ClassVar[str]
    """The module that runs it. The extra has the name of the runtime's folder, whose module
    `running` has `load`: see `hosting.py`."""

    @abstractmethod
    def whole(self, outputs: Sequence[str]) -> Engine:
        """The model, which takes its inputs in their order.

        Args:
            outputs: tensors of the graph to return: the model's own outputs, then others.

        Raises:
            PReLUToolsError: the runtime is not installed, or cannot load it.
        """

    @abstractmethod
    def alone(self, x: str, y: str, label: str) -> Engine:
        """The operators between two tensors of the graph, as a model of one input and one output.

        Raises:
            PReLUToolsError: as in `whole`.
        """

    def output_tensors(self) -> Mapping[str, str]:
        """The tensor of the graph for each output, by the output's name."""
        return {value.name: value.name for value in self.model.proto.graph.output}

    @classmethod
    def demand(cls, label: str, purpose: str = "run") -> Host:
        """The process of the runtime, which is started when it is needed.

        Raises:
            MissingExtraError: the runtime is not installed.
        """
        folder = cls.__module__.rpartition(".")[0]
        if not cls.is_installed():
            extra = folder.rpartition(".")[2]
            raise MissingExtraError(cls.package, extra, f"to {purpose} {label}")
        return host_of(cls.called, f"{folder}.running")

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the runtime can be imported; nothing is."""
        return find_spec(cls.package) is not None

    @property
    def quantized(self) -> str | None:
        """How it is quantized, as the start of a sentence; None for a floating-point model."""
        return None

    def host(self) -> Host:
        """The process of the runtime that runs it.

        Raises:
            MissingExtraError: the runtime is not installed.
            PReLUToolsError: the model is quantized.
        """
        if self.quantized is not None:
            raise PReLUToolsError(
                f"{self.quantized}, which changes a model by far more than rounding error: verify "
                "compares float models only; to see its slopes, use prelu-tools inspect"
            )
        return self.demand(self.label)

    @contextmanager
    def loaded(self, names: Sequence[str]) -> Iterator[Loaded]:
        """See `RuntimeSource.loaded`: tensors that are wanted become outputs."""
        tensors = [value.name for value in self.model.proto.graph.input]
        inputs = dict(zip(tensors, (spec.name for spec in self.inputs()), strict=True))
        outputs = self.output_tensors()
        inside = [name for name in names if name not in inputs]
        wanted = list(dict.fromkeys([*outputs.values(), *inside]))
        yield _Named(self.whole(wanted), inputs, outputs, wanted)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the operators between its input and its output alone."""
        view, match = self.placed_call(layer)
        engine = self.alone(match.x, match.node.output[0], f"{layer} alone")
        stored = view.element_type(match.x) or onnx.TensorProto.FLOAT
        kind, order = onnx.helper.tensor_dtype_to_np_dtype(stored), match.order

        def run(values: Array) -> Array:
            (found,) = engine.run([values.astype(kind)])
            with np.errstate(over="ignore", under="ignore"):
                found = found.astype(values.dtype)
            return found if order is None else found.transpose(inverse(order))

        return run


class _Named:
    """A loaded model with inputs and outputs by name."""

    def __init__(
        self,
        engine: Engine,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        wanted: Sequence[str],
    ) -> None:
        self._engine = engine
        self._inputs = inputs
        self._outputs = outputs
        self._wanted = wanted

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Loaded.run`."""
        given = {tensor: feeds[name] for tensor, name in self._inputs.items()}
        answer = self._engine.run(list(given.values()))
        found = {**given, **dict(zip(self._wanted, answer, strict=True))}
        return {name: found[tensor] for name, tensor in self._outputs.items()}, found


def specs_of(tensors: Sequence[tuple[str, str, Shape]], options: SourceOptions) -> list[TensorSpec]:
    """The inputs of a file.

    Args:
        tensors: the name, type and sizes of each, as the file states them.
        options: may fix sizes that the file leaves open.

    Raises:
        UsageError: they have another number of dimensions.
    """
    given = {option.name: option.shape for option in options.inputs}
    specs = [stated_spec(name, dtype, shape, given.get(name)) for name, dtype, shape in tensors]
    return one_size_a_name(specs)
