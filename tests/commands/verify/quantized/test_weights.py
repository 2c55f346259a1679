"""Which quantized weights are, value by value, those of the reference."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from prelu_tools.commands.verify.quantized import weights as module
from prelu_tools.commands.verify.quantized.weights import weights_within_half_a_step
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

KERNEL = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
STEPS = np.float64([[0.125], [0.25], [0.5]])


def _proto(*values: Array) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(a, f"w{i}") for i, a in enumerate(values)]
    return helper.make_model(helper.make_graph([], "g", [], [], tensors))


def _reference(monkeypatch: pytest.MonkeyPatch, own: list[Array], folded: list[Array] | None
) -> Any:  # fmt: skip
    """A graph with these tensors, and others where its normalisations are folded; None for none."""
    plain = _proto(*own)

    def fold(proto: onnx.ModelProto) -> onnx.ModelProto:
        assert proto is plain
        if folded is None:
            raise PReLUToolsError("onnxruntime does not load it")
        return _proto(*folded) if folded else proto

    monkeypatch.setattr(module, "folded", fold)
    return SimpleNamespace(model=SimpleNamespace(inlined=lambda: plain))


def _found(reference: Any, *values: Array, steps: Array | float = STEPS) -> tuple[int, int]:
    weights = {str(i): SimpleNamespace(values=a, steps=steps) for i, a in enumerate(values)}
    return weights_within_half_a_step(cast(Any, SimpleNamespace(steps=weights)), reference)


@pytest.mark.parametrize(
    ("share", "close"), [(0.0, 1), (0.5, 1), (0.504, 1), (0.506, 0), (-0.504, 1), (-0.506, 0)]
)
def test_each_value_may_be_off_by_half_of_its_step(
    share: float, close: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = _reference(monkeypatch, [KERNEL], [])
    for row in range(3):
        off = np.zeros((3, 4))
        off[row, 3 - row] = share * STEPS[row, 0]
        assert _found(reference, KERNEL + off) == (close, 1)


@pytest.mark.parametrize(("off", "close"), [(0.9e-5, 1), (1.1e-5, 0)])
def test_large_values_may_be_off_by_what_folding_rounds(
    off: float, close: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.float32([1000.0, -1000.0])
    reference = _reference(monkeypatch, [large], [])
    assert _found(reference, large.astype(np.float64) * (1 + off), steps=0.0) == (close, 1)


@pytest.mark.parametrize(
    ("own", "folded", "close"),
    [
        pytest.param([KERNEL], [], 1, id="as it is"),
        pytest.param([KERNEL + 1, KERNEL], [], 1, id="any of them"),
        pytest.param([KERNEL + 1], [KERNEL], 1, id="folded"),
        pytest.param([KERNEL], [KERNEL + 1], 1, id="not folded"),
        pytest.param([KERNEL], None, 1, id="folding fails"),
        pytest.param([KERNEL.T.copy()], [], 1, id="turned round"),
        pytest.param([KERNEL + 1], [KERNEL.T.copy()], 1, id="folded and turned round"),
        pytest.param([KERNEL + 1], [KERNEL + 2], 0, id="others"),
        pytest.param([KERNEL.reshape(3, 4, 1)], [], 0, id="another shape"),
        pytest.param([np.int64(KERNEL)], [], 0, id="integers"),
        pytest.param([], [], 0, id="nothing"),
    ],
)
def test_they_are_looked_for_in_the_reference_as_it_is_and_folded(
    own: list[Array], folded: list[Array] | None, close: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = _reference(monkeypatch, own, folded)
    assert _found(reference, KERNEL, steps=0.0) == (close, 1)


def test_those_found_are_counted_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = _reference(monkeypatch, [KERNEL, np.float32([1, 2])], [])
    assert _found(reference, KERNEL, KERNEL + 1, KERNEL, steps=0.0) == (2, 3)
    assert _found(reference) == (0, 0)
    assert _found(_reference(monkeypatch, [KERNEL * 0], []), KERNEL * 0, steps=0.0) == (1, 1)
    assert _found(None, KERNEL) == (0, 1)
