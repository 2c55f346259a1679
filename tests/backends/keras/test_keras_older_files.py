"""Files of Keras 2, which Keras 3 may not load, and SavedModels of TensorFlow 1."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli

from prelu_tools.backends.opening import open_for_inspection, open_source
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    start = keras.Input((6, 6, 3))
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(start)
    act = keras.layers.PReLU(shared_axes=[1, 2], name="act")
    model = keras.Model(start, act(x))
    act.alpha.assign(np.array([0.5, -0.25, 2], np.float32).reshape(1, 1, 3))
    return model


@pytest.fixture(scope="module")
def h5(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Keras 2 writes it: DepthwiseConv2D has `groups`, which Keras 3 does not know."""
    import h5py

    path = tmp_path_factory.mktemp("h5") / "net.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    return path


@pytest.fixture(scope="module")
def archive(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Keras 2 writes it: the model's class is in a module that is gone."""
    folder = tmp_path_factory.mktemp("archive")
    model.save(folder / "new.keras")
    path = folder / "net.keras"
    with zipfile.ZipFile(folder / "new.keras") as new, zipfile.ZipFile(path, "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["module"] = "keras.src.engine.functional"
                content = json.dumps(config).encode()
            elif name == "metadata.json":
                content = json.dumps({"keras_version": "2.15.0"}).encode()
            old.writestr(name, content)
    return path


@pytest.mark.parametrize("kind", ["h5", "archive"])
def test_a_file_of_keras_2_is_refused_with_the_remedy_and_shown_all_the_same(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prelu_tools.backends.keras.files import keras2

    path = request.getfixturevalue(kind)
    monkeypatch.setattr(keras2, "find_spec", lambda _: None)
    with pytest.raises(PReLUToolsError, match=r"is a Keras 2 file \(2\.15\.0\).*tf_keras"):
        open_source(str(path), SourceOptions())
    (layer,) = open_for_inspection(str(path), SourceOptions()).layers()
    assert layer.slopes.reshape(-1).tolist() == [0.5, -0.25, 2]


def test_what_tf_keras_makes_of_a_file_is_exported(h5: Path, tmp_path: Path) -> None:
    pytest.importorskip("tf_keras")
    found = cli("export", h5, "-o", tmp_path / "net.onnx")
    assert found.code == 0, found.words
    assert "1 PReLU layer" in found.words


def test_a_class_of_the_users_own_is_asked_for_in_a_file_of_keras_2_too(
    archive: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own.keras"
    with zipfile.ZipFile(archive) as held, zipfile.ZipFile(path, "w") as changed:
        for name in held.namelist():
            content = held.read(name)
            if name == "config.json":
                content = content.replace(b"keras.src.engine.functional", b"os")
            changed.writestr(name, content)
    with pytest.raises(PReLUToolsError, match="uses the custom class 'Functional'"):
        open_source(str(path), SourceOptions())


def test_a_saved_model_of_tensorflow_1_has_its_slopes_by_name(tmp_path: Path) -> None:
    import tensorflow as tf

    v1, folder = tf.compat.v1, tmp_path / "net"
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        image = v1.placeholder(tf.float32, [None, 6, 6, 2], name="image")
        kernel = v1.get_variable("conv/kernel", [3, 3, 2, 3])
        slopes = v1.get_variable("prelu/alphas", initializer=tf.constant([0.5, -0.25, 2.0]))
        x = tf.nn.conv2d(image, kernel, 1, "SAME")
        y = tf.identity(tf.nn.relu(x) + 0.5 * slopes * (x - abs(x)), name="out")
        v1.get_variable("prelu/alphas/Adam", [3], trainable=False)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"image": image}, {"out": y})
    (layer,) = open_for_inspection(str(folder), SourceOptions()).layers()
    assert (layer.name, layer.slopes.reshape(-1).tolist()) == ("prelu", [0.5, -0.25, 2])
    assert layer.preceding_parameters == 54
    (running,) = open_source(str(folder), SourceOptions()).layers()
    assert running.slopes.reshape(-1).tolist() == [0.5, -0.25, 2]


_OWN = """
import keras


@keras.saving.register_keras_serializable("own")
class Hinge(keras.layers.Layer):
    '''Its weight says nothing of slopes.'''

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), name="w", initializer="ones")

    def call(self, x):
        return keras.ops.relu(x) - keras.ops.sigmoid(self.w) * keras.ops.relu(-x)


def net():
    start = keras.Input((4,))
    return keras.Model(start, Hinge(name="hinge")(keras.layers.Dense(3)(start)))
"""


def test_custom_objects_count_when_a_file_is_looked_at(tmp_path: Path) -> None:
    code = tmp_path / "own_layers.py"
    code.write_text(f"{_OWN}\n\nif __name__ == '__main__':\n    net().save('net.keras')\n")
    import runpy
    from contextlib import chdir

    with chdir(tmp_path):
        runpy.run_path(str(code), run_name="__main__")
    found = cli("inspect", tmp_path / "net.keras", f"--custom-objects={code}", "--format", "json")
    assert found.code == 0, found.words
    (layer,) = json.loads(found.out)["layers"]
    assert layer["name"] == "hinge"
    assert found.out.count("no_prelu") == 0
