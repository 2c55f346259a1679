"""What tf2onnx wrote of a Keras model, in canonical form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporting import save_by_tf2onnx
from onnx import numpy_helper
from running import cli

from prelu_tools.core.arrays import same_bits

pytestmark = pytest.mark.keras


def _net() -> Any:
    import keras
    import tensorflow as tf

    @keras.saving.register_keras_serializable("raw")
    class Mask(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.alpha = self.add_weight(shape=(shape[-1],), name="alpha")

        def call(self, x: Any) -> Any:
            return tf.where(x >= 0, x, self.alpha * x)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 3), name="image"),
            layers.Conv2D(4, 3, padding="same"),
            layers.PReLU(shared_axes=[1, 2], name="by_channel"),
            layers.Conv2D(4, 3, padding="same"),
            layers.PReLU(name="by_element"),
            layers.Conv2D(4, 3, padding="same"),
            Mask(name="mask"),
            layers.Flatten(),
            layers.Dense(5),
            layers.PReLU(name="after_dense"),
        ]
    )


@pytest.fixture(scope="module")
def slopes() -> list[np.ndarray]:
    """Of the layers in order, in the axis order of NCHW."""
    generator = np.random.default_rng(0)
    shapes = [(4, 1, 1), (4, 6, 6), (4, 1, 1), (5,)]
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, slopes: list[np.ndarray]) -> Path:
    """Five ops a layer, minus the slopes, some of them in NHWC, and a mask."""
    net = _net()
    names = ("by_channel", "by_element", "mask", "after_dense")
    for name, values in zip(names, slopes, strict=True):
        laid = values.transpose(1, 2, 0) if values.ndim == 3 else values
        alpha = net.get_layer(name).alpha
        alpha.assign(laid.reshape(alpha.shape))
    path = tmp_path_factory.mktemp("raw") / "net.onnx"
    return save_by_tf2onnx(net, (6, 6, 3), path, opset=13)


def test_every_layer_is_one_node_with_its_slopes(raw: Path, slopes: list[np.ndarray]) -> None:
    target = raw.with_name("clean.onnx")
    found = cli("export", raw, "-o", target)
    assert found.code == 0, found.err
    proto = onnx.load(target)
    nodes = [node for node in proto.graph.node if node.op_type == "PRelu"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node, values in zip(nodes, slopes, strict=True):
        assert same_bits(tensors[node.input[1]].reshape(-1), values.reshape(-1))
    shapes = [tensors[node.input[1]].shape for node in nodes]
    assert shapes == [(4, 1, 1), (4, 6, 6), (4, 1, 1), (5,)]
    known = {info.name: info for info in onnx.shape_inference.infer_shapes(proto).graph.value_info}
    dims = [[d.dim_value for d in known[n.input[0]].type.tensor_type.shape.dim][1:] for n in nodes]
    assert dims == [[4, 6, 6]] * 3 + [[5]]  # the mask too, which tf2onnx leaves in NHWC
    assert proto.opset_import[0].version == 18
    kinds = [node.op_type for node in proto.graph.node]
    assert kinds.count("Transpose") <= 2  # NHWC in, and into Flatten
    assert not {"Relu", "Neg", "Where", "Not", "Cast", "Identity"} & set(kinds)


def test_names_say_what_the_file_knows(raw: Path) -> None:
    found = cli("inspect", raw.with_name("clean.onnx"), "--format", "json")
    names = [layer["name"] for layer in found.json["layers"]]
    assert ["by_channel" in names[0], "by_element" in names[1], "after_dense" in names[3]] == [
        True
    ] * 3
    assert all("Neg" not in layer["parameter"] for layer in found.json["layers"])
