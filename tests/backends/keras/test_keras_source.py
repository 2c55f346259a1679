"""A Keras model as a source: what its inputs, layers, outputs and reached slopes are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from observing import coverage, source_of
from running import cli

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import Dim, InputOption
from prelu_tools.core.results.reasons import code_of

pytestmark = pytest.mark.keras
pytest.importorskip("keras")


def _constant(keras: Any, values: Any) -> Any:
    """An initializer that gives exactly these values."""
    return lambda shape, dtype=None: keras.ops.reshape(keras.ops.array(values, "float32"), shape)


def _prelu(keras: Any, values: Any, **options: Any) -> Any:
    return keras.layers.PReLU(_constant(keras, values), **options)


def _run(source: Any, **feeds: Any) -> dict[str, Any]:
    with source.runner() as runner:
        return dict(runner.run({n: np.asarray(v, np.float32) for n, v in feeds.items()}))


# Inputs


def test_inputs_keep_their_names_and_sizes(keras: Any) -> None:
    image = keras.Input((None, 8, 3), name="image")
    scale = keras.Input((1,), name="scale", dtype="float64")
    model = keras.Model([image, scale], keras.layers.Flatten()(image[:, :2]))
    first, second = source_of(model).inputs()
    assert (first.name, first.dtype) == ("image", "float32")
    assert first.shape == ("batch", "image_dim_1", 8, 3)
    assert first.example[0] == 1
    assert first.example[2:] == (8, 3)
    assert (second.name, second.dtype, second.shape) == ("scale", "float64", ("batch", 1))


@pytest.mark.parametrize(("number", "names"), [(1, ["input"]), (2, ["input_0", "input_1"])])
def test_generated_names_become_plain(keras: Any, number: int, names: list[str]) -> None:
    inputs = [keras.Input((3,)) for _ in range(number)]
    joined = keras.layers.Add()(inputs) if number > 1 else inputs[0]
    model = keras.Model(inputs, keras.layers.PReLU()(joined))
    source = source_of(model)
    assert [spec.name for spec in source.inputs()] == names
    assert source.unnamed == set(names)  # the output is called like its layer


def test_what_a_keras_model_has_no_name_for(keras: Any) -> None:
    x = keras.Input((3,), name="x")
    y = keras.layers.PReLU(name="act")(x)
    outputs = {"box": {"xy": y}, "levels": [y + 1]}
    assert source_of(keras.Model(x, outputs)).unnamed == {"levels.0"}
    assert source_of(keras.Model(x, [y, y])).unnamed == {"output_0", "output_1"}
    stack = keras.Sequential([keras.Input((3,), name="x"), keras.layers.PReLU()])
    assert source_of(stack).unnamed == {"output"}

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.act = keras.layers.PReLU()

        def call(self, image: Any) -> Any:
            return self.act(image)

    shape = ("batch", 3)
    assert source_of(Net(), InputOption("image", shape)).unnamed == {"output"}
    assert source_of(Net(), InputOption("photo", shape)).unnamed == {"photo", "output"}


def test_a_model_that_was_never_called_needs_the_option(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.PReLU(name="act")])
    with pytest.raises(UsageError, match=r"--input NAME:batch,\.\.\."):
        source_of(model).inputs()
    (layer,) = source_of(model, InputOption("x", ("batch", 5))).layers()
    assert (layer.name, layer.preceding_parameters) == ("act", 12)


def test_inputs_in_a_dict_go_where_their_names_say(keras: Any) -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    y = keras.layers.Subtract()([_prelu(keras, [0.5, 0.25])(a), b])
    model = keras.Model({"b": b, "a": a}, {"difference": y})
    found = _run(source_of(model), a=[[-1, -1]], b=[[0, 0]])
    assert {name: value.tolist() for name, value in found.items()} == {
        "difference": [[-0.5, -0.25]]
    }


def test_inputs_that_do_not_fit_are_said(keras: Any) -> None:
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.PReLU()])
    with pytest.raises(PReLUToolsError, match=r"fails on inputs \(x of shape 1x7\)"):
        _run(source_of(model), x=np.zeros((1, 7)))


def _net(keras: Any, *more: Any, name: str = "x") -> Any:
    """A functional model of 8x8, with a functional and a sequential one in it, and more layers."""
    size, shared = (8, 8, 2), [1, 2]
    x, inner = keras.Input(size, name=name), keras.Input(size)
    nested = keras.Model(inner, _prelu(keras, [0.5, -0.25], shared_axes=shared, name="act")(inner))
    conv = keras.layers.Conv2D(2, 3, padding="same")
    y = keras.Sequential([keras.Input(size), conv])(nested(x))
    for layer in more:
        y = layer(y)
    return keras.Model(x, y)


def test_sizes_that_a_model_states_give_way_to_those_that_its_layers_take(keras: Any) -> None:
    model = _net(keras)
    source = source_of(model, InputOption("x", ("batch", "h", "w", 2)))
    (spec,) = source.inputs()
    assert (spec.shape, spec.example) == (("batch", "h", "w", 2), (1, 8, 8, 2))
    assert [code_of(note) for note in source.notes] == ["sizes_freed"]
    assert source.notes[0].endswith("(x:batch,8,8,2), but its layers take those asked for "
                                    "(x:batch,h,w,2)")  # fmt: skip
    small, large = np.random.default_rng(0).normal(size=(2, 3, 8, 8, 2)).astype(np.float32)
    (given,) = _run(source, x=small).values()
    assert np.array_equal(given, np.asarray(model(small)))
    large = np.concatenate([small, large], axis=1)
    (wide,) = _run(source, x=large).values()
    assert np.array_equal(wide[:, :7], given[:, :7])  # but for the border's row
    assert [layer.name for layer in source.layers()] == ["act"]
    for one in (model, model.layers[1]):  # the model itself is as it was
        with pytest.raises(ValueError, match="expected shape"):
            one(large)


def test_no_other_model_takes_any_size_meanwhile(keras: Any) -> None:
    from prelu_tools.backends.keras.sizes import any_size

    model, other, large = _net(keras), _net(keras), np.zeros((1, 16, 8, 2), np.float32)
    with any_size(model):
        assert model(large).shape == large.shape
        with pytest.raises(ValueError, match="expected shape"):
            other(large)


def test_a_sequential_model_and_a_stated_batch_give_way_too(keras: Any) -> None:
    parts = [keras.Input((8, 8, 2), batch_size=1, name="x"), keras.layers.GlobalMaxPooling2D()]
    model = keras.Sequential([*parts, _prelu(keras, [0.5, -0.25])])
    source = source_of(model, InputOption("x", ("batch", 12, "w", 2)))
    (spec,) = source.inputs()
    assert (spec.shape, spec.example) == (("batch", 12, "w", 2), (1, 12, 8, 2))
    assert next(iter(_run(source, x=np.ones((3, 12, 5, 2))).values())).shape == (3, 2)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Flatten", "incompatible with the layer: expected axis -1 of input shape to have value"),
        ("reshape", "its outputs have another number of rows then"),
        ("PReLU", "Incompatible shapes: [8,8,2] vs. [1,16,16,2]"),
    ],
)
def test_layers_that_take_no_other_sizes_say_what_to_change(
    keras: Any, kind: str, why: str
) -> None:
    more = {
        "Flatten": (keras.layers.Flatten(), keras.layers.Dense(1)),
        "reshape": (lambda y: keras.ops.reshape(y, (-1, 8, 8, 2)),),
        "PReLU": (keras.layers.PReLU(),),
    }[kind]
    with pytest.raises(UsageError) as caught:
        source_of(_net(keras, *more), InputOption("x", ("batch", "h", "w", 2))).inputs()
    words = str(caught.value)
    begin = "--input x:batch,h,w,2: net takes x:batch,8,8,2, with fixed sizes, and cannot run at"
    assert words.startswith(begin)
    assert why in words
    assert "use keras.Input((None, None, 2)) in its source" in words


@pytest.mark.parametrize(
    ("sizes", "given", "advice"),
    [
        ((8, 6, 2), ("batch", 2, 8, 6), "leave it out. To export the model channels first, use"),
        ((8, 6, 2), ("batch", 2, "h", "w"), "use --input x:batch,h,w,2. To export"),
        ((None, None, 2), ("n", 2, "h", "w"), "use --input x:n,h,w,2. To export"),
        ((None, None, 2), ("n", 2, 8, 6), "use --input x:n,8,6,2. To export"),
    ],
)
def test_sizes_in_another_order_of_axes_are_seen(
    keras: Any, sizes: tuple[int | None, ...], given: tuple[Dim, ...], advice: str
) -> None:
    net = keras.Sequential([keras.Input(sizes, name="x"), keras.layers.Conv2D(3, 3)])
    with pytest.raises(UsageError) as caught:
        source_of(net, InputOption("x", given)).inputs()
    words = str(caught.value)
    assert "and --input has the order of the model's own axes: " in words
    assert advice in words
    assert words.endswith("use --input-layout nchw")


def test_weights_of_a_whole_file_need_none_of_its_classes(keras: Any, tmp_path: Path) -> None:
    class Mine(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    def built() -> Any:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Mine()])

    model, path = built(), tmp_path / "net.keras"
    model.save(path)
    other = built()
    from prelu_tools.backends.keras.files.loading import load_weights

    load_weights(other, path, "net")
    assert np.array_equal(other.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("shape", "axis", "advice"),
    [
        (("batch", 2, "h", "w"), "w is axis 3 of x (channels, as a rule)", "x:batch,h,w,{}"),
        (("batch", 8, "w", "c"), "c is axis 3 of x (channels, as a rule)", "x:batch,h,w,{}"),
        (("batch", 8, 8, "c"), "c is axis 3 of x (channels, as a rule)", "x:batch,h,w,{}"),
        (("batch", "h", "w", "c"), "c is axis 3 of x (channels, as a rule)", "x:batch,h,w,{}"),
    ],
)
def test_an_axis_that_takes_one_size_is_not_freed_with_others(
    keras: Any, channels: int, shape: Any, axis: str, advice: str
) -> None:
    x = keras.Input((8, 8, channels), name="x")
    model = keras.Model(x, keras.layers.Conv2D(2, 3, padding="same", name="first")(x))
    with pytest.raises(UsageError) as caught:
        source_of(model, InputOption("x", shape)).inputs()
    words = str(caught.value)
    assert f"{axis}, and net takes only {channels} there: " in words
    assert f"expected axis -1 of input shape to have value {channels}" in words
    assert f". Use --input {advice.format(channels)}: the sizes are in the order of" in words


def test_axes_that_have_to_be_equal_are_freed_together(keras: Any) -> None:
    x = keras.Input((8, 8, 1), name="x")
    turned = keras.layers.Permute((2, 1, 3))(x)
    source = source_of(keras.Model(x, x + turned), InputOption("x", ("batch", "h", "w", 1)))
    assert source.inputs()[0].shape == ("batch", "h", "w", 1)


# Layers


def test_a_layer_is_what_the_model_says_it_is(keras: Any) -> None:
    act = _prelu(keras, [0.5, -0.25], shared_axes=[1, 2], name="act")
    conv = keras.layers.Conv2D(2, 3, name="conv")
    model = keras.Sequential([keras.Input((6, 7, 3), name="x"), conv, act])
    (layer,) = source_of(model).layers()
    assert (layer.name, layer.nodes, layer.parameter) == ("act", ("act",), "act/alpha")
    assert (layer.form, layer.sharing, layer.channel_axis) == ("PReLU", "channel-wise", 3)
    assert (layer.stored_shape, layer.slopes.shape) == ((1, 1, 2), (1, 1, 1, 2))
    assert layer.slopes.reshape(-1).tolist() == [0.5, -0.25]
    assert layer.input_shape == (None, 4, 5, 2)
    assert layer.preceding_parameters == 3 * 2 * 9 + 2


@pytest.mark.parametrize(
    ("axes", "shape", "sharing"),
    [
        (None, (1, 4, 5, 2), "element-wise"),
        ([1, 2], (1, 1, 1, 2), "channel-wise"),
        ([1], (1, 1, 5, 2), "partial"),
        ([1, 2, 3], (1, 1, 1, 1), "channel-shared"),
    ],
)
def test_shared_axes_tell_who_shares(
    keras: Any, axes: Any, shape: tuple[int, ...], sharing: str
) -> None:
    values = np.linspace(0.1, 0.9, int(np.prod(shape)))
    act = _prelu(keras, values, shared_axes=axes)
    (layer,) = source_of(keras.Sequential([keras.Input((4, 5, 2)), act])).layers()
    assert (layer.slopes.shape, layer.sharing) == (shape, sharing)
    assert layer.slopes.reshape(-1).tolist() == values.astype(np.float32).tolist()


def test_equal_names_in_nested_models_are_told_apart(keras: Any) -> None:
    def block(name: str, slope: float) -> Any:
        act = _prelu(keras, [slope], shared_axes=[1], name="act")
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), act], name=name)

    lone = _prelu(keras, [0.3], shared_axes=[1], name="lone")
    parts = [keras.Input((3,)), block("one", 0.1), block("two", 0.2), lone]
    layers = source_of(keras.Sequential(parts)).layers()
    found = {layer.name: round(float(layer.slopes.item()), 6) for layer in layers}
    assert found == {"one/act": 0.1, "two/act": 0.2, "lone": 0.3}


def test_a_nested_model_used_twice_is_one_layer_with_two_nodes(keras: Any) -> None:
    block = keras.Sequential([keras.Input((3,)), _prelu(keras, [0.1, 0.2, 0.3], name="act")])
    (layer,) = source_of(keras.Sequential([keras.Input((3,)), block, block])).layers()
    assert layer.nodes == ("act", "act_1")


def test_a_subclassed_model_is_watched_too(keras: Any) -> None:
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2, name="dense")
            self.act = _prelu(keras, [0.5, -0.5], name="act")

        def call(self, x: Any) -> Any:
            return self.act(self.dense(x))

    (layer,) = source_of(Subclassed(), InputOption("x", ("batch", 3))).layers()
    assert (layer.name, layer.preceding_parameters) == ("act", 8)


@pytest.mark.parametrize(
    "formula",
    [
        lambda keras, x, a: keras.ops.where(x >= 0, x, a * x),
        lambda keras, x, a: keras.ops.maximum(x, 0) + a * keras.ops.minimum(x, 0),
        lambda keras, x, a: keras.ops.relu(x) - a * keras.ops.relu(-x),
    ],
)
def test_hand_written_layers_are_layers(keras: Any, formula: Any) -> None:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            start = keras.initializers.Constant(0.75)
            self.alpha = self.add_weight(name="slope", shape=(), initializer=start)

        def call(self, x: Any) -> Any:
            return formula(keras, x, self.alpha)

    (layer,) = source_of(keras.Sequential([keras.Input((4, 4, 2)), Own(name="own")])).layers()
    assert (layer.name, layer.parameter, layer.form) == ("own", "own/slope", "Own")
    assert layer.sharing == "channel-shared"
    assert layer.slopes.item() == 0.75


def test_what_only_resembles_prelu_is_no_layer(keras: Any) -> None:
    class Bias(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.bias = self.add_weight(name="bias", shape=(shape[-1],))

        def call(self, x: Any) -> Any:
            return x + self.bias

    parts = [keras.Input((4,)), Bias(), keras.layers.LeakyReLU(), keras.layers.ReLU()]
    assert source_of(keras.Sequential(parts)).layers() == ()


# Modes and coverage


def test_the_model_runs_in_inference_mode(keras: Any) -> None:
    act = _prelu(keras, [0.5, 0.5])
    parts = [keras.Input((2,), name="x"), keras.layers.Dropout(0.9), act]
    found = _run(source_of(keras.Sequential(parts)), x=[[-1, 1], [-3, 5]])
    assert next(iter(found.values())).tolist() == [[-0.5, 1.0], [-1.5, 5.0]]


def test_looking_leaves_no_trace_on_the_model(keras: Any) -> None:
    model = keras.Sequential([keras.Input((2,), name="x"), _prelu(keras, [0.5, 0.5])])
    source = source_of(model)
    _run(source, x=[[-1, 1]])
    assert len(source.layers()) == 1
    assert all("call" not in vars(layer) for layer in model.layers)


def test_a_slope_is_reached_where_its_position_is_negative(keras: Any) -> None:
    model = keras.Sequential(
        [
            keras.Input((2, 2), name="x"),
            _prelu(keras, [1, 2, 3, 4], name="each"),
            _prelu(keras, [5, 6], shared_axes=[1], name="shared"),
        ]
    )
    source = source_of(model)
    book = coverage(source, {"x": np.array([[[1, 1], [1, 1]], [[1, 1], [1, -1]]], np.float32)})
    found = {layer.name: book.reached(layer.name).tolist() for layer in source.layers()}
    assert found == {"each": [False, False, False, True], "shared": [False, True]}


# Files


@pytest.fixture
def archive(keras: Any, tmp_path: Path) -> Path:
    path = tmp_path / "net.keras"
    parts = [keras.Input((2,), name="x"), keras.layers.PReLU(name="act")]
    keras.Sequential(parts, name="net").save(path)
    return path


def test_a_file_that_is_no_archive_is_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    for content in (b"", b"text\n", b"PK\x03\x04 cut short"):
        path.write_bytes(content)
        found = cli("export", path, "-o", tmp_path / "net.onnx")
        assert (found.code, found.out) == (3, "")
        assert f"{path} cannot be loaded" in found.err
        assert len(found.err.strip().splitlines()) == 1


def test_lambda_layers_are_not_run_unasked(keras: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    parts = [
        keras.Input((2,), name="x"),
        keras.layers.Lambda(lambda x: x + 1),
        keras.layers.PReLU(),
    ]
    keras.Sequential(parts).save(path)
    command = ("export", path, "-o", tmp_path / "net.onnx")
    found = cli(*command)
    assert found.code == 3
    assert "--allow-unsafe-load" in found.err
    assert cli(*command, "--allow-unsafe-load").code == 0
    assert cli("inspect", path, "--expect-layers", 1).code == 0  # runs nothing of the file


def test_weights_of_a_live_model_are_read_from_a_file(keras: Any, tmp_path: Path) -> None:
    nets = tmp_path / "nets_with_h5.py"
    nets.write_text(
        "import keras\n\n\ndef net(units=2):\n    return keras.Sequential([keras.Input((3,)), "
        "keras.layers.Dense(units), keras.layers.PReLU(name='act')])\n"
    )
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), _prelu(keras, [0.5, -2.0], name="act")]
    )
    weights = tmp_path / "net.weights.h5"
    model.save_weights(weights)
    found = cli("inspect", f"{nets}:net@{weights}", "--format", "json", "--slopes")
    assert found.json["layers"][0]["slopes"] == [0.5, -2.0]
    other = cli("inspect", f"{nets}:net(units=5)@{weights}")
    assert other.code == 3
    assert "do not fit" in other.err
    assert "2 of 2 layers with weights cannot be loaded; the first is dense" in other.err
    assert "kernel has shape (3, 5) in the model and (3, 2) in the file" in other.err
    missing = cli("inspect", f"{nets}:net@{tmp_path}/missing.weights.h5")
    assert missing.code == 3
    assert "no such file" in missing.err


def test_the_producer_is_named(archive: Path) -> None:
    document = cli("inspect", archive, "--format", "json").json
    assert document["model"]["format"] == "keras"
    assert document["model"]["opset"] is None
    assert document["model"]["n_parameters"] == 2
    assert document["model"]["producer"].startswith("keras 3")
