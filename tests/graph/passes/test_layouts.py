"""What gives what it is given goes, unless it is an output of the graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from graph_text import Array, model, operators, whole

from prelu_tools.graph.passes.cleaning.layouts import drop_idle_casts, drop_idle_reshapes

CONSTANTS: Mapping[str, Array] = {"same": np.array([0, 3, 20]), "both": np.array([0, 0, 20])}


@pytest.mark.parametrize(
    ("body", "shape", "left"),
    [
        ("r = Reshape(x, same) y = Neg(r)", "[N,3,20]", ["Neg"]),
        ("r = Reshape(x, same) s = Reshape(r, same) y = Neg(s)", "[N,3,20]", ["Neg"]),
        ("y = Reshape(x, same)", "[N,3,20]", ["Reshape"]),
        ("r = Reshape(x, both) y = Neg(r)", "[N,M,20]", ["Reshape", "Neg"]),
        ("c = Cast<to = 1>(x) y = Neg(c)", "[N,3,20]", ["Neg"]),
        ("y = Cast<to = 1>(x)", "[N,3,20]", ["Cast"]),
        ("c = Cast<to = 10>(x) d = Cast<to = 1>(c) y = Neg(d)", "[N,3,20]",
         ["Cast", "Cast", "Neg"]),
    ],
)  # fmt: skip
def test_what_does_nothing_goes(body: str, shape: str, left: list[str]) -> None:
    found = whole(model(body, f"float{shape} x", f"float{shape} y", CONSTANTS))
    drop_idle_reshapes(found)
    drop_idle_casts(found)
    assert operators(found.proto) == left
    assert [value.name for value in found.proto.graph.output] == ["y"]
