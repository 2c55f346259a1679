"""tf2onnx's own rewriters leave PReLU whole, and still do what they are for."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import cli

pytestmark = pytest.mark.keras

_NETS = '''
import keras
import tensorflow as tf


class Largest(keras.layers.Layer):
    """max(x, a * x), its slope a scalar or a vector."""

    def __init__(self, shape, slope, name):
        super().__init__(name=name)
        start = keras.initializers.Constant(slope)
        self.alpha = self.add_weight(name="alpha", shape=shape, initializer=start)

    def call(self, x):
        return tf.maximum(x, self.alpha * x)


class Steps(keras.layers.Layer):
    """A leaky ReLU and a threshold by hand: nothing is learned in them."""

    def call(self, x):
        return tf.maximum(0.125 * x, x) + tf.cast(x > 0.5, x.dtype) * x


def net():
    keras.utils.set_random_seed(0)
    x = keras.Input((3,), name="x")
    one = Largest((), -0.75, "one")(x)
    each = Largest((3,), 0.875, "each")(one)
    return keras.Model(x, Steps()(keras.layers.Dense(4)(each)))
'''


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> onnx.GraphProto:
    folder = tmp_path_factory.mktemp("rewriting")
    (folder / "rewritten_keras_nets.py").write_text(_NETS)
    source = folder / "rewritten_keras_nets.py:net"
    found = cli("export", source, "-o", folder / "net.onnx", "-q")
    assert found.code == 0, found.err
    return onnx.load(folder / "net.onnx").graph


def test_a_largest_of_keras_is_a_prelu_of_its_slopes(graph: onnx.GraphProto) -> None:
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {n.name: tensors[n.input[1]] for n in graph.node if n.op_type == "PRelu"}
    assert list(found) == ["one", "each"]
    np.testing.assert_array_equal(found["one"], np.float32([-0.75]))
    np.testing.assert_array_equal(found["each"], np.float32([0.875] * 3))


def test_numbers_in_keras_code_still_become_attributes(graph: onnx.GraphProto) -> None:
    wanted = ("LeakyRelu", "ThresholdedRelu")
    numbers = {n.op_type: n.attribute[0].f for n in graph.node if n.op_type in wanted}
    assert numbers == {"LeakyRelu": 0.125, "ThresholdedRelu": 0.5}
