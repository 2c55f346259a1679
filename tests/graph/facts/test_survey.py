"""One look at a model: its layers, what is not a layer, and forecasts for runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, model, numbers

from prelu_tools.core.results.inspection import Finding, OtherActivation
from prelu_tools.graph.facts.survey import Survey, survey
from prelu_tools.graph.io.reader import OnnxModel, read_model
from prelu_tools.graph.targets.forecast import TARGETS

FORM = "p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)"


def _survey(proto: onnx.ModelProto, explain: bool = False, target: str | None = None) -> Survey:
    return survey(OnnxModel(proto, None), explain, target)


def _forecast(body: str, target: str, kind: str = "float", dtype: type = np.float32) -> Finding:
    tensor = IMAGE.replace("float", kind)
    constants = {"b": numbers(3, 1, 1, seed=1).astype(dtype)}
    found = _survey(model(body, f"{tensor} x", f"{tensor} y", constants), target=target)
    (finding,) = [f for f in found.layer_findings[0] if f.code == "target"]
    return finding


def test_other_activations_of_the_family() -> None:
    body = (
        "t = LeakyRelu<alpha = 0.25>(x) u = LeakyRelu(t) v = Relu(u) w = Sigmoid(v) y = PRelu(w, a)"
    )
    proto = model(body)
    proto.graph.node[0].name = "leaky"
    others = _survey(proto).others
    assert [(o.name, o.operator) for o in others] == [
        ("leaky", "LeakyRelu"), ("u", "LeakyRelu"), ("v", "Relu"),
    ]  # fmt: skip
    assert [o.slope for o in others] == pytest.approx([0.25, 0.01, 0.0])


def test_a_relu_within_a_form_is_no_activation_by_itself() -> None:
    assert _survey(model(FORM)).others == ()


def test_activations_in_bodies_count() -> None:
    body = (
        f"p = Cast<to = 9>(flag) y = If(p) <then_branch = yes () => ({IMAGE} u) {{ u = Relu(x) }}, "
        f"else_branch = no () => ({IMAGE} w) {{ w = PRelu(x, a) }}>"
    )
    found = _survey(model(body, f"{IMAGE} x, float[1] flag"))
    assert found.others == (OtherActivation("u", "Relu", 0.0),)
    assert [located.layer.name for located in found.layers] == ["a"]


def test_a_model_without_any() -> None:
    found = _survey(model("y = Sigmoid(x)"), explain=True, target="openvino")
    assert found == Survey((), (), (), (), ())


@pytest.mark.parametrize(("body", "said"), [("y = PRelu(x, a)", True), (FORM, False)])
def test_the_quantizer_is_told_of_where_there_are_prelu_nodes(body: str, said: bool) -> None:
    codes = [(f.code, f.severity, f.layer) for f in _survey(model(body)).findings]
    assert codes == ([("quantizer", "info", None)] if said else [])


@pytest.mark.parametrize("explain", [False, True])
def test_near_misses_are_told_where_asked_for(explain: bool) -> None:
    found = _survey(model("s = Mul(x, two) t = Max(x, s) y = PRelu(t, a)"), explain)
    assert [refused.node for refused in found.refused] == (["t"] if explain else [])


def test_findings_stand_with_their_layers() -> None:
    proto = model("t = PRelu(x, a) y = PRelu(t, b)", constants={"b": numbers(3, seed=1)})
    found = _survey(proto)
    assert [[f.code for f in findings] for findings in found.layer_findings] == [[], ["slope_axis"]]


@pytest.mark.parametrize("target", TARGETS)
def test_a_forecast_for_a_prelu_node(target: str) -> None:
    finding = _forecast("y = PRelu(x, b)", target)
    assert (finding.severity, finding.layer) == ("info", "b")
    assert finding.message.startswith(f"{target}: {TARGETS[target].remark}")
    assert TARGETS[target].source in finding.message
    is_measured = target in ("openvino", "ncnn", "mnn", "onnxruntime-web", "coreml")
    assert finding.message.endswith("; these slopes are applied correctly") == is_measured


@pytest.mark.parametrize(
    ("target", "kind", "severity"),
    [
        ("onnxruntime-cpu", "double", "info"),
        ("onnxruntime-cuda", "double", "info"),
        ("tensorrt", "double", "error"),
        ("openvino", "double", "error"),
        ("tensorrt", "float16", "info"),
        ("openvino", "float16", "info"),
    ],
)
def test_a_forecast_for_another_type(target: str, kind: str, severity: str) -> None:
    dtype = {"double": np.float64, "float16": np.float16}[kind]
    finding = _forecast("y = PRelu(x, b)", target, kind, dtype)
    assert finding.severity == severity
    if severity == "error":
        assert f"{target} has no PRelu kernel for DOUBLE" in finding.message
        assert "float32" in finding.message


def test_a_forecast_for_a_form_of_several_nodes() -> None:
    finding = _forecast(
        "p = Relu(x) n = Neg(x) q = Relu(n) s = Mul(q, b) y = Sub(p, s)", "tensorrt"
    )
    assert (finding.severity, finding.message.partition(",")[0]) == (
        "info", "tensorrt runs it as 5 nodes",
    )  # fmt: skip


def test_no_forecast_unless_asked_for() -> None:
    assert _survey(model("y = PRelu(x, a)")).layer_findings == ((),)


def test_weights_are_not_read(tmp_path: Path) -> None:
    proto = model("c = Conv(x, w) y = PRelu(c, a)", constants={"w": numbers(3, 3, 30, 30)})
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    found = read_model(path)
    weight = next(t for t in found.proto.graph.initializer if t.name == "w")
    next(entry for entry in weight.external_data if entry.key == "offset").value = "-1"
    assert len(survey(found, explain=True, target="openvino").layers) == 1


@pytest.mark.parametrize(("runtime", "shape", "slope", "expected"), [
    ("ncnn", "1, 3, 8, 8", (3, 1, 1), "info"),
    ("ncnn", "1, 3, 8, 8", (3, 8, 8), "error"),
    ("ncnn", "1, 8, 3", (1, 3), "error"),
    ("mnn", "1, 8, 3", (1, 3), "error"),
    ("mnn", "1, 8, 3", (1, 1, 3), "info"),
    ("openvino", "1, 8, 3", (1, 3), "info"),
    ("openvino", "1, 3, 8, 3", (3,), "error"),
    ("onnxruntime-web", "1, 8, 3", (1, 3), "info"),
])  # fmt: skip
def test_a_slope_that_a_runtime_misreads_is_an_error(
    runtime: str, shape: str, slope: tuple[int, ...], expected: str
) -> None:
    constants = {"b": numbers(*slope, seed=1)}
    tensor = f"float[{shape}]"
    found = _survey(
        model("y = PRelu(x, b)", f"{tensor} x", f"{tensor} y", constants), target=runtime
    )
    (finding,) = [f for f in found.layer_findings[0] if f.code == "target"]
    assert finding.severity == expected
    assert ("wrong values" in finding.message) == (expected == "error")


def test_the_right_shape_is_told_where_there_is_one() -> None:
    tensor = "float[1, 8, 3]"
    constants = {"b": numbers(1, 3, seed=1)}
    proto = model("y = PRelu(x, b)", f"{tensor} x", f"{tensor} y", constants)
    messages = {
        runtime: next(
            f.message
            for f in _survey(proto, target=runtime).layer_findings[0]
            if f.code == "target"
        )
        for runtime in ("mnn", "ncnn")
    }
    assert "[1, 1, 3] is right; export --target mnn writes it" in messages["mnn"]
    advice = (
        "export --target ncnn writes it with a Transpose before and after it, which "
        "gives the right values"
    )
    assert advice in messages["ncnn"]
