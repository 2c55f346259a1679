"""An ONNX file that no runtime runs correctly, run by onnx's own evaluator in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.protocol.runners import Observer, Runner
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, one_line
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.repair import Repair


class NumpySource(OnnxSource):
    """A repaired file, which onnxruntime runs differently or not at all.

    It is run unchanged, in its own opset, by onnx's evaluator, which is only given the axis of the
    repaired slopes. Nothing is rewritten for that.
    """

    def __init__(
        self,
        source: OnnxGraph,
        original: OnnxModel,
        repaired: OnnxModel,
        repairs: Sequence[Repair],
    ) -> None:
        """Take a source.

        Args:
            source: the file.
            original: its model, local functions inlined.
            repaired: the same with the slopes where they belong: for its layers.
            repairs: what was done.
        """
        super().__init__(source.path, repaired, source.label, source.options)
        self._original = original
        self._axes = {repair.output: repair.axis for repair in repairs}

    @contextmanager
    def runner(self, observe: Observer | None = None) -> Iterator[Runner]:
        """See `Source.runner`.

        Raises:
            PReLUToolsError: onnx's evaluator does not know an operator of it.
        """
        yield _NumpyRunner(self, self._original.inlined(), self._axes, observe)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the definition of PReLU, in numpy."""
        found = next((item for item in self.layers() if item.name == layer), None)
        if found is None:
            raise PReLUToolsError(f"{layer} is not a layer of {self.label}")
        slopes = found.slopes

        def prelu(x: Array) -> Array:
            with np.errstate(all="ignore"):
                return np.where(x < 0, slopes * x, x)

        return prelu


class _NumpyRunner:
    """onnx's evaluator, with PRelu as this file means it."""

    def __init__(
        self,
        source: OnnxSource,
        proto: onnx.ModelProto,
        axes: Mapping[str, int],
        observe: Observer | None,
    ) -> None:
        self._source = source
        self._observe = observe
        self._outputs = [value.name for value in proto.graph.output]
        try:
            self._evaluator = ReferenceEvaluator(proto, new_ops=_operators(proto, axes))
        except Exception as error:
            raise PReLUToolsError(self._words(error)) from error

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        try:
            with np.errstate(all="ignore"):
                found: Any = self._evaluator.run(None, dict(feeds), intermediate=True)
        except Exception as error:
            raise PReLUToolsError(self._words(error)) from error
        if self._observe is not None:
            self._tell(found, self._observe)
        return {name: np.asarray(found[name]) for name in self._outputs}

    def _tell(self, found: Mapping[str, Array], observe: Observer) -> None:
        for item in self._source.located:
            for number, (view, match) in enumerate(item.calls):
                if view.outer is None:
                    y = found[match.node.output[0]]
                    y = y if match.order is None else y.transpose(inverse(match.order))
                    observe(item.layer.name, number, found[match.x], y)

    def _words(self, error: Exception) -> str:
        told = one_line(error)
        return f"onnx's evaluator in numpy cannot run {self._source.label}: {told}"


def _operators(proto: onnx.ModelProto, axes: Mapping[str, int]) -> list[type[OpRun]]:
    """PRelu with slopes along given axes, by the output's name; others by numpy's rule.

    And BatchNormalization before opset 14: onnx's own fails (6), or computes statistics of the
    batch (9).
    """

    class PRelu(OpRun):
        op_domain = ""

        def _run(self, x: Array, slope: Array) -> tuple[Array]:
            axis = axes.get(self.onnx_node.output[0])
            if axis is not None:
                slope = slope.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            return (np.where(x < 0, x * slope, x).astype(x.dtype),)

    class BatchNormalization(OpRun):
        op_domain = ""

        def _run(self, x: Array, *given: Array, epsilon: float = 1e-5, **_: Any) -> tuple[Array]:
            by_channel = [-1 if i == 1 else 1 for i in range(x.ndim)]
            scale, bias, mean, var = (values.reshape(by_channel) for values in given)
            return ((x - mean) / np.sqrt(var + x.dtype.type(epsilon)) * scale + bias,)

    opset = OnnxModel(proto, None).opset
    return [PRelu, BatchNormalization] if opset < 14 else [PRelu]
