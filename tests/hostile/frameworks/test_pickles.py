"""Files that would run code when they are loaded: refused, with what they want to run."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from attacks import Attack, pickled
from running import cli
from tiny_models import save_prelu

from prelu_tools.core.files.pickles import in_words, wanted_by, wanted_by_file

NAMED = "would run posix.mkdir"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def _refusal(*arguments: object, marker: Path) -> str:
    """What the command line says; nothing was run."""
    found = cli(*arguments)
    assert found.code == 3, found.words
    assert found.out == ""
    assert not marker.exists()
    return found.words


def test_the_attack_is_one(marker: Path) -> None:
    pickle.loads(pickled(marker))
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_what_a_pickle_names_is_told(protocol: int, marker: Path) -> None:
    assert wanted_by(pickled(marker, protocol)) == ("posix.mkdir",)
    twice = pickle.dumps([Attack(marker), {"a": Attack(marker)}, print], protocol)
    assert set(wanted_by(twice)) in (
        {"posix.mkdir", "builtins.print"}, {"posix.mkdir", "__builtin__.print"},
    )  # fmt: skip


def test_what_tensors_need_is_not_told() -> None:
    assert wanted_by(pickle.dumps(OrderedDict(a=np.arange(3.0), b=np.float32(1)))) == ()


@pytest.mark.parametrize("data", [b"", b"\x80", b"junk" * 9, b"\x80\x04\x93.", b"cos\nsystem"])
def test_what_is_no_pickle_names_nothing(data: bytes) -> None:
    assert wanted_by(data) == ()


def test_a_damaged_pickle_names_what_stands_before_the_damage(marker: Path) -> None:
    assert wanted_by(pickled(marker)[:-4] + b"\xff\xff") == ("posix.mkdir",)


def test_many_names_are_counted() -> None:
    assert in_words(tuple("abcdefg")) == "a, b, c, d, e and 2 more, which the file names"
    assert in_words(()) == "code from the file"


def test_a_file_that_is_not_there_names_nothing(tmp_path: Path) -> None:
    assert wanted_by_file(tmp_path / "nowhere.pkl") == ()


@pytest.mark.torch
@pytest.mark.parametrize(("suffix", "zipped"), [(".pt", True), (".pth", False)])
def test_torch_files(zipped: bool, suffix: str, marker: Path, tmp_path: Path) -> None:
    import torch

    path = tmp_path / f"net{suffix}"
    torch.save({"a": Attack(marker)}, path, _use_new_zipfile_serialization=zipped)
    words = _refusal("inspect", path, marker=marker)
    assert NAMED in words
    assert "--allow-unsafe-load" in words
    path.write_bytes(pickled(marker))
    assert NAMED in _refusal("inspect", path, marker=marker)
    cli("inspect", path, "--allow-unsafe-load")
    assert marker.exists()


@pytest.mark.torch
def test_a_pickled_module_names_its_classes(marker: Path, tmp_path: Path) -> None:
    import torch

    torch.save(torch.nn.Sequential(torch.nn.PReLU()), tmp_path / "net.pt")
    words = _refusal("inspect", tmp_path / "net.pt", marker=marker)
    assert "torch.nn.modules.container.Sequential" in words


@pytest.mark.torch
def test_weights_of_a_python_source(marker: Path, tmp_path: Path) -> None:
    import torch

    (tmp_path / "nets.py").write_text("from torch import nn\ndef net(): return nn.PReLU()\n")
    torch.save({"weight": Attack(marker)}, tmp_path / "w.pt")
    source = f"{tmp_path / 'nets.py'}:net@{tmp_path / 'w.pt'}"
    assert NAMED in _refusal("inspect", source, marker=marker)


def _objects(path: Path, marker: Path) -> Path:
    np.savez(path, x=np.array([Attack(marker)], object))
    return path


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_arrays_of_objects(command: str, marker: Path, tmp_path: Path) -> None:
    net = save_prelu(tmp_path / "net.onnx")
    data = _objects(tmp_path / "x.npz", marker)
    options = {"inspect": (net, "--data"), "verify": (net, net, "--inputs")}[command]
    words = _refusal(command, *options, data, marker=marker)
    assert "'x' is an array of Python objects" in words
    assert NAMED in words


@pytest.mark.parametrize("kind", ["pickle", "joblib", "compressed", "npy"])
def test_what_is_called_npz_and_is_none(kind: str, marker: Path, tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    net, path = save_prelu(tmp_path / "net.onnx"), tmp_path / "x.npz"
    if kind == "npy":
        np.save(tmp_path / "x.npy", np.array([Attack(marker)], object))
        (tmp_path / "x.npy").rename(path)
    elif kind == "pickle":
        path.write_bytes(pickled(marker))
    else:
        joblib.dump([Attack(marker), np.zeros(3)], path, compress=3 if kind == "compressed" else 0)
    words = _refusal("verify", net, net, "--inputs", path, marker=marker)
    assert (NAMED in words) == (kind in ("pickle", "joblib"))


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib"])
def test_pickles_are_no_source(suffix: str, marker: Path, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(pickled(marker, protocol=4))
    for command in (("inspect", path), ("export", path, "-o", tmp_path / "net.onnx")):
        assert NAMED in _refusal(*command, marker=marker)
