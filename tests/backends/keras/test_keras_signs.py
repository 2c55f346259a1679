"""Signs that a Keras model reads from bits (argmax, argmin, signbit) come through the export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from running import cli

pytestmark = pytest.mark.keras

_NETS = """
import keras
import tensorflow as tf


class Signs(keras.layers.Layer):
    def call(self, x):
        bits = tf.bitcast(x, tf.int32)
        positive = tf.cast(bits >= 0, x.dtype)
        return {
            "argmax": keras.ops.argmax(x, axis=-1, keepdims=True),
            "argmin": keras.ops.argmin(x, axis=1),
            "signbit": keras.ops.cast(keras.ops.signbit(x), "float32"),
            "positive": positive,
            "top": tf.bitwise.bitwise_and(tf.int32.min, bits),
        }


class Mantissa(keras.layers.Layer):
    def call(self, x):
        return tf.cast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), 255), x.dtype)


def net(last=Signs):
    keras.utils.set_random_seed(0)
    x = keras.Input((5,), name="x")
    act = keras.layers.PReLU(alpha_initializer="ones", name="act")
    return keras.Model(x, [act(x), last()(x)])


def mantissa():
    return net(Mantissa)
"""
_ROWS = np.float32(
    [
        [0.0, -0.0, 0.0, -0.0, 0.0],
        [-0.0, 0.0, -1.0, 1e-30, -1e-30],
        [np.inf, -np.inf, 3, 2, -2],
        [-0.0, -0.0, -1e-45, -0.0, 1e-45],
    ]
)


def test_a_sign_that_is_read_from_bits_is_a_comparison(nets: Path, tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    found = cli("export", f"{nets}:net", "-o", tmp_path / "net.onnx", "--format", "json")
    assert found.code == 0, found.err
    assert found.json["verification"]["verdict"] == "pass"
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert sum(node.op_type == "PRelu" for node in graph.node) == 1
    names = [value.name.rpartition(".")[2] for value in graph.output]
    outputs = dict(
        zip(names, ort.InferenceSession(tmp_path / "net.onnx").run(None, {"x": _ROWS}), strict=True)
    )
    signs = np.signbit(_ROWS)
    np.testing.assert_array_equal(outputs["signbit"], signs)
    np.testing.assert_array_equal(outputs["positive"], ~signs)
    np.testing.assert_array_equal(outputs["top"], np.where(signs, -(2**31), 0))
    np.testing.assert_array_equal(outputs["argmax"][:, 0], [0, 3, 0, 4])
    np.testing.assert_array_equal(outputs["argmin"], [1, 2, 1, 0])


def test_other_bits_are_refused(nets: Path, tmp_path: Path) -> None:
    found = cli("export", f"{nets}:mantissa", "-o", tmp_path / "net.onnx")
    assert found.code == 3
    assert "Bitcast" in found.err
    assert not (tmp_path / "net.onnx").exists()
