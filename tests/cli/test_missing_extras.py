"""Where a package is not installed: which one is said, and the exact line that brings it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from running import ROOT, Outcome, environment, process
from sample_list import FOLDER
from tiny_models import save_dense

_FINDER = """
import os
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["BLOCKED"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())
"""
_TORCH = "torch onnxscript safetensors"
_KERAS = "tensorflow keras tf2onnx"
_OPTIONAL = f"{_TORCH} {_KERAS} matplotlib h5py sklearn"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes Python do without the packages named in BLOCKED."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(_FINDER)
    return folder


def _without(site: Path, blocked: str, *arguments: object) -> Outcome:
    path = f"{site}:{ROOT}"
    return process(*arguments, env=environment(PYTHONPATH=path, BLOCKED=blocked))


def _advice(extra: str) -> str:
    if extra == "keras" and sys.version_info >= (3, 14):
        return "TensorFlow has no build for Python 3.14 yet"
    return f"pip install 'prelu-tools[{extra}]'"


def _names_the_line(found: Outcome, extra: str) -> None:
    assert (found.code, found.out) == (3, "")
    assert _advice(extra) in found.err
    assert "not installed: " in found.err
    assert "Traceback" not in found.err
    assert len(found.err.strip().splitlines()) == 1


def test_torch_is_named_where_a_source_imports_it(site: Path, tmp_path: Path) -> None:
    source = f"{FOLDER}/torch_layers.py:Mlp"
    _names_the_line(_without(site, _TORCH, "export", source, "-o", tmp_path / "net.onnx"), "torch")


def test_keras_is_named_where_a_source_imports_it(site: Path, tmp_path: Path) -> None:
    source = f"{FOLDER}/keras_where.py:article_net"
    _names_the_line(_without(site, _KERAS, "export", source, "-o", tmp_path / "net.onnx"), "keras")


@pytest.mark.torch
def test_onnxscript_is_named_for_an_export_from_torch(site: Path, tmp_path: Path) -> None:
    source = f"{FOLDER}/torch_layers.py:Mlp"
    found = _without(site, "onnxscript", "export", source, "-o", tmp_path / "net.onnx")
    _names_the_line(found, "torch")
    assert "onnxscript" in found.err


@pytest.mark.torch
def test_safetensors_is_named_for_torch_weights(site: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    weights = tmp_path / "weights.safetensors"
    save_file({}, weights)
    source = f"{FOLDER}/torch_layers.py:Mlp@{weights}"
    found = _without(site, "safetensors", "inspect", source)
    _names_the_line(found, "torch")
    assert "safetensors" in found.err


@pytest.mark.keras
def test_tf2onnx_is_named_for_an_export_from_keras(site: Path, tmp_path: Path) -> None:
    source = f"{FOLDER}/keras_where.py:article_net"
    found = _without(site, "tf2onnx", "export", source, "-o", tmp_path / "net.onnx")
    _names_the_line(found, "keras")
    assert found.err.startswith("Error: tf2onnx is needed")


@pytest.mark.parametrize(
    "blocked",
    [
        "tensorflow",
        _KERAS,
    ],
)
@pytest.mark.keras
def test_keras_is_named_for_an_archive_that_has_to_run(
    blocked: str, site: Path, tmp_path: Path
) -> None:
    import keras

    archive = tmp_path / "net.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.PReLU()]).save(archive)
    found = _without(site, blocked, "export", archive, "-o", tmp_path / "net.onnx")
    _names_the_line(found, "keras")


def test_onnx_models_need_no_extra(site: Path, tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    assert _without(site, _OPTIONAL, "inspect", net).code == 0
    assert _without(site, _OPTIONAL, "verify", net, net).code == 0


def test_doctor_says_what_is_missing(site: Path) -> None:
    found = _without(site, f"{_TORCH} {_KERAS}", "doctor", "--format", "json")
    assert found.code == 0
    extras = {item["name"]: item for item in found.json["extras"]}
    for extra, names in (("torch", _TORCH), ("keras", _KERAS)):
        for name in names.split():
            item = extras[f"{extra}: {name}"]
            assert item["state"] == "missing"
            assert item["advice"].startswith(_advice(extra))
    assert {item["state"] for item in found.json["core"]} == {"ok"}


def test_doctor_without_its_core_is_no_verdict(site: Path) -> None:
    found = _without(site, f"onnxruntime {_TORCH} {_KERAS}", "doctor")
    assert found.code == 3
    assert "onnxruntime" in found.out
    assert "missing" in found.out


@pytest.mark.parametrize("command", ["", "doctor", "export", "inspect", "verify"])
def test_help_needs_no_package_but_click(site: Path, command: str) -> None:
    blocked = f"{_OPTIONAL} onnx onnxruntime numpy rich google"
    found = _without(site, blocked, *([command] if command else []), "-h")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Usage: ")
