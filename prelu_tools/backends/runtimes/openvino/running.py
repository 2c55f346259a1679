"""OpenVINO on the CPU in float32: its automatic rounding to bfloat16 is switched off.

It runs in its own process (`runtimes/hosting.py`): a file may crash it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from prelu_tools.core.arrays import Array, packed

_CONFIG: Final = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}

Place = tuple[str, int]
"""A layer by its name, and which of its outputs."""


def load(path: str, x: Place | None, outputs: Sequence[Place]) -> Compiled:
    """See `runtimes.hosting`."""
    return Compiled(path, x, outputs)


class Compiled:
    """A model, or the layers between two tensors of one, compiled for the ranks of its inputs."""

    def __init__(self, path: str, x: Place | None, outputs: Sequence[Place]) -> None:
        """Read it.

        Args:
            path: the `.xml`.
            x: the tensor that is fed; None for the model's own inputs.
            outputs: what is wanted; without an x, after the model's own.
        """
        self._ov: Any = importlib.import_module("openvino")
        self._path, self._x, self._outputs = path, x, outputs
        self._compiled: Any = None
        self._rank = -1
        if x is None:
            model = self._ov.Core().read_model(path)
            if outputs:
                model.add_outputs([_output(model, place) for place in outputs])
            self._compile(model)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Its outputs, and then what was added."""
        if self._x is not None and inputs[0].ndim != self._rank:
            self._compile(self._alone(self._x, inputs[0].ndim))
            self._rank = inputs[0].ndim
        found = self._compiled([packed(values) for values in inputs])
        return [np.array(found[output]) for output in self._compiled.outputs]

    def _alone(self, x: Place, rank: int) -> Any:
        ov, opset = self._ov, importlib.import_module("openvino.opset13")
        model = ov.Core().read_model(self._path)
        before, after = (_output(model, place) for place in (x, *self._outputs))
        shape = ov.PartialShape([ov.Dimension()] * rank)
        parameter = opset.parameter(shape, before.get_element_type())
        for target in before.get_target_inputs():
            target.replace_source_output(parameter.output(0))
        return ov.Model([opset.result(after)], [parameter], "alone")

    def _compile(self, model: Any) -> None:
        self._compiled = self._ov.Core().compile_model(model, "CPU", _CONFIG)


def _output(model: Any, place: Place) -> Any:
    name, number = place
    found = next((op for op in model.get_ops() if op.get_friendly_name() == name), None)
    if found is None:
        raise RuntimeError(f"there is no layer {name!r} in this model")
    return found.output(number)
