"""An option that would be ignored is a mistake in the command line: exit 2, and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper, save
from running import cli


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    value = [helper.make_tensor_value_info(name, 1, ["batch", 3]) for name in ("x", "y")]
    slopes = numpy_helper.from_array(np.float32([0.5, -0.25, 2]), "slopes")
    node = helper.make_node("PRelu", ["x", "slopes"], ["y"])
    made = helper.make_graph([node], "g", value[:1], value[1:], [slopes])
    path = tmp_path / "net.onnx"
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    path = tmp_path / "net.safetensors"
    save_file({"act.weight": np.float32([0.5, -0.25, 2])}, path)
    return path


def test_inspect_reads_a_graph_without_inputs(graph: Path) -> None:
    found = cli("inspect", graph, "--input", "x:1,3")
    assert found.code == 2
    assert "--input" in found.err
    assert cli("inspect", graph).code == 0


@pytest.mark.torch
def test_inspect_reads_weights_without_inputs(weights: Path) -> None:
    found = cli("inspect", weights, "--input", "x:1,3")
    assert found.code == 2
    assert "--input" in found.err
    assert cli("inspect", weights).code == 0


@pytest.mark.parametrize("command", ["inspect", "export", "verify"])
def test_custom_objects_are_for_keras(graph: Path, tmp_path: Path, command: str) -> None:
    more = {"inspect": [], "export": ["-o", tmp_path / "out.onnx"], "verify": [graph]}[command]
    found = cli(command, graph, *more, "--custom-objects", "layers.py")
    assert found.code == 2
    assert "--custom-objects is for Keras models" in found.err
    assert cli(command, graph, *more).code == 0


def test_of_several_sources_not_all_need_an_option(graph: Path, tmp_path: Path) -> None:
    more = ["--custom-objects", "layers.py", "--input", "x:1,3"]
    assert cli("inspect", graph, graph, *more).code == 0
    assert cli("inspect", graph, graph, graph, *more).code == 0
