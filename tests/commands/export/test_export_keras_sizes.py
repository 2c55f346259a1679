"""A Keras export that works at the sizes of its trace only does not pass, and is not left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from running import cli

pytestmark = pytest.mark.keras

_NETS = '''
import keras
from keras import layers


@keras.saving.register_keras_serializable()
class Baked(layers.Layer):
    """Right when it runs; traced, it takes a size that it does not know for 48."""

    def call(self, x):
        height, width = x.shape[1] or 48, x.shape[2] or 48
        return keras.ops.reshape(x, (-1, height, width, x.shape[-1]))


def net(layer):
    keras.utils.set_random_seed(0)
    x = keras.Input((None, None, 2), name="x")
    y = layers.PReLU("normal", shared_axes=[1, 2], name="act")(layers.Conv2D(3, 1)(x))
    return keras.Model(x, layer(y))


def baked():
    return net(Baked())


def free():
    return net(layers.Activation("tanh"))
'''


def test_a_size_that_the_keras_trace_baked_in_fails(nets: Path, tmp_path: Path) -> None:
    found = cli("export", f"{nets}:baked", "-o", tmp_path / "net.onnx")
    assert found.code in (1, 3)
    assert "not written" in found.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opset", [13, 20])
def test_sizes_that_are_free_are_free_in_every_opset_of_keras(
    opset: int, nets: Path, tmp_path: Path
) -> None:
    found = cli("export", f"{nets}:free", "-o", tmp_path / "net.onnx", "--opset", opset)
    assert found.code == 0, found.err
    model = onnx.load(tmp_path / "net.onnx")
    assert [entry.version for entry in model.opset_import] == [opset]
    session = ort.InferenceSession(tmp_path / "net.onnx")
    for shape in ((1, 5, 7, 2), (3, 9, 4, 2)):
        (y,) = session.run(None, {"x": np.zeros(shape, np.float32)})
        assert y.shape == (*shape[:3], 3)
