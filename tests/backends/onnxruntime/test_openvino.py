"""The real OpenVINO provider, in an environment of its own: `make test-openvino`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from running import cli

pytestmark = pytest.mark.openvino

SLOPES = np.array([0.25, -0.5, 1.5, 0.0], np.float32)


@pytest.fixture(autouse=True)
def _provider() -> None:
    if "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of onnxruntime has no OpenVINO: make test-openvino")


def _net(path: Path, slopes: np.ndarray = SLOPES, size: int = 6, rank_one: bool = False) -> Path:
    """A convolution, PReLU, and a convolution."""
    generator = np.random.default_rng(0)
    tensors = {
        "w": generator.normal(0, 0.4, (4, 3, 3, 3)),
        "a": slopes if rank_one else slopes.reshape(4, 1, 1),
        "v": generator.normal(0, 0.4, (2, 4, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["c", "a"], ["p"], name="act"),
        helper.make_node("Conv", ["p", "v"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2, size, size])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_openvino_runs_every_node_and_agrees_with_the_cpu(tmp_path: Path) -> None:
    net = _net(tmp_path / "net.onnx")
    found = cli("verify", net, net, "--provider=cpu", "--provider=openvino", "--format=json")
    assert found.code == 0, found.words
    first, second = found.json["candidates"]
    assert first["provider"]["actual"] == ["CPUExecutionProvider"]
    assert second["provider"]["actual"] == ["OpenVINOExecutionProvider"]
    assert second["provider"]["nodes_elsewhere"] == []
    assert [layer["provider"] for layer in second["layers"]] == ["OpenVINOExecutionProvider"]
    (agreement,) = found.json["agreements"]
    assert (agreement["providers"], agreement["verdict"]) == (["cpu", "openvino"], "pass")
    assert second["power"]["detected"] == second["power"]["planted"] > 0


def test_two_slopes_exchanged_fail_on_openvino_too(tmp_path: Path) -> None:
    wrong = _net(tmp_path / "wrong.onnx", SLOPES[[1, 0, 2, 3]])
    found = cli("verify", _net(tmp_path / "net.onnx"), wrong, "--provider", "openvino")
    assert found.code == 1
    assert "channels 0 and 1 swapped" in found.words


def test_slopes_that_openvino_reads_otherwise_fail(tmp_path: Path) -> None:
    """[C] on a map as wide as C: the last axis by the operator, the channels for OpenVINO."""
    net = _net(tmp_path / "net.onnx", size=4, rank_one=True)
    found = cli("verify", net, net, "--provider=cpu", "--provider=openvino", "--format=json")
    assert found.code == 1
    assert found.json["agreements"][0]["verdict"] == "fail"
    assert found.json["candidates"][0]["verdict"] == "pass"
