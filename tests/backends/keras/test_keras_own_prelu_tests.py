"""Keras' own tests of its PReLU, as its package ships them: what they call goes through export."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from running import cli

pytestmark = pytest.mark.keras

OWN_TESTS = ("test_prelu", "test_prelu_correctness")


class _Call(NamedTuple):
    """A call of the layer with numbers."""

    layer: Any
    alpha: Any
    x: Any
    y: Any


@contextmanager
def _calls() -> Iterator[list[_Call]]:
    """Note every call of Keras' PReLU that has numbers, not symbols, in and out."""
    import keras
    import tensorflow as tf

    kept, found = keras.layers.PReLU.__call__, []

    def call(layer: Any, x: Any, *more: Any, **options: Any) -> Any:
        y = kept(layer, x, *more, **options)
        numbers = not isinstance(x, keras.KerasTensor) and (
            not tf.is_tensor(y) or isinstance(y, tf.__internal__.EagerTensor)
        )
        if numbers:
            arrays = (np.array(value) for value in (layer.alpha, x, y))
            found.append(_Call(layer, *arrays))
        return y

    keras.layers.PReLU.__call__ = call
    try:
        yield found
    finally:
        keras.layers.PReLU.__call__ = kept


@pytest.mark.parametrize("name", OWN_TESTS)
def test_keras_own_test_through_export(name: str, tmp_path: Path) -> None:
    from keras.src.layers.activations import prelu_test

    result = unittest.TestResult()
    with _calls() as calls:
        prelu_test.PReLUTest(name).run(result)
    assert result.wasSuccessful(), [*result.errors, *result.failures]
    assert calls
    for number, call in enumerate(calls):
        _holds_in_onnx(call, tmp_path / str(number))


def _holds_in_onnx(call: _Call, folder: Path) -> None:
    """The layer in a file of Keras' own gives, once exported, what it gave in the test."""
    import keras

    folder.mkdir()
    layer = keras.layers.PReLU.from_config(call.layer.get_config())
    model = keras.Sequential([keras.Input(call.x.shape[1:], name="x"), layer])
    layer.alpha.assign(call.alpha)
    model.save(folder / "own.keras")
    found = cli("export", folder / "own.keras", "-o", folder / "own.onnx", "-q")
    assert found.code == 0, found.err
    graph = onnx.load(folder / "own.onnx").graph
    (node,) = [node for node in graph.node if node.op_type == "PRelu"]
    assert node.name == layer.name
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    np.testing.assert_array_equal(tensors[node.input[1]].reshape(call.alpha.shape), call.alpha)
    session = onnxruntime.InferenceSession(folder / "own.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": call.x.astype(np.float32)})
    assert y.dtype == np.float32  # under a mixed policy too, whose results are narrower
    np.testing.assert_array_equal(y.astype(call.y.dtype), call.y)
