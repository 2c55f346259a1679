"""Tensors in other files: only those beside the model, whatever the model and its folder say."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, parser
from running import cli

SIZE = 1000
VALUES = np.linspace(-1, 1, SIZE, dtype=np.float32)


def _save(path: Path, location: str, copies: int = 1, **place: object) -> Path:
    """A model whose slopes, so many layers of them, lie elsewhere."""
    names = [f"w{i}" for i in range(copies)]
    body = " ".join(f"t{i + 1} = PRelu(t{i}, {name})" for i, name in enumerate(names))
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 18]> g (float[N,{SIZE}] t0) => '
        f"(float[N,{SIZE}] t{copies}) {{ {body} }}"
    )
    for name in names:
        tensor = proto.graph.initializer.add(name=name, data_type=TensorProto.FLOAT, dims=[SIZE])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **place}.items():
            tensor.external_data.add(key=key, value=str(value))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(proto.SerializeToString())
    return path


def _data(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(VALUES.tobytes())
    return path


def _refused(path: Path) -> str:
    """What every command says of a model; the values of no file outside are shown."""
    out = path.parent / "made.onnx"
    said = []
    for command in (("inspect", path), ("export", path, "-o", out), ("verify", path, path)):
        found = cli(*command)
        assert found.code == 3, found.words
        assert not out.exists()
        said.append(found.words)
    return said[0]


def test_beside_the_model_it_is_read(tmp_path: Path) -> None:
    _data(tmp_path / "data" / "w.bin")
    for location in ("data/w.bin", "./data/w.bin", "data/../data/w.bin"):
        assert cli("inspect", _save(tmp_path / "net.onnx", location)).code == 0


@pytest.mark.parametrize(
    "location",
    [
        "../w.bin",
        "inner/../../w.bin",
        "./../w.bin",
        "{folder}/w.bin",
        "{folder}/model/w.bin",
        "~/w",
    ],
)
def test_a_path_that_leads_outside(location: str, tmp_path: Path) -> None:
    _data(tmp_path / "w.bin")
    _data(tmp_path / "model" / "w.bin")
    (tmp_path / "model" / "inner").mkdir()
    text = _refused(_save(tmp_path / "model" / "net.onnx", location.format(folder=tmp_path)))
    assert "w0" in text
    assert ("rejected" in text) == (location != "~/w")  # the latter is a folder called ~


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_that_leads_outside(link: str, tmp_path: Path) -> None:
    _data(tmp_path / "secret" / "w.bin")
    path = _save(tmp_path / "model" / "net.onnx", "link" if link == "file" else "link/w.bin")
    target = tmp_path / "secret" / ("w.bin" if link == "file" else "")
    (path.parent / "link").symlink_to(target)
    assert "outside the model's own folder: rejected" in _refused(path)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    _data(tmp_path / "data" / "w.bin")
    (tmp_path / "w.bin").symlink_to("data/w.bin")
    assert cli("inspect", _save(tmp_path / "net.onnx", "w.bin")).code == 0


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """The cache of Hugging Face: every file of a snapshot is a link to one in `blobs`."""
    _data(tmp_path / "blobs" / "d1")
    _save(tmp_path / "blobs" / "m1", "model.onnx_data")
    folder = tmp_path / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    (folder / "model.onnx").symlink_to("../../blobs/m1")
    (folder / "model.onnx_data").symlink_to("../../blobs/d1")
    return folder


def test_the_cache_of_hugging_face_is_read(snapshot: Path, tmp_path: Path) -> None:
    model = snapshot / "model.onnx"
    assert cli("inspect", model, "--format", "json").json["layers"][0]["statistics"]["min"] == -1
    exported = cli("export", model, "-o", tmp_path / "made.onnx")
    assert exported.code == 0, exported.words


def test_other_links_of_such_a_cache_are_not_followed(snapshot: Path, tmp_path: Path) -> None:
    _data(tmp_path / "secret.bin")
    (snapshot / "model.onnx_data").unlink()
    (snapshot / "model.onnx_data").symlink_to("../../secret.bin")
    assert "rejected" in _refused(snapshot / "model.onnx")


def test_a_model_that_is_no_link_may_not_reach_into_the_cache(
    snapshot: Path, tmp_path: Path
) -> None:
    (snapshot / "model.onnx").unlink()
    (tmp_path / "blobs" / "m1").rename(snapshot / "model.onnx")
    assert "rejected" in _refused(snapshot / "model.onnx")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.bin")
    path = _save(tmp_path / "net.onnx", "w.bin")
    assert "which is not a regular file: rejected" in _refused(path)
    os.mkfifo(tmp_path / "pipe.onnx")
    for command in (("inspect", tmp_path / "pipe.onnx"), ("verify", tmp_path / "pipe.onnx", path)):
        found = cli(*command)
        assert (found.code, "neither a regular file nor a folder" in found.words) == (3, True)


@pytest.mark.parametrize(
    "place",
    [
        {"offset": 4}, {"offset": -4}, {"offset": 2**63}, {"offset": "x"}, {"offset": ""},
        {"length": 3996}, {"length": 4004}, {"length": -1}, {"length": 2**70}, {"length": "x"},
        {"offset": 2**62, "length": 2**62},
    ],
)  # fmt: skip
def test_a_place_outside_the_file(place: dict[str, object], tmp_path: Path) -> None:
    _data(tmp_path / "w.bin")
    assert "tensor 'w0'" in _refused(_save(tmp_path / "net.onnx", "w.bin", **place))


def test_tensors_that_overlap_are_what_the_file_has(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(VALUES.tobytes() + bytes(4))
    path = _save(tmp_path / "net.onnx", "w.bin", copies=2, length=SIZE * 4)
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[1].external_data.add(key="offset", value="4")
    path.write_bytes(proto.SerializeToString())
    first, second = cli("inspect", path, "--format", "json").json["layers"]
    assert (first["statistics"]["min"], second["statistics"]["max"]) == (-1, 1)
    assert second["statistics"]["min"] == pytest.approx(VALUES[1])


def test_a_file_that_is_used_without_end_is_no_model_of_gigabytes(tmp_path: Path) -> None:
    size, copies = 4 << 20, 160
    (tmp_path / "w.bin").write_bytes(bytes(size))
    tensors = [
        TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[size // 4])
        for i in range(copies)
    ]
    for tensor in tensors:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    body = " ".join(f"t{i + 1} = PRelu(t{i}, w{i})" for i in range(copies))
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 18]> g (float[1,{size // 4}] t0) => '
        f"(float[1,{size // 4}] t{copies}) {{ {body} }}"
    )
    proto.graph.initializer.extend(tensors)
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    found = cli("export", tmp_path / "net.onnx", "-o", tmp_path / "made.onnx", "--no-verify")
    assert found.code == 3
    assert "reuse the same 4,194,304 bytes" in found.words
    assert not (tmp_path / "made.onnx").exists()
