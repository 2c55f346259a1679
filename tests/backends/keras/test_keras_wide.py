"""A Keras model in float64: truly, without a trace, and with what stays float32 by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observing import Told, source_of

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption

pytestmark = pytest.mark.keras
pytest.importorskip("keras")
Array = Any


def _run(source: Any, *arrays: Array) -> tuple[Array, tuple[str, ...]]:
    feeds = {spec.name: array for spec, array in zip(source.inputs(), arrays, strict=True)}
    with source.wide_runner() as runner:
        (output,) = runner.run(feeds).values()
        return output, tuple(runner.stayed_narrow)


def _scatter(model: Any) -> None:
    """Weights of every value, variances positive."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if "seed" in weight.name:
            continue
        values = generator.normal(size=weight.shape)
        weight.assign(abs(values) + 0.5 if "variance" in weight.name else values)


def _functional(keras: Any, parts: list[Any]) -> Any:
    x = keras.Input((6, 6, 4), name="x")
    y = x
    for part in parts:
        y = part(y)
    return keras.Model(x, y)


def _sequential(keras: Any, parts: list[Any]) -> Any:
    return keras.Sequential([keras.Input((6, 6, 4), name="x"), *parts])


def _subclassed(keras: Any, parts: list[Any]) -> Any:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = parts

        def call(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return x

    net = Net()
    net(np.zeros((1, 6, 6, 4), np.float32))
    return net


def _parts(keras: Any) -> list[Any]:
    return [
        keras.layers.Conv2D(4, 3, groups=2, name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.PReLU(shared_axes=[1, 2], name="act"),
        keras.layers.Dropout(0.5),
        keras.layers.Activation("gelu"),
    ]


def _by_numpy(parts: list[Any], x: Array) -> Array:
    """Grouped convolution, normalisation, PReLU and gelu in float64.

    Constants are the model's own: rounded to float32 when it was traced.
    """
    from math import erfc

    conv, norm, act = parts[:3]
    kernel, bias = (np.array(v).astype(np.float64) for v in (conv.kernel, conv.bias))
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), axis=(1, 2))
    halves = [
        np.einsum("nhwcij,ijco->nhwo", windows[:, :, :, 2 * g : 2 * g + 2], kernel[..., span])
        for g, span in enumerate((slice(0, 2), slice(2, 4)))
    ]
    h = np.concatenate(halves, axis=-1) + bias
    mean, variance, gamma, beta = (
        np.array(v).astype(np.float64)
        for v in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    )
    h = (h - mean) / np.sqrt(variance + np.float64(np.float32(norm.epsilon))) * gamma + beta
    h = np.where(h > 0, h, np.array(act.alpha).astype(np.float64) * h)
    return h / 2 * np.vectorize(erfc)(-h * np.float64(np.float32(0.5**0.5)))


@pytest.mark.parametrize("build", [_functional, _sequential, _subclassed])
def test_the_outputs_are_those_of_float64(keras: Any, build: Any) -> None:
    parts = _parts(keras)
    model = build(keras, parts)
    _scatter(model)
    source = source_of(model, InputOption("x", ("batch", 6, 6, 4)))
    x = np.random.default_rng(1).normal(size=(3, 6, 6, 4)).astype(np.float32)
    found, narrow = _run(source, x)
    wanted = _by_numpy(parts, x)
    assert (found.dtype, narrow) == (np.float64, ())
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    with source.runner() as plain:
        (rounded,) = plain.run({"x": x}).values()
    assert rounded.dtype == np.float32
    assert abs(rounded - wanted).max() > 1e-9  # so that the first comparison says something


