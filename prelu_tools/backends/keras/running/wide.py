"""Run the graph of a model, observed; in float64 or perturbed, if it was made for that.

Cloning a model under a float64 policy fails on subclassed models and on classes that insist on
float32 (sometimes silently); the trace shows every operation and every type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import Program
from prelu_tools.backends.keras.running.eagerly import as_written
from prelu_tools.backends.keras.running.perturbing import perturb
from prelu_tools.backends.keras.running.widen import widen
from prelu_tools.backends.protocol.calls import Tally
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.grouping import grouped
from prelu_tools.core.rounding.noise import Noise

_UNKNOWN = 64  # for a size that is unknown in the trace


class ProgramRunner:
    """Runs a program, and reports its PReLU calls to an observer."""

    def __init__(
        self,
        program: Program,
        tally: Callable[[], Tally] | None,
        wide: bool = False,
        noise: Noise | None = None,
    ) -> None:
        """Make the functions that are run.

        Args:
            program: the graph of a model.
            tally: makes the observer of each run; None if none is needed.
            wide: whether to compute in float64.
            noise: how to perturb the results of its operators; None for not at all.

        Raises:
            PReLUToolsError: TensorFlow cannot widen or perturb it.
        """
        self.stayed_narrow: tuple[str, ...] = ()
        self._program = program
        self._tally = tally
        self._wide = wide
        try:
            with quiet(show=False):
                definition = program.definition
                if wide or noise is not None:
                    definition = type(definition).FromString(definition.SerializeToString())
                if wide:
                    self.stayed_narrow = widen(definition)
                if noise is not None:
                    perturb(definition, noise)
                self._outputs = program.function(
                    program.inputs, list(program.outputs.values()), definition
                )
                self._groups = self._tapped(definition) if tally is not None else []
        except Exception as error:
            raise PReLUToolsError(f"{type(error).__name__}: {_line(error)}") from error

    def _tapped(self, definition: Any) -> list[tuple[list[str], Any]]:
        """Functions from the inputs to the tensors of a few PReLU calls each."""
        program = self._program
        nodes = {node.name: node for node in definition.node}
        sizes = [
            sum(_bytes(nodes, tensor) for tensor in (tap.x, tap.y)) for tap in program.open_taps
        ]
        return [
            (
                [tap.parameter for tap in group],
                program.function(
                    program.inputs, [name for tap in group for name in (tap.x, tap.y)], definition
                ),
            )
            for group in grouped(program.open_taps, sizes)
        ]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        program = self._program
        values = [feeds[spec.name] for spec in program.specs]
        values += [weight.read() for weight in program.weights]
        try:
            with quiet(show=False), as_written():
                flat = [tf.constant(_wide(value) if self._wide else value) for value in values]
                outputs = [np.asarray(value) for value in self._outputs(*flat)]
                self._tell(flat)
        except Exception as error:
            raise PReLUToolsError(f"{type(error).__name__}: {_line(error)}") from error
        for name, array in zip(program.outputs, outputs, strict=True):
            if self._wide and str(array.dtype) in ("float16", "bfloat16"):
                raise PReLUToolsError(f"output {name!r} stays {array.dtype}")
        return dict(zip(program.outputs, outputs, strict=True))

    def _tell(self, flat: Sequence[Any]) -> None:
        if self._tally is None:
            return
        tally = self._tally()
        for names, function in self._groups:
            tapped = [np.asarray(value) for value in function(*flat)]
            for place, name in enumerate(names):
                tally(name, tapped[2 * place], tapped[2 * place + 1])


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _bytes(nodes: Mapping[str, Any], tensor: str) -> int:
    name, _, port = tensor.partition(":")
    shapes = nodes[name].attr["_output_shapes"].list.shape
    if len(shapes) <= int(port or 0) or shapes[int(port or 0)].unknown_rank:
        return _UNKNOWN
    sizes = [_UNKNOWN if dim.size < 0 else dim.size for dim in shapes[int(port or 0)].dim]
    return 8 * int(np.prod(sizes, dtype=np.int64))


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
