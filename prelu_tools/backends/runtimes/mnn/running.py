"""MNN on the CPU, at its high precision (float32); runs in its own process.

Winograd convolutions are switched off as far as possible: their rounding error is up to 800 times
that of others, as large as the effect of a wrong slope.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array, packed

_CONFIG = {"backend": "CPU", "precision": "high", "numThread": 1}
_NO_WINOGRAD = (3, 0)  # MNN's HintMode WINOGRAD_MEMORY_LEVEL: the smallest units only


def load(path: str, inputs: Sequence[str], outputs: Sequence[str], is_packed: bool) -> Module:
    """See `runtimes.hosting`."""
    return Module(path, inputs, outputs, is_packed)


class Module:
    """The operators between some tensors of a file, loaded."""

    def __init__(
        self, path: str, inputs: Sequence[str], outputs: Sequence[str], is_packed: bool
    ) -> None:
        """Load them.

        Args:
            path: the file.
            inputs: the tensors that are fed.
            outputs: the tensors that are wanted.
            is_packed: whether inputs have to be in the layout NC4HW4, as tensors inside a model
                may.
        """
        self._n_outputs, self._is_packed = len(outputs), is_packed
        mnn: Any = importlib.import_module("MNN")  # never MNN.tools: it sends statistics
        self._expr = mnn.expr
        runtime = mnn.nn.create_runtime_manager((_CONFIG,))
        runtime.set_hint(*_NO_WINOGRAD)
        self._module = mnn.nn.load_module_from_file(
            path, list(inputs), list(outputs), runtime_manager=runtime
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs in the order in which they were requested."""
        found = self._module.forward([self._variable(values) for values in inputs])
        if len(found) != self._n_outputs:
            raise RuntimeError(f"it returned {len(found)} of {self._n_outputs} results")
        return [self._values(variable) for variable in found]

    def _variable(self, values: Array) -> Any:
        floating = values.dtype.kind == "f"
        kind = self._expr.float if floating else self._expr.int
        given = packed(values.astype(np.float32 if floating else np.int32))
        plain = self._expr.const(given, list(given.shape), self._expr.NCHW, kind)
        return self._expr.convert(plain, self._expr.NC4HW4) if self._is_packed else plain

    def _values(self, variable: Any) -> Array:
        plain = variable
        if variable.data_format == self._expr.NC4HW4:
            plain = self._expr.convert(variable, self._expr.NCHW)
        found: Array = np.array(plain.read()).reshape(plain.shape)
        return found
