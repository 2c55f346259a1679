"""One file, written whole or not at all: what `export` leaves behind, whatever happens."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from running import Outcome, cli
from sample_list import FOLDER

pytestmark = pytest.mark.keras

_NETS = '''
import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tests")
class Changing(keras.layers.Layer):
    """Adds a number, and only where it is traced."""

    def __init__(self, number, always=False):
        super().__init__()
        self.number, self.always = number, always

    def call(self, x):
        return x + self.number if self.always or not tf.executing_eagerly() else x


def net(*behind, slope=0.5):
    start = keras.initializers.Constant(slope)
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4,), name="x"),
            keras.layers.Dense(3),
            keras.layers.PReLU(start, name="act"),
            *behind,
        ]
    )


def good():
    return net()


def other_when_traced():
    return net(Changing(1.0))


def not_a_number():
    return net(Changing(float("nan"), always=True))


def unbuilt():
    return keras.Sequential([keras.layers.Dense(3), keras.layers.PReLU(name="act")])
'''


def _export(source: str, folder: Path, *more: str) -> Outcome:
    return cli("export", source, "-o", folder / "net.onnx", *more)


@pytest.mark.parametrize(("name", "code"), [("other_when_traced", 1), ("not_a_number", 3)])
def test_what_did_not_pass_is_not_written(nets: Path, tmp_path: Path, name: str, code: int) -> None:
    found = _export(f"{nets}:{name}", tmp_path)
    assert found.code == code
    assert found.out == ""
    assert "was not written" in found.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "code"), [("other_when_traced", 1), ("not_a_number", 3)])
def test_force_keeps_the_old_file_until_the_new_one_has_passed(
    nets: Path, tmp_path: Path, name: str, code: int
) -> None:
    old = tmp_path / "net.onnx"
    old.write_bytes(b"precious")
    assert _export(f"{nets}:{name}", tmp_path, "--force").code == code
    assert old.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [old]


def test_force_replaces_the_old_file(nets: Path, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"old")
    assert _export(f"{nets}:good", tmp_path, "--force").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)


def test_the_file_can_be_read_by_others(nets: Path, tmp_path: Path) -> None:
    assert _export(f"{nets}:good", tmp_path).code == 0
    usual = tmp_path / "usual"
    usual.touch()
    assert (tmp_path / "net.onnx").stat().st_mode == usual.stat().st_mode


def test_no_verify_writes_it_unchecked_and_says_so(nets: Path, tmp_path: Path) -> None:
    found = _export(f"{nets}:other_when_traced", tmp_path, "--no-verify")
    assert found.code == 0
    assert "not verified" in found.out
    assert (tmp_path / "net.onnx").exists()
    found = _export(f"{nets}:not_a_number", tmp_path, "--no-verify", "--force", "--format=json")
    assert (found.code, found.json["verification"]) == (0, None)


def test_the_check_is_part_of_the_result(nets: Path, tmp_path: Path) -> None:
    document = _export(f"{nets}:good", tmp_path, "--format", "json").json
    assert (document["schema_version"], document["kind"]) == (1, "export")
    assert document["source"] == f"{nets}:good"
    path = tmp_path / "net.onnx"
    model = onnx.load(path)
    assert document["model"] == {
        "path": str(path),
        "bytes": path.stat().st_size,
        "opset": 18,
        "n_nodes": len(model.graph.node),
        "data_path": None,
        "data_bytes": 0,
    }
    assert [layer["name"] for layer in document["layers"]] == ["act"]
    check = document["verification"]
    assert check["verdict"] == "pass"
    assert check["candidates"][0]["model"] == str(path)  # not the temporary file's
    assert check["coverage"] == {"exercised": 3, "total": 3, "unreached": []}


def test_a_model_without_prelu_is_exported_on_its_outputs(tmp_path: Path) -> None:
    source = f"{FOLDER}/keras_digits.py:convnet(activation='relu')"
    found = _export(source, tmp_path, "--format", "json")
    assert found.code == 0
    assert found.json["layers"] == []
    assert found.json["verification"]["verdict"] == "pass"


def test_input_shapes_that_are_not_known_are_asked_for_and_taken(
    nets: Path, tmp_path: Path
) -> None:
    found = _export(f"{nets}:unbuilt", tmp_path)
    assert found.code == 2
    assert "--input" in found.err
    assert "batch" in found.err
    assert _export(f"{nets}:unbuilt", tmp_path, "--input", "features:batch,6").code == 0
    (value,) = onnx.load(tmp_path / "net.onnx").graph.input
    dims = value.type.tensor_type.shape.dim
    assert (value.name, dims[0].dim_param, dims[1].dim_value) == ("features", "batch", 6)


def test_the_model_says_where_it_comes_from_but_not_from_which_folder(
    nets: Path, tmp_path: Path
) -> None:
    assert _export(f"{nets}:good", tmp_path, "-q").code == 0
    model = onnx.load(tmp_path / "net.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["prelu_tools.source"] == "nets_of_test_export_keras_files.py:good"
    assert properties["prelu_tools.route"].startswith("tf2onnx ")
    assert model.producer_name == "prelu-tools"
    assert str(nets.parent).encode() not in (tmp_path / "net.onnx").read_bytes()
