"""ncnn in float32: its automatic rounding to float16 or bfloat16 is switched off.

So are Winograd convolutions, whose rounding error is up to 30 times that of others, as large as the
effect of a wrong slope. It runs in its own process (`runtimes/hosting.py`): a file may crash it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from prelu_tools.core.arrays import Array, packed
from prelu_tools.core.errors import PReLUToolsError

_NARROWING: Final = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic",
                     "use_bf16_packed", "use_bf16_storage", "use_int8_inference",
                     "use_int8_packed", "use_int8_storage", "use_int8_arithmetic",
                     "use_vulkan_compute", "use_winograd_convolution")  # fmt: skip


def load(param: str, weights: str, inputs: Sequence[str], outputs: Sequence[str]) -> Net:
    """See `runtimes.hosting`."""
    return Net(param, weights, inputs, outputs)


class Net:
    """A model that ncnn has loaded."""

    def __init__(
        self, param: str, weights: str, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        """Load it.

        Args:
            param: the file of its layers.
            weights: the file of their weights.
            inputs: the blobs that are fed.
            outputs: the blobs that are wanted.
        """
        self._ncnn: Any = importlib.import_module("ncnn")
        self._inputs, self._outputs = inputs, outputs
        self._net = self._ncnn.Net()
        for option in _NARROWING:
            if hasattr(self._net.opt, option):
                setattr(self._net.opt, option, False)
        self._net.opt.num_threads = 1
        _check(self._net.load_param(param))
        _check(self._net.load_model(weights))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Blobs with the axis of the batch, which ncnn does not have: one row after the other."""
        return in_rows(inputs, self._run)

    def _run(self, inputs: Sequence[Array]) -> list[Array]:
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)
        held = [self._ncnn.Mat(packed(values)).clone() for values in inputs]  # a Mat keeps no array
        codes = [extractor.input(n, mat) for n, mat in zip(self._inputs, held, strict=True)]
        found = [extractor.extract(blob) for blob in self._outputs]
        _check(*codes, *(code for code, _ in found))
        return [np.array(mat) for _, mat in found]


def in_rows(inputs: Sequence[Array], run: Callable[[Sequence[Array]], list[Array]]) -> list[Array]:
    """The results of all rows, with the axis of the batch before their own.

    Args:
        inputs: with the axis of the batch; a scalar has none, and is the same for all rows.
        run: takes one row of each, and gives results without that axis.

    Raises:
        PReLUToolsError: inputs have different numbers of rows, or the rows different shapes.
    """
    counts = {values.shape[0] for values in inputs if values.ndim} or {1}
    if len(counts) != 1:
        raise PReLUToolsError("its inputs differ in their first size, so it has no batch axis")
    rows = [
        run([values[row] if values.ndim else values for values in inputs])
        for row in range(counts.pop())
    ]
    if any(len({part.shape for part in parts}) > 1 for parts in zip(*rows, strict=True)):
        raise PReLUToolsError("it gives results of different shapes for different rows")
    return [np.stack(parts) for parts in zip(*rows, strict=True)]


def _check(*codes: int) -> None:
    wrong = next(filter(None, codes), 0)
    if wrong:
        raise RuntimeError(f"code {wrong}")
