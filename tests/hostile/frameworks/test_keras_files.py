"""Keras files from strangers: what they would run, reach for or fill the memory with is refused."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attacks import NET, OLD, configured
from running import cli

from fuzz.corpus import SEEDS
from prelu_tools.backends.files import isolated
from prelu_tools.backends.files.isolated import Ended, Limits

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.keras


def _export(path: Path, *options: str) -> str:
    """What `export` says as it refuses a file."""
    target = path.parent / "made.onnx"
    found = cli("export", path, "-o", target, *options)
    assert found.code == 3, found.words
    assert not target.exists()
    assert "This is a bug" not in found.words
    return found.words


def _layer(document: Any, place: int) -> Any:
    return document["config"]["layers"][place]


FILES = pytest.mark.parametrize("suffix", [".keras", ".h5"])


@FILES
def test_a_lambda_layer_is_named_and_not_run(suffix: str, tmp_path: Path) -> None:
    from prelu_tools.backends.keras.library import keras

    marker = tmp_path / "marker"
    layers = keras.layers
    net = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x + 1, name="odd")])
    net.add(layers.PReLU())
    path = tmp_path / f"net{suffix}"
    net.save(path)
    words = _export(path)
    assert "contains the Lambda layer 'odd', and loading it would run code from the file" in words
    assert not marker.exists()
    found = cli("inspect", path, "--format", "json")
    assert (found.code, len(found.json["layers"])) == (0, 1)


@FILES
@pytest.mark.parametrize("kind", ["class", "function"])
def test_a_class_of_another_module_is_named_and_not_imported(
    suffix: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'marker')!r})\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def change(document: Any) -> None:
        if kind == "class":
            _layer(document, 1).update(module="evil", class_name="Evil", registered_name="Evil")
        else:
            name = {"module": "evil", "class_name": "function", "config": "evil"}
            _layer(document, 2)["config"]["activation"] = {**name, "registered_name": "evil"}

    changed = configured(tmp_path / f"net{suffix}", change)
    words = _export(changed)
    name = "Evil" if kind == "class" else "evil"
    assert f"it uses the custom class {name!r} of evil; name" in words
    assert f"--custom-objects FILE.py:{name}" in words
    with (tmp_path / "evil.py").open("a") as code:
        code.write("class Evil: ...\n" if kind == "class" else "def evil(): ...\n")
    assert f"; use --custom-objects {tmp_path / 'evil.py'}:{name}" in _export(changed)
    assert not (tmp_path / "marker").exists()


@FILES
def test_a_layer_larger_than_the_file(suffix: str, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        dense = next(e for e in document["config"]["layers"] if e["class_name"] == "Dense")
        dense["config"]["units"] = 10**12

    path = configured(tmp_path / f"net{suffix}", change)
    assert "has units 1,000,000,000,000, more than the file has bytes" in _export(path)


@FILES
def test_a_configuration_without_an_end(suffix: str, tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    path = configured(tmp_path / f"net{suffix}", lambda d: d.update(extra=deep))
    assert cli("inspect", path).code in (0, 3)


@pytest.mark.parametrize("where", ["dataset", "group", "soft"])
def test_weights_in_another_file(where: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.ones((5, 5), np.float32)
    path = tmp_path / "net.h5"
    path.write_bytes(OLD.read_bytes())
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file["model_weights"].visit(names.append)
        kernel = next(name for name in names if name.endswith("kernel"))
        del file["model_weights"][kernel]
        if where == "dataset":
            outside = [(str(tmp_path / "raw.bin"), 0, 100)]
            (tmp_path / "raw.bin").write_bytes(bytes(100))
            file["model_weights"].create_dataset(kernel, (5, 5), np.float32, external=outside)
        elif where == "group":
            file["model_weights"][kernel] = h5py.ExternalLink("secret.h5", "/values")
        else:
            file["model_weights"][kernel] = h5py.SoftLink("/nowhere")
    words = _export(path)
    if where != "soft":
        assert "another file" in words


def test_a_file_that_crashes_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(reader: str, path: Path, limits: Limits) -> Ended:
        return Ended(-signal.SIGSEGV, b"")

    monkeypatch.setattr(isolated, "launch", crash)
    for name in ("net.keras", "net.h5", "net.weights.h5"):
        found = cli("inspect", SEEDS / name)
        assert (found.code, "is damaged: reading it ended with SIGSEGV" in found.words) == (3, True)
    for name in ("net.keras", "net.h5"):
        copy = tmp_path / name
        copy.write_bytes((SEEDS / name).read_bytes())
        assert "is damaged: reading it ended with SIGSEGV" in _export(copy)


def test_an_archive_that_is_a_bomb(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "net.keras"
    path.write_bytes(NET.read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(70 << 20))
    assert "like a zip bomb" in _export(path)
    found = cli("inspect", path)
    assert (found.code, "like a zip bomb" in found.words) == (3, True)


@pytest.mark.parametrize("operator", ["WriteFile", "PyFunc"])
def test_a_saved_model_that_reaches_outside(operator: str, tmp_path: Path) -> None:
    from prelu_tools.backends.keras.framework import tf

    class Writes(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 3])])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            if operator == "WriteFile":
                tf.io.write_file(str(tmp_path / "marker"), "x")
                return x
            return tf.numpy_function(lambda v: v, [x], tf.float32)

    module = Writes()
    tf.saved_model.save(module, str(tmp_path / "saved"))
    words = _export(tmp_path / "saved")
    assert f"would run '{operator}', which may reach outside the model" in words
    assert not (tmp_path / "marker").exists()
