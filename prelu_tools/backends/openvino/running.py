"""OpenVINO on the CPU, in float32: what it would round to bfloat16 by itself is switched off."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array, packed
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError

_CONFIG: Final = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}

Place = tuple[str, int]
"""A layer by its name, and which of its outputs."""


class Compiled:
    """A model that OpenVINO has compiled."""

    def __init__(self, path: Path, spelled: str, places: Sequence[Place] = ()) -> None:
        """Compile it.

        Args:
            path: the `.xml`.
            spelled: the model's name, for messages.
            places: outputs of layers that are wanted, behind the model's own.

        Raises:
            PReLUToolsError: OpenVINO is not installed, or refuses the model.
        """
        self._spelled = spelled
        ov = import_openvino(spelled)
        try:
            with quiet(show=False):
                core = ov.Core()
                model = core.read_model(str(path))
                added = [_output(model, place) for place in places]
                if added:
                    model.add_outputs(added)
                self._compiled = core.compile_model(model, "CPU", _CONFIG)
        except (RuntimeError, TypeError) as error:
            raise PReLUToolsError(f"OpenVINO cannot load {spelled}: {_sentence(error)}") from error

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Its outputs, and then what was added.

        Raises:
            PReLUToolsError: it rejects the inputs.
        """
        return _run(self._compiled, inputs, self._spelled)


class Alone:
    """The layers between two tensors, compiled as a model of their own."""

    def __init__(self, path: Path, x: Place, y: Place, rank: int, spelled: str) -> None:
        """Take them out of a model.

        Raises:
            PReLUToolsError: OpenVINO is not installed, or refuses them.
        """
        self._spelled = spelled
        ov = import_openvino(spelled)
        try:
            with quiet(show=False):
                core = ov.Core()
                model = core.read_model(str(path))
                before, after = _output(model, x), _output(model, y)
                shape = ov.PartialShape([ov.Dimension()] * rank)
                parameter = ov.opset13.parameter(shape, before.get_element_type())
                for target in before.get_target_inputs():
                    target.replace_source_output(parameter.output(0))
                alone = ov.Model([ov.opset13.result(after)], [parameter], "alone")
                self._compiled = core.compile_model(alone, "CPU", _CONFIG)
        except (RuntimeError, TypeError) as error:
            raise PReLUToolsError(f"OpenVINO cannot load {spelled}: {_sentence(error)}") from error

    def run(self, x: Array) -> Array:
        """What they make of an input."""
        return _run(self._compiled, [x], self._spelled)[0]


def _run(compiled: Any, inputs: Sequence[Array], spelled: str) -> list[Array]:
    try:
        with quiet(show=False):
            found = compiled([packed(values) for values in inputs])
            return [np.array(found[output]) for output in compiled.outputs]
    except (RuntimeError, TypeError) as error:
        shapes = ", ".join(str(list(values.shape)) for values in inputs)
        raise PReLUToolsError(
            f"OpenVINO fails on {spelled} with inputs {shapes}: {_sentence(error)}"
        ) from error


def _output(model: Any, place: Place) -> Any:
    name, number = place
    found = next((op for op in model.get_ops() if op.get_friendly_name() == name), None)
    if found is None:
        raise PReLUToolsError(f"OpenVINO has no layer {name!r} in this model")
    return found.output(number)


def import_openvino(spelled: str) -> Any:
    """OpenVINO, imported late.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        ov = importlib.import_module("openvino")
        importlib.import_module("openvino.opset13")
        return ov
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "openvino":
            raise
        raise MissingExtraError("openvino", "openvino", f"to run {spelled}") from error


def _sentence(error: Exception) -> str:
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return (told or lines or [type(error).__name__])[0][:300]
