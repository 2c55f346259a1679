"""`verify --bundle`: what is written on failure shows the failure by itself."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from running import cli
from sample_list import sample

pytestmark = [pytest.mark.torch, pytest.mark.real_models]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """RNet, its export, and the export with two slopes of the third layer exchanged."""
    source = sample("mtcnn_torch.py:RNet").source
    folder = tmp_path_factory.mktemp("bundle")
    right = folder / "right.onnx"
    assert cli("export", source, "-o", right, "-q").code == 0
    model = onnx.load(right)
    slope = [node.input[1] for node in model.graph.node if node.op_type == "PRelu"][2]
    (tensor,) = (t for t in model.graph.initializer if t.name == slope)
    values = numpy_helper.to_array(tensor).copy()
    values[[3, 7]] = values[[7, 3]]
    tensor.CopyFrom(numpy_helper.from_array(values, slope))
    wrong = folder / "wrong.onnx"
    onnx.save(model, wrong)
    return source, right, wrong


def test_a_pass_writes_nothing(models: tuple[str, Path, Path], tmp_path: Path) -> None:
    source, right, _ = models
    assert cli("verify", source, right, "--bundle", tmp_path / "bundle").code == 0
    assert list(tmp_path.iterdir()) == []


def test_the_part_around_the_first_divergence_runs_and_shows_it(
    models: tuple[str, Path, Path], tmp_path: Path
) -> None:
    source, _, wrong = models
    folder = tmp_path / "deep" / "bundle"
    assert cli("verify", source, wrong, "--bundle", folder).code == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "candidate.npz",
        "command.txt",
        "inputs.npz",
        "layer.npz",
        "layer.onnx",
        "reference.npz",
    ]
    layer = onnx.load(folder / "layer.onnx")
    onnx.checker.check_model(layer)
    assert [node.op_type for node in layer.graph.node].count("PRelu") == 1
    assert (folder / "layer.onnx").stat().st_size < wrong.stat().st_size / 4
    session = onnxruntime.InferenceSession(
        str(folder / "layer.onnx"), providers=["CPUExecutionProvider"]
    )
    with np.load(folder / "layer.npz") as arrays:
        feeds = {value.name: arrays[value.name] for value in session.get_inputs()}
        (output,) = session.get_outputs()
        np.testing.assert_allclose(session.run(None, feeds)[0], arrays[output.name], rtol=1e-5)
    with np.load(folder / "reference.npz") as left, np.load(folder / "candidate.npz") as right:
        assert max(np.abs(left[name] - right[name]).max() for name in left.files) > 1e-3


def test_the_command_reproduces_it(models: tuple[str, Path, Path], tmp_path: Path) -> None:
    source, _, wrong = models
    assert cli("verify", source, wrong, "--bundle", tmp_path).code == 1
    command = shlex.split((tmp_path / "command.txt").read_text())
    assert command[0] == "prelu-tools"
    again = cli(*command[1:])
    assert again.code == 1
    assert "prelu3: channels 3 and 7 swapped" in again.words


def test_a_bundle_that_cannot_be_written_is_no_verdict(
    models: tuple[str, Path, Path], tmp_path: Path
) -> None:
    source, _, wrong = models
    (tmp_path / "file").write_text("in the way")
    found = cli("verify", source, wrong, "--bundle", tmp_path / "file" / "bundle")
    assert found.code == 3
    assert "bundle cannot be written: Not a directory" in found.words
