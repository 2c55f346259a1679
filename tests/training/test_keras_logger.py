"""`model.fit` of Keras whose slopes are logged."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import environment

from prelu_tools.core.errors import UsageError
from prelu_tools.core.files.slope_log import read_log
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord
from prelu_tools.training import SlopeWarning

pytestmark = pytest.mark.keras

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 6, 6, 3)).astype("float32")
Y = RANDOM.integers(0, 2, 32)


@pytest.fixture(scope="module")
def keras() -> Any:
    from prelu_tools.backends.keras.library import keras

    return keras


def _net(keras: Any) -> Any:
    """Each kind of layer that a logger has to tell from the others."""
    layers = keras.layers

    class LogSlope(layers.Layer):  # type: ignore[misc,name-defined]
        def build(self, shape: Any) -> None:
            start = keras.initializers.Constant(-1.0)
            self.log_slope = self.add_weight(shape=(shape[-1],), initializer=start, name="log")

        def call(self, x: Any) -> Any:
            return keras.ops.where(x > 0, x, keras.ops.exp(self.log_slope) * x)

    class Inside(layers.Layer):  # type: ignore[misc,name-defined]
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
            start = keras.initializers.Constant(0.1)
            self.slope = self.add_weight(shape=(4,), initializer=start, name="slope")

        def call(self, x: Any) -> Any:
            x = keras.ops.matmul(x, self.kernel)
            return keras.ops.maximum(x, 0.0) + self.slope * keras.ops.minimum(x, 0.0)

    keras.utils.set_random_seed(0)
    first = keras.Input((6, 6, 3), name="x")
    x = layers.Conv2D(4, 3)(first)
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer="ones", name="act")(x)
    x = LogSlope(name="own")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="positive")(keras.ops.abs(x))
    x = layers.PReLU(shared_axes=[1, 2], name="frozen", trainable=False)(x - 1)
    x = Inside(name="inside")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(first, layers.Dense(2)(x))


def _fitted(
    keras: Any, folder: Path, model: Any, optimizer: Any, epochs: int = 2, **options: Any
) -> tuple[list[SlopeRecord], list[str]]:
    """The records of 8 steps an epoch, and what was warned of."""
    from prelu_tools.training import KerasSlopeLogger

    if optimizer is not None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, steps_per_execution=options.pop("at_once", 1))
    logger = KerasSlopeLogger(folder, tensorboard=False, **options)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlopeWarning)
        model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=[logger])
    texts = [str(each.message) for each in said if each.category is SlopeWarning]
    assert {each.filename for each in said if each.category is SlopeWarning} <= {__file__}
    return read_log(folder / "slopes.jsonl")[0], texts


def _layers(record: SlopeRecord) -> dict[str, LayerRecord]:
    return {layer.name: layer for layer in record.layers}


def test_each_layer_is_logged_as_inspect_finds_it(keras: Any, tmp_path: Path) -> None:
    from prelu_tools import inspect

    model = _net(keras)
    before = inspect(model)
    records, said = _fitted(keras, tmp_path, model, keras.optimizers.SGD(0.1), every=3)
    assert [record.step for record in records] == [0, 3, 6, 9, 12, 15]
    first, last = _layers(records[0]), _layers(records[-1])
    assert [*first] == [report.layer.name for report in before.layers]
    for report in before.layers:
        expected = report.layer.slopes.reshape(-1)
        np.testing.assert_allclose(first[report.layer.name].slopes, expected, rtol=1e-6)
    moved = {name for name, layer in last.items() if layer.movement.from_start}
    assert moved == {*first} - {"positive", "frozen"}
    assert not last["frozen"].is_trained
    (text,) = (text for text in said if text.startswith("not_moving"))
    assert text.startswith("not_moving positive:")
    assert "no gradient seems to reach them: none of its inputs is negative, or" in text


def test_a_sample_says_why_a_layer_does_not_move(keras: Any, tmp_path: Path) -> None:
    model = _net(keras)
    norm = [np.array(weight) for weight in model.non_trainable_variables]
    _, said = _fitted(keras, tmp_path, model, keras.optimizers.SGD(0.1), every=1, sample=X[:4])
    (text,) = (text for text in said if "positive" in text)
    assert text.endswith("none of its inputs was negative in a sample, so no gradient reaches them")
    for before, after in zip(norm, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, np.array(after))


def test_a_training_that_goes_on(keras: Any, tmp_path: Path) -> None:
    model = _net(keras)
    _fitted(keras, tmp_path, model, keras.optimizers.SGD(0.1), epochs=1, every=4)
    records, _ = _fitted(keras, tmp_path, model, None, epochs=1, every=4)
    assert [record.step for record in records] == [0, 4, 8, 12, 16]


def test_a_subclassed_model_in_steps_of_several(keras: Any, tmp_path: Path) -> None:
    class Own(keras.Model):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.flat = keras.layers.Flatten()
            self.first = keras.layers.Dense(4)
            self.act = keras.layers.PReLU(name="act")
            self.last = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.last(self.act(self.first(self.flat(x))))

    options: dict[str, Any] = {"every": 4, "at_once": 2}
    records, _ = _fitted(keras, tmp_path / "a", Own(), keras.optimizers.Adam(0.1), **options)
    assert [record.step for record in records] == [2, 4, 8, 12, 16]
    options["sample"] = X[:2]
    records, _ = _fitted(keras, tmp_path / "b", Own(), keras.optimizers.Adam(0.1), **options)
    assert [record.step for record in records] == [0, 4, 8, 12, 16]
    assert records[-1].layers[0].movement.from_start


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_precisions(keras: Any, tmp_path: Path, policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        first = keras.Input((6, 6, 3))
        x = keras.layers.PReLU(shared_axes=[1, 2], name="act")(keras.layers.Conv2D(4, 3)(first))
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(first, keras.layers.Dense(2, dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(before)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.01)
    records, said = _fitted(keras, tmp_path, model, optimizer, every=8)
    act = records[-1].layers[0]
    assert act.movement.from_start
    values = np.array(model.get_layer("act").alpha).reshape(-1)
    np.testing.assert_array_equal(act.slopes.astype(values.dtype), values)
    assert [text.split(":")[0] for text in said] == ["slopes_decay"]


def test_slopes_are_left_out_of_weight_decay(keras: Any, tmp_path: Path) -> None:
    from prelu_tools.training import exclude_slopes_from_weight_decay

    model = _net(keras)
    optimizer = keras.optimizers.SGD(0.0001, weight_decay=100.0)
    optimizer.exclude_from_weight_decay(var_list=[model.layers[-1].bias], var_names=["kernel"])
    excluded = exclude_slopes_from_weight_decay(optimizer, model)
    slopes = {layer: model.get_layer(layer).weights[-1] for layer in ("act", "own", "inside")}
    assert {variable.path for variable in slopes.values()} <= {*excluded}
    model.layers[-1].bias.assign([1.0, 1.0])
    kernel = np.array(model.layers[-1].kernel)
    before = {layer: np.array(variable) for layer, variable in slopes.items()}
    records, said = _fitted(keras, tmp_path, model, optimizer, epochs=1, every=8)
    for layer, variable in slopes.items():
        np.testing.assert_allclose(np.array(variable), before[layer], atol=2e-3)
    np.testing.assert_allclose(np.array(model.layers[-1].kernel), kernel, atol=2e-3)
    np.testing.assert_allclose(np.array(model.layers[-1].bias), 1.0, atol=2e-3)
    assert np.abs(np.array(model.layers[1].bias)).max() < 1e-3
    assert {layer.weight_decay for layer in records[-1].layers} == {0.0}
    assert not [text for text in said if "slopes_decay" in text]


def test_where_nothing_can_be_excluded(keras: Any) -> None:
    from prelu_tools.training import exclude_slopes_from_weight_decay as exclude

    model = _net(keras)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.1)
    with pytest.raises(UsageError, match="expected a Keras optimizer"):
        exclude(model, model)
    with pytest.raises(UsageError, match="no variables yet"):
        exclude(optimizer, keras.Sequential([keras.layers.PReLU()]))
    with pytest.raises(UsageError, match="has no PReLU layers"):
        exclude(optimizer, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    optimizer.build(model.trainable_variables)
    with pytest.raises(UsageError, match="before fit"):
        exclude(optimizer, model)


def test_a_penalty_of_the_layers_own_is_weight_decay(keras: Any) -> None:
    from prelu_tools.backends.keras.live import LiveKerasModel

    penalty = keras.regularizers.L2(0.01)
    act = keras.layers.PReLU(alpha_regularizer=penalty)
    model = keras.Sequential([keras.Input((3,)), act])
    (state,) = LiveKerasModel(model, keras.optimizers.SGD(0.1)).look()
    assert state.weight_decay == pytest.approx(0.02)


ON_TORCH = """
import sys
from pathlib import Path
import numpy as np
from prelu_tools.core.files.slope_log import read_log
from prelu_tools.training import KerasSlopeLogger
import keras
layers = [keras.Input((3,)), keras.layers.Dense(4), keras.layers.PReLU(name="act")]
model = keras.Sequential([*layers, keras.layers.Dense(2)])
model.compile("adam", "mse")
x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
logger = KerasSlopeLogger(sys.argv[1], every=2, tensorboard=False)
model.fit(x, x[:, :2], batch_size=4, verbose=0, callbacks=[logger])
records, _ = read_log(Path(sys.argv[1]) / "slopes.jsonl")
last = records[-1].layers[0]
alpha = np.array(layers[2].alpha.value.detach())
np.testing.assert_array_equal(last.slopes.astype("float32"), alpha)
print([r.step for r in records], last.name, last.movement.from_start > 0)
"""


@pytest.mark.torch
def test_keras_on_torch(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", ON_TORCH, str(tmp_path)],
        env=environment(KERAS_BACKEND="torch", OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip().endswith("[0, 2, 4, 6, 8] act True")
