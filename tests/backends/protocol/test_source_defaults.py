"""What a source answers that does not say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.prelu.slopes import PReLULayer

SLOPES = np.array([[0.25, -0.5]], np.float32)
LAYER = PReLULayer("act", ("act",), None, "prelu", SLOPES, None, (2,), None, True)


class _Plain(SourceDefaults):
    label = "net.plain"

    def __init__(self, layer: PReLULayer = LAYER) -> None:
        self._layer = layer

    def layers(self) -> tuple[PReLULayer, ...]:
        return (self._layer,)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        assert layer == self._layer.name
        return lambda x: np.where(x > 0, x, self._layer.slopes * x)


def test_what_is_not_known_is_not_claimed() -> None:
    plain = _Plain()
    assert (plain.opset, plain.notes, plain.computes_in, plain.graph) == (None, (), None, None)
    assert (plain.lookups({}), plain.random_parts(), plain.decisions([])) == ((), (), ())
    assert plain.dependence("y") is None
    assert not plain.is_unread("act", {})
    assert (plain.frees_sizes, plain.observes_apart) == (False, False)


def test_a_source_that_cannot_be_converted_says_so() -> None:
    with pytest.raises(PReLUToolsError, match=r"^net\.plain cannot be converted"):
        _Plain().convert(ConversionOptions(18))


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_narrow_type_is_that_of_the_slopes(kind: str) -> None:
    import ml_dtypes

    narrow = SLOPES.astype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
    assert _Plain(replace(LAYER, slopes=narrow)).computes_in == kind


def test_layers_by_themselves_run_in_the_framework() -> None:
    x = np.array([[-1, -2], [3, -4]], np.float32)
    found = _Plain().isolated({"act": x}, "")
    np.testing.assert_array_equal(found["act"], [[-0.25, 1], [3, 2]])
