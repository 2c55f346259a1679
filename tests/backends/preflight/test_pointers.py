"""A Git LFS pointer is rejected with one sentence, wherever the file stands that it is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from prelu_tools.backends.opening import check_source
from prelu_tools.backends.runtimes.source import weights_beside
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.reader import read_model

_SUFFIXES = (
    *("onnx", "keras", "h5", "pt", "pth", "pt2", "ckpt", "safetensors", "weights.h5"),
    *("tflite", "npz", "mnn", "param", "xml"),
)


def _pointer(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n")
    return path


@pytest.mark.parametrize("suffix", _SUFFIXES)
@pytest.mark.parametrize("inspects", [True, False])
def test_in_place_of_a_source(tmp_path: Path, suffix: str, inspects: bool) -> None:
    path = _pointer(tmp_path / f"net.{suffix}")
    with pytest.raises(PReLUToolsError) as caught:
        check_source(str(path), inspects)
    assert str(caught.value) == f"{path} is a Git LFS pointer, not the file: run git lfs pull"


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.index"])
def test_in_a_saved_model(tmp_path: Path, part: str) -> None:
    (tmp_path / "saved_model.pb").touch()
    check_source(str(tmp_path))
    _pointer(tmp_path / part)
    with pytest.raises(PReLUToolsError, match=rf"{part} is a Git LFS pointer"):
        check_source(str(tmp_path))


def test_in_place_of_weights_and_in_readers_that_search_a_folder(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def net(): ...")
    weights = _pointer(tmp_path / "net.pt")
    with pytest.raises(PReLUToolsError, match=r"net\.pt is a Git LFS pointer"):
        check_source(f"{tmp_path}/nets.py:net@{weights}")
    with pytest.raises(PReLUToolsError, match=r"net\.onnx is a Git LFS pointer"):
        read_model(_pointer(tmp_path / "net.onnx"))
    _pointer(tmp_path / "net.bin")
    with pytest.raises(PReLUToolsError, match=r"net\.bin is a Git LFS pointer"):
        weights_beside(tmp_path / "net.param")
