"""What `inspect --target onnxruntime-web` says: forms for other kernels, nodes off WebGPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_models import save_graph, save_prelu

from prelu_tools.api import export, inspect, optimize
from prelu_tools.core.results.inspection import Finding
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.passes.lowering import lower
from prelu_tools.graph.targets.web import OPERATORS, SLOWER


def _found(path: Path, target: str = "onnxruntime-web") -> dict[str, Finding]:
    return {finding.code: finding for finding in inspect(str(path), target=target).all_findings}


def _lowered(path: Path, form: str) -> Path:
    model = read_model(save_prelu(path, (0.25, -0.5, 0.75), ("batch", 3, 4, 5)))
    dims = [3, 1, 1]
    tensor = model.proto.graph.initializer[0]
    tensor.dims[:] = dims
    lower(model, {"act": form})
    onnx.save(model.inlined(), path)
    return path


@pytest.mark.parametrize("form", [*SLOWER, "max"])
def test_a_form_for_other_kernels_is_reported_and_can_be_undone(tmp_path: Path, form: str) -> None:
    path = _lowered(tmp_path / "fast.onnx", form)
    finding = _found(path)["forms_for_native_cpu"]
    assert finding.severity == "warning"
    assert finding.layer == "act"
    assert form in finding.message
    assert ("times as long" in finding.message) == (form in SLOWER)
    assert "forms_for_native_cpu" not in _found(path, "onnxruntime-cpu")
    optimize(str(path), tmp_path / "web.onnx", target="onnxruntime-web")
    export(str(path), tmp_path / "export.onnx", target="onnxruntime-web", verify=False)
    for name in ("web.onnx", "export.onnx"):
        assert "forms_for_native_cpu" not in _found(tmp_path / name)
        assert "PRelu" in {node.op_type for node in onnx.load(tmp_path / name).graph.node}


def test_one_node_is_no_form_for_other_kernels(tmp_path: Path) -> None:
    found = _found(save_prelu(tmp_path / "net.onnx"))
    assert "forms_for_native_cpu" not in found
    assert found["target"].severity == "info"


def _with(path: Path, opset: int, *nodes: onnx.NodeProto) -> Path:
    """A PReLU before these nodes, which take `h`."""
    act = helper.make_node("PRelu", ["x", "act.weight"], ["h"], name="act")
    dims = ["batch", 3, 8, 8]
    slopes = {"act.weight": np.float32([0.25]), "axis": np.array([0], np.int64)}
    save_graph(path, [act, *nodes], {"x": dims}, {"y": ["batch", None, None, None]}, slopes)
    model = onnx.load(path)
    model.opset_import[0].version = opset
    model.ir_version = 10
    onnx.save(model, path)
    return path


def test_nodes_without_a_kernel_on_webgpu_are_counted(tmp_path: Path) -> None:
    path = _with(
        tmp_path / "net.onnx", 17,
        helper.make_node("Det", ["h"], ["d"]), helper.make_node("Selu", ["h"], ["s"]),
        helper.make_node("Selu", ["s"], ["t"]), helper.make_node("Add", ["t", "d"], ["y"]),
    )  # fmt: skip
    finding = _found(path)["webgpu_fallback"]
    assert finding.severity == "warning"
    assert "3 nodes run on the CPU" in finding.message
    assert "Det, Selu (2) (onnxruntime-web" in finding.message
    assert "webgpu_fallback" not in _found(path, "openvino")


@pytest.mark.parametrize(("opset", "is_reported"), [(17, False), (20, False), (22, True)])
def test_kernels_depend_on_the_opset(tmp_path: Path, opset: int, is_reported: bool) -> None:
    pool = helper.make_node("MaxPool", ["h"], ["y"], kernel_shape=[2, 2])
    found = _found(_with(tmp_path / "net.onnx", opset, pool))
    assert ("webgpu_fallback" in found) == is_reported
    if is_reported:
        assert "at other opsets it has kernels for MaxPool" in found["webgpu_fallback"].message


def test_what_computes_sizes_or_is_constant_or_unknown_is_passed_over(tmp_path: Path) -> None:
    path = _with(
        tmp_path / "net.onnx", 17,
        helper.make_node("Size", ["h"], ["n"]),
        helper.make_node("Selu", ["act.weight"], ["c"]),
        helper.make_node("Unheard", ["h"], ["u"], domain="own"),
        helper.make_node("Add", ["h", "c"], ["y"]),
    )  # fmt: skip
    assert "webgpu_fallback" not in _found(path)


def test_the_table_knows_the_operators_of_common_nets() -> None:
    table = json.loads(OPERATORS.read_text(encoding="utf-8"))
    assert table["version"].startswith("onnxruntime-web 1.")
    for operator in ("PRelu", "Conv", "Gemm", "Add", "Mul", "Relu", "Reshape", "Concat"):
        assert 17 in table["operators"][operator]["with"], operator
    for operator, found in table["operators"].items():
        assert set(found["with"]).isdisjoint(found["without"]), operator
        assert {*found["with"], *found["without"]} <= set(table["opsets"])
