"""OpenVINO's files are read without OpenVINO: layers by what they compute."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from damaged import check_damaged, damaged_text
from running import cli
from runtime_files import SLOPES, OpenVinoFile, save_openvino_net

from prelu_tools.backends.runtimes.openvino.source import OpenVinoSource
from prelu_tools.core.options import SourceOptions


def _opened(path: Path) -> OpenVinoSource:
    return OpenVinoSource(path, "net", SourceOptions())


def _with_slopes(path: Path, shape: list[int], slopes: np.ndarray) -> OpenVinoSource:
    file = OpenVinoFile()
    x = file.parameter("x", shape)
    y = file.layer("PReLU", "act", [x, file.constant("act.weight", slopes)], shape)
    return _opened(file.save(path, y))


def test_slopes_are_read_bit_for_bit(tmp_path: Path) -> None:
    source = _opened(save_openvino_net(tmp_path / "net.xml"))
    (layer,) = source.layers()
    assert (layer.name, layer.form, layer.parameter) == ("act", "prelu", "act.weight")
    assert layer.slopes.tobytes() == SLOPES.tobytes()
    assert [(s.name, s.shape) for s in source.inputs()] == [("x", ("batch", 3))]


@pytest.mark.parametrize(("shape", "expected"), [
    ([1, 3, 4, 5], (1, 3, 1, 1)),  # along the channels
    ([1, 3, 4, 3], (1, 3, 1, 1)),  # and there too where the last axis has the same size
    ([1, 4, 5, 3], (1, 1, 1, 3)),
    ([1, 3], (1, 3)),
])  # fmt: skip
def test_a_vector_of_slopes_lies_as_openvino_lays_it(
    tmp_path: Path, shape: list[int], expected: tuple[int, ...]
) -> None:
    (layer,) = _with_slopes(tmp_path / "net.xml", shape, SLOPES).layers()
    assert layer.slopes.shape == expected


def test_prelu_of_other_layers_with_weights_in_float16(tmp_path: Path) -> None:
    file = OpenVinoFile()
    shape = [1, 3, 4, 4]
    x = file.parameter("x", shape)
    stored = file.constant("a", SLOPES.astype(np.float16).reshape(1, 3, 1, 1))
    slopes = file.layer("Convert", "wide", [stored], [1, 3, 1, 1], destination_type="f32")
    scaled = file.layer("Multiply", "scaled", [x, slopes], shape)
    zero = file.constant("zero", np.zeros((), np.float32))
    positive = file.layer("Greater", "positive", [x, zero], shape)
    y = file.layer("Select", "y", [positive, x, scaled], shape)
    source = _opened(file.save(tmp_path / "net.xml", y))
    (layer,) = source.layers()
    assert (layer.form, layer.dtype, source.computes_in) == ("where", "float16", "float16")
    assert np.array_equal(layer.slopes.reshape(-1), SLOPES.astype(np.float16))


def test_entities_are_refused(tmp_path: Path) -> None:
    path = save_openvino_net(tmp_path / "net.xml")
    bomb = '<!DOCTYPE net [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    path.write_text(f"{bomb}{path.read_text(encoding='utf-8')}", encoding="utf-8")
    found = cli("inspect", path)
    assert found.code == 3
    assert "defines entities" in found.words


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = save_openvino_net(tmp_path / "net.xml")
    damage = partial(damaged_text, letters='0123456789=-, <>"/ab')
    check_damaged(path, [path.read_bytes()], damage, lambda: len(_opened(path).layers()))


def test_weights_outside_the_file_are_refused(tmp_path: Path) -> None:
    path = save_openvino_net(tmp_path / "net.xml")
    path.with_suffix(".bin").write_bytes(b"short")
    found = cli("inspect", path)
    assert found.code == 3
    assert "is outside net.bin" in found.words
