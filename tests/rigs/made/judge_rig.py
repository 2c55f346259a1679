"""A judge of layers, with a reference and a candidate that are nothing but arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from made_layers import layer_of

from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer, Shape
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.core.rounding.tolerance import Extent

SLOPES = np.array([0.25, -0.5, 0.125], np.float32)
X = np.array([[-1, -2, -4], [1, 2, -8]], np.float32)
Y = np.where(X > 0, X, X * SLOPES)
EXACT = Tolerance(0.0, 0.0, scaled=False, origin="given")
LAST = (0, 2, 3, 1)


def bare(name: str, slopes: Array, input_shape: Shape | None = None, **other: Any) -> PReLULayer:
    names = {"nodes": (f"{name}_node",), "parameter": f"{name}.weight"}
    return replace(layer_of(slopes, input_shape, name), **{**names, **other})


def flat(name: str = "a", slopes: Array = SLOPES, **other: Any) -> PReLULayer:
    return bare(name, slopes.reshape(1, -1), (None, slopes.size), **other)


# Against the reference


class Rig:
    """A judge with a reference that gave these values, and a candidate."""

    def __init__(
        self,
        mine: Sequence[PReLULayer],
        found: Sequence[PReLULayer],
        tolerance: Tolerance = EXACT,
        x: Array = X,
        **extents: Extent,
    ) -> None:
        book = CoverageBook(mine)
        for layer in mine:
            book.note(layer.name, x)
        self.stash = Stash()
        self.reference = Reference(
            cast(Any, None),
            tuple(mine),
            [],
            Rows({}, frozenset()),
            book,
            self.stash,
            layer_extents=extents,
        )
        self.judge = LayerJudge(self.reference, found, Layouts(), tolerance)

    def expect(self, layer: str, y: Array, call: int = 0, run: int = 0) -> None:
        """What the reference gave in a call of a layer."""
        self.stash.put(("float32", run, layer, call), y)

    def one(self, **placement: str) -> LayerParity:
        """The outcome, where there is one layer."""
        (found,) = self.judge.parities(placement)
        return found