def test_no_run_formats_its_arguments(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow would: all weights, for the message of an error that it catches itself."""
    import tensorflow as tf

    def formatted(_tensor: Any) -> str:
        raise AssertionError

    source = source_of(_functional(keras, _parts(keras)), InputOption("x", ("batch", 6, 6, 4)))
    kinds = type(tf.constant(0.0)).__mro__
    monkeypatch.setattr(next(k for k in kinds if "__repr__" in vars(k)), "__repr__", formatted)
    found, _ = _run(source, np.ones((2, 6, 6, 4), np.float32))
    assert found.shape == (2, 4, 4, 4)


def test_the_model_is_as_it_was(keras: Any) -> None:
    model = _functional(keras, _parts(keras))
    _scatter(model)
    before = [(weight.dtype, np.array(weight).tobytes()) for weight in model.variables]
    _run(source_of(model), np.ones((2, 6, 6, 4), np.float32))
    assert [(weight.dtype, np.array(weight).tobytes()) for weight in model.variables] == before
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert all("call" not in vars(layer) for layer in model.layers)
    assert keras.config.floatx() == "float32"


def test_weights_are_those_of_the_moment_of_opening(keras: Any) -> None:
    act = keras.layers.PReLU("zeros", name="act")
    source = source_of(keras.Sequential([keras.Input((2,), name="x"), act]))
    source.layers()
    act.alpha.assign([0.5, 0.25])
    found, _ = _run(source, np.array([[-1.0, -1.0]], np.float32))
    assert found.tolist() == [[-0.5, -0.25]]


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("unroll", [False, True])
def test_a_recurrent_layer_is_widened_in_its_loop(keras: Any, unroll: bool) -> None:
    lstm = keras.layers.LSTM(3, unroll=unroll)
    act = keras.layers.PReLU(name="act")
    model = keras.Sequential([keras.Input((5, 2), name="x"), lstm, act])
    _scatter(model)
    x = np.random.default_rng(1).normal(size=(2, 5, 2)).astype(np.float32)
    found, narrow = _run(source_of(model), x)
    kernel, inner, bias = (np.array(w).astype(np.float64) for w in lstm.weights)
    h = c = np.zeros((2, 3))
    for step in range(5):
        z = x[:, step].astype(np.float64) @ kernel + h @ inner + bias
        i, f, g, o = np.split(z, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
    wanted = np.where(h > 0, h, np.array(act.alpha).astype(np.float64) * h)
    assert (found.dtype, narrow) == (np.float64, ())
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_what_tensorflow_has_in_float32_only_is_named(keras: Any) -> None:
    parts = [
        keras.layers.PReLU(shared_axes=[1, 2], name="before"),
        keras.layers.UpSampling2D(2, interpolation="bilinear", name="up"),
        keras.layers.PReLU(shared_axes=[1, 2], name="act"),
    ]
    model = _functional(keras, parts)
    _scatter(model)
    source = source_of(model)
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 4)).astype(np.float32)
    found, narrow = _run(source, x)
    assert found.dtype == np.float64
    assert len(narrow) == 1
    assert "up" in narrow[0]
    with source.runner() as plain:
        (rounded,) = plain.run({"x": x}).values()
    np.testing.assert_allclose(found, rounded, rtol=1e-5, atol=1e-6)


def test_upsampling_that_copies_is_wide(keras: Any) -> None:
    parts = [keras.layers.UpSampling2D(2), keras.layers.PReLU(shared_axes=[1, 2])]
    found, narrow = _run(source_of(_functional(keras, parts)), np.ones((1, 6, 6, 4), np.float32))
    assert (found.dtype, narrow) == (np.float64, ())


def test_integers_stay_integers(keras: Any) -> None:
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    y = keras.layers.PReLU(shared_axes=[1])(keras.layers.Embedding(5, 3)(tokens))
    source = source_of(keras.Model(tokens, {"y": y, "next": tokens + 1}))
    with source.wide_runner() as runner:
        found = runner.run({"tokens": np.array([[0, 1, 2, 4]], np.int32)})
    assert {name: array.dtype for name, array in found.items()} == {
        "y": np.dtype(np.float64), "next": np.dtype(np.int32)
    }  # fmt: skip
    assert found["next"].tolist() == [[1, 2, 3, 5]]


def test_several_inputs_go_where_their_names_say(keras: Any) -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    act = keras.layers.PReLU(keras.initializers.Constant(0.5))
    model = keras.Model({"b": b, "a": a}, {"difference": keras.layers.Subtract()([act(a), b])})
    with source_of(model).wide_runner() as runner:
        ones = np.ones((1, 2), np.float32)
        found = runner.run({"a": -ones, "b": 4 * ones})
    assert {name: array.tolist() for name, array in found.items()} == {"difference": [[-4.5] * 2]}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_a_policy_says_how_a_model_was_trained_and_not_what_it_is(keras: Any, policy: str) -> None:
    """It runs in float32 or float64 with its own weights, and is left as it was."""
    kernel = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4) / 7
    parts = [
        keras.layers.Conv2D(4, 1, dtype=policy, name="half"),
        keras.layers.PReLU(
            keras.initializers.Constant(0.3), shared_axes=[1, 2], dtype=policy, name="act"
        ),
    ]
    model = _functional(keras, parts)
    parts[0].kernel.assign(kernel)
    types = [str(v.dtype) for v in model.weights]
    source = source_of(model)
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 4)).astype(np.float32)
    h = x.astype(np.float64) @ np.array(parts[0].kernel).astype(np.float64)[0, 0]
    wanted = np.where(h > 0, h, np.array(parts[1].alpha).astype(np.float64) * h)
    found, narrow = _run(source, x)
    assert (found.dtype, narrow) == (np.float64, ())
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    with source.runner() as plain:
        (rounded,) = plain.run({"x": x}).values()
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, wanted, rtol=1e-5, atol=1e-5)
    (layer,) = source.layers()
    assert layer.slopes.reshape(-1).tolist() == [float(parts[1].alpha[0, 0, 0])] * 4
    assert [str(v.dtype) for v in model.weights] == types
    assert keras.backend.standardize_dtype(model(x).dtype) == policy.removeprefix("mixed_")


def test_an_input_of_another_size_is_refused(keras: Any) -> None:
    source = source_of(_functional(keras, _parts(keras)))
    with pytest.raises(PReLUToolsError):
        _run(source, np.ones((1, 6, 6, 5), np.float32))


def test_a_layer_applied_to_each_step_is_told_step_by_step(keras: Any) -> None:
    act = keras.layers.PReLU(keras.initializers.Constant([0.5, -0.25, 2.0]), name="act")
    model = keras.Sequential([keras.Input((4, 3), name="x"), keras.layers.TimeDistributed(act)])
    source = source_of(model)
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    told = Told()
    with source.wide_runner(told) as runner:
        runner.run({"x": x})
    assert told.numbers == [("act", number) for number in range(4)]
    assert np.array_equal(np.stack([call[2] for call in told.calls], axis=1), x)
    told.check(source.layers())
