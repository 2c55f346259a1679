"""Keras models of many shapes become ONNX graphs with the same slopes, named after their layers."""

from __future__ import annotations

from pathlib import Path

import pytest
from exporting import check_echo, check_same_bytes, check_slopes, exported, slopes_in

pytestmark = pytest.mark.keras

_NETS = '''
import keras
import numpy as np

layers = keras.layers


class Slopes(keras.initializers.Initializer):
    """Exactly these values."""

    def __init__(self, *values):
        self.values = values

    def __call__(self, shape, dtype=None):
        return keras.ops.convert_to_tensor(np.array(self.values, "float32").reshape(shape))


def act(name, *values, axes=None):
    return layers.PReLU(Slopes(*values), shared_axes=axes, name=name)


def special():
    keras.utils.set_random_seed(0)
    parts = [keras.Input((2,), name="x")]
    for number, values in enumerate(([0, 0], [1, 1], [-0.0, 1e-42], [0.25], [0.25], [3e38, -1])):
        parts.append(layers.Dense(2, activation="tanh"))
        parts.append(act(f"act{number}", *values, axes=[1] if len(values) == 1 else None))
    return keras.Sequential(parts)


def ranks():
    keras.utils.set_random_seed(0)
    series, volume = keras.Input((4, 2), name="series"), keras.Input((3, 4, 5, 2), name="volume")
    a = act("act1", 0.1, -0.2, 0.3, axes=[1])(layers.Conv1D(3, 1)(series))
    b = act("act3", 1.1, -1.2, 1.3, axes=[1, 2, 3])(layers.Conv3D(3, 1)(volume))
    b = layers.Reshape((12, 5, 3))(b)
    b = act("act2", -1.0, 0.7, 0.2, axes=[1, 2])(layers.Conv2D(3, 1)(b))
    a = act("act0", 0.5, -0.5, 2.0)(layers.GlobalAveragePooling1D()(a))
    return keras.Model([series, volume], {"vector": a, "map": b})


def over_time():
    """tf2onnx writes a dilated one with a Transpose that reverses the axes: without `perm`."""
    x = keras.Input((None, 2), name="frames")
    y = layers.DepthwiseConv1D(3, dilation_rate=2, padding="same")(x)
    return keras.Model(x, act("act", 0.5, -0.25, axes=[1])(y))


def normalised():
    keras.utils.set_random_seed(0)
    parts = [keras.Input((6, 6, 2), name="x")]
    for number, first in enumerate((True, False)):
        norm = layers.BatchNormalization(
            beta_initializer="normal", gamma_initializer="normal",
            moving_mean_initializer="normal", name=f"norm{number}",
        )
        prelu = act(f"act{number}", 0.3 * number, -0.5, 1.5, axes=[1, 2])
        parts.append(layers.Conv2D(3, 3, name=f"conv{number}"))
        parts += [norm, prelu] if first else [prelu, norm]
    return keras.Sequential(parts)


def nested():
    keras.utils.set_random_seed(0)
    def block(name, slope):
        return keras.Sequential(
            [keras.Input((3,)), layers.Dense(3), act("act", *slope)], name=name
        )
    return keras.Sequential(
        [keras.Input((3,), name="x"), block("one", (0.1, 0.2, 0.3)), block("two", (0.4, 0.5, 0.6))]
    )


def two_ranks():
    x = keras.Input((4, 3), name="x")
    layer = act("act", 0.5, -0.5, 2.0, axes=[1])
    return keras.Model(x, layer(layer(x)))


def echo():
    x = keras.Input((2,), name="x")
    return keras.Model(x, {"x": act("act", 0.5, 0.25)(x)})
'''


def test_keras_slopes_that_could_be_folded_or_merged_stay(nets: Path, tmp_path: Path) -> None:
    found = slopes_in(exported(f"{nets}:special", tmp_path))
    names = [f"act{number}" for number in range(6)]
    check_slopes(found, names, [0, 0], [1, 1], [-0.0, 1e-42], [0.25], [0.25], [3e38, -1])


def test_keras_slopes_are_laid_over_inputs_of_every_rank(nets: Path, tmp_path: Path) -> None:
    graph = exported(f"{nets}:ranks", tmp_path)
    found = slopes_in(graph)
    assert {name: values.ndim for name, values in found.items()}["act0"] == 1
    assert {name: values.reshape(-1).round(6).tolist() for name, values in found.items()} == {
        "act0": pytest.approx([0.5, -0.5, 2.0]),
        "act1": pytest.approx([0.1, -0.2, 0.3]),
        "act2": pytest.approx([-1.0, 0.7, 0.2]),
        "act3": pytest.approx([1.1, -1.2, 1.3]),
    }
    assert [value.name for value in graph.input] == ["series", "volume"]
    assert {value.name for value in graph.output} == {"vector", "map"}


def test_a_dilated_convolution_over_any_number_of_steps(nets: Path, tmp_path: Path) -> None:
    found = slopes_in(exported(f"{nets}:over_time", tmp_path))
    assert found["act"].reshape(-1).tolist() == [0.5, -0.25]


def test_batch_normalisation_is_folded_into_the_convolution_before_it_only(
    nets: Path, tmp_path: Path
) -> None:
    """The first follows a convolution; the second follows a PRelu, and has to stay."""
    graph = exported(f"{nets}:normalised", tmp_path)
    operators = [node.op_type for node in graph.node if node.op_type != "Transpose"]
    assert operators[:3] == ["Conv", "PRelu", "Conv"]
    assert set(operators[4:]) <= {"Mul", "Add", "BatchNormalization"}
    assert operators[4:]
    assert [len(node.input) for node in graph.node if node.op_type == "Conv"] == [3, 3]


def test_layers_of_equal_name_have_their_paths(nets: Path, tmp_path: Path) -> None:
    found = slopes_in(exported(f"{nets}:nested", tmp_path))
    assert {name: float(values[0].round(6)) for name, values in found.items()} == {
        "one/act": pytest.approx(0.1),
        "two/act": pytest.approx(0.4),
    }


def test_a_layer_used_twice_keeps_one_initializer(nets: Path, tmp_path: Path) -> None:
    graph = exported(f"{nets}:two_ranks", tmp_path)
    nodes = [node for node in graph.node if node.op_type == "PRelu"]
    assert [node.name for node in nodes] == ["act", "act_1"]
    assert {node.input[1] for node in nodes} == {"act/alpha"}


def test_a_keras_output_called_like_an_input_is_another_tensor(nets: Path) -> None:
    check_echo(f"{nets}:echo")


def test_bytes_do_not_depend_on_keras_process_or_folder(nets: Path, tmp_path: Path) -> None:
    check_same_bytes(nets, "normalised", tmp_path)
