"""SavedModel folders: the slopes of the live model, told by the names of their variables."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli, environment

from prelu_tools.backends.opening import open_for_inspection
from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

pytestmark = pytest.mark.keras


def _open(path: Path) -> Any:
    return open_for_inspection(str(path), SourceOptions())


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4, 4, 2)), layers.Conv2D(2, 1), layers.PReLU(shared_axes=[1, 2], name="act")],
        name="inner",
    )
    x = image = keras.Input((4, 4, 3), name="image")
    x = inner(layers.PReLU(name="act")(layers.Conv2D(2, 1)(x)))
    x = layers.PReLU(name="last")(layers.Dense(5)(layers.Flatten()(layers.BatchNormalization()(x))))
    model = keras.Model(image, x)
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name == "alpha":
            weight.assign(random.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def exported(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "net"
    model.export(path, verbose=False)
    return path


def test_an_exported_model_has_its_slopes(model: Any, exported: Path) -> None:
    source = _open(exported)
    assert (source.framework, source.producer.split()[0]) == ("keras", "tensorflow")
    assert source.n_parameters == sum(int(np.prod(w.shape)) for w in model.weights)
    layers = source.layers()
    assert [layer.name for layer in layers] == ["act", "inner/act", "last"]
    assert [layer.parameter for layer in layers] == ["act/alpha", "inner/act/alpha", "last/alpha"]
    assert [layer.preceding_parameters for layer in layers] == [8, 6, 165]
    live = [np.array(weight) for weight in model.weights if weight.name == "alpha"]
    for found, alpha in zip(layers, live, strict=True):
        assert same_bits(found.slopes.reshape(-1), alpha.reshape(-1))
        assert found.stored_shape == alpha.shape
    assert layers[0].sharing == "element-wise"
    assert "identified by the" in source.notes[0]


def test_variables_of_one_name_are_told_apart(tmp_path: Path) -> None:
    import keras

    class Own(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.one, self.two = keras.layers.PReLU(), keras.layers.PReLU()

        def call(self, x: Any) -> Any:
            return self.two(self.one(x))

    model = Own(name="own")
    model(np.zeros((1, 3), np.float32))
    for number, weight in enumerate(model.weights):
        weight.assign(np.full(3, 0.5 + number))
    model.export(tmp_path / "own", verbose=False)
    layers = _open(tmp_path / "own").layers()
    assert len({layer.name for layer in layers}) == 2
    assert [float(layer.slopes.flat[0]) for layer in layers] == [0.5, 1.5]


def test_a_plain_tensorflow_module_is_read_by_its_attributes(tmp_path: Path) -> None:
    import tensorflow as tf

    class Act(tf.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.alpha = tf.Variable([value, -value], name="alpha")

    class Net(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.ones((3, 2)))
            self.first, self.second = Act(0.5), Act(0.25)

        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def __call__(self, x: Any) -> Any:
            x = x @ self.kernel
            return tf.where(x > 0, x, x * self.first.alpha * self.second.alpha)

    tf.saved_model.save(Net(), str(tmp_path / "net"))
    layers = _open(tmp_path / "net").layers()
    assert {layer.name: layer.slopes.tolist() for layer in layers} == {
        "first": [0.5, -0.5],
        "second": [0.25, -0.25],
    }


def test_the_commands_read_a_folder_and_run_it(exported: Path, tmp_path: Path) -> None:
    outcome = cli("inspect", exported)
    assert outcome.code == 0, outcome.err
    assert "a SavedModel names its variables, not its layers" in outcome.words
    outcome = cli("export", exported, "-o", tmp_path / "net.onnx", "--format", "json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["verification"]["verdict"] == "pass"


def test_damaged_folders_are_refused(exported: Path, tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(PReLUToolsError) as caught:
            _open(path)
        return str(caught.value)

    assert "is a folder, but not a SavedModel" in refusal(tmp_path)
    for name, said in (
        ("variables/variables.index", "is damaged"),
        ("variables/variables.data-00000-of-00001", "is damaged"),
        ("saved_model.pb", "is damaged"),
    ):
        broken = tmp_path / Path(name).name
        shutil.copytree(exported, broken)
        (broken / name).write_bytes(b"\xff" * 20)
        assert said in refusal(broken)
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(exported / "saved_model.pb", bare)
    assert "is a SavedModel without variables" in refusal(bare)


def test_inspect_needs_no_tensorflow(exported: Path) -> None:
    code = (
        "import sys; from prelu_tools.cli.main import run; code = run(sys.argv[1:]); "
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "inspect", str(exported)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_checkpoint_that_is_not_in_its_files_is_not_run(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    shutil.copytree(exported, folder)
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-8])
    found = cli("verify", folder, folder)
    assert (found.code, "is not in its file" in found.words) == (3, True), found.words
