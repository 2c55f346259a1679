"""LiteRT's interpreter, from the package ai-edge-litert or else from TensorFlow.

It runs in its own process (`runtimes/hosting.py`): a file may crash it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from prelu_tools.core.arrays import Array, packed
from prelu_tools.core.process.versions import installed_version

Kernels = Literal["xnnpack", "builtin"]


def load(path: str, kernels: Kernels, inputs: Sequence[int], outputs: Sequence[int]) -> Interpreter:
    """See `runtimes.hosting`."""
    return Interpreter(path, kernels, inputs, outputs)


class Interpreter:
    """A model that the interpreter has loaded."""

    def __init__(
        self, path: str, kernels: Kernels, inputs: Sequence[int], outputs: Sequence[int]
    ) -> None:
        """Load it.

        Args:
            path: the file.
            kernels: `xnnpack` for those that an app gets by default, `builtin` for LiteRT's own.
            inputs: the tensors that are fed, by number.
            outputs: the tensors that are wanted, by number.
        """
        self._inputs, self._outputs = inputs, outputs
        module = interpreter_module()
        resolvers = module.OpResolverType
        resolver = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        resolver = resolvers.AUTO if kernels == "xnnpack" else resolver
        self._sizes: dict[int, tuple[int, ...]] = {}
        self._interpreter = module.Interpreter(
            model_path=path, num_threads=1, experimental_op_resolver_type=resolver
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The tensors that are wanted, in their order."""
        feeds = dict(zip(self._inputs, inputs, strict=True))
        self._size(feeds)
        for number, values in feeds.items():
            self._interpreter.set_tensor(number, packed(values))
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_tensor(number)) for number in self._outputs]

    def _size(self, feeds: Mapping[int, Array]) -> None:
        """Give the inputs the sizes of what they are fed, where they have others.

        Only then memory is set aside: a file may state sizes that its own operators do not take.
        """
        sizes = {number: values.shape for number, values in feeds.items()}
        if sizes == self._sizes:
            return
        for item in self._interpreter.get_input_details():
            if tuple(item["shape"]) != sizes[item["index"]]:
                self._interpreter.resize_tensor_input(item["index"], sizes[item["index"]])
        self._interpreter.allocate_tensors()
        self._sizes = sizes


def interpreter_module() -> Any:
    """The module that has `Interpreter` and `OpResolverType`."""
    if installed_version("ai-edge-litert") is not None:
        return importlib.import_module("ai_edge_litert.interpreter")
    tensorflow: Any = importlib.import_module("tensorflow")

    class _OfTensorFlow:
        Interpreter = tensorflow.lite.Interpreter
        OpResolverType = tensorflow.lite.experimental.OpResolverType

    return _OfTensorFlow


def is_installed() -> bool:
    """Whether one of the two packages is there; nothing is imported."""
    return installed_version("ai-edge-litert", "tensorflow", "tensorflow-cpu") is not None


def runtime_version() -> str:
    """Which interpreter runs, with its version."""
    own = installed_version("ai-edge-litert")
    if own:
        return f"LiteRT {own}"
    return f"TensorFlow {installed_version('tensorflow', 'tensorflow-cpu')}"
