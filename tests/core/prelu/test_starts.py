"""When slopes are where training starts."""

from __future__ import annotations

import numpy as np
import pytest
from made_layers import layer_of

from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.starts import are_at_start, untrained


def layer(name: str, slopes: list[float]) -> PReLULayer:
    return layer_of(np.asarray(slopes, np.float32), name=name)


@pytest.mark.parametrize(
    ("slopes", "start", "expected"),
    [
        ([0.25, 0.25], None, True),
        ([0.0, -0.0], None, True),
        ([0.25, 0.0], None, False),
        ([0.1, 0.1], None, False),
        ([0.1, 0.1], 0.1, True),
        ([0.25, 0.25], 0.1, False),
        ([0.25, np.nan], None, False),
    ],
)
def test_only_slopes_that_are_all_at_one_start_are(
    slopes: list[float], start: float | None, expected: bool
) -> None:
    for kind in (np.float16, np.float32, np.float64):
        assert are_at_start(np.asarray(slopes, kind), start) is expected


def test_one_layer_that_moved_is_enough_for_a_model_to_be_trained() -> None:
    start, moved = layer("a", [0.25, 0.25]), layer("b", [0.25, 0.26])
    assert untrained([start, moved], "net", "advice") is None
    assert untrained([], "net", "advice") is None
    found = untrained([start, layer("c", [0.0])], "net", "advice")
    assert found is not None
    assert found == "all 3 slopes of net have their initial value (0.25, 0): advice"
    assert found.code == "slopes_initial"
    one = untrained([layer("c", [0.25])], "net", "advice")
    assert one == "the only slope of net has its initial value (0.25): advice"
