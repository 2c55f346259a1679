"""What a graph says that its owner should know, and when it says nothing."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from graph_text import IMAGE, model, numbers

from prelu_tools.core.results.inspection import Finding
from prelu_tools.graph.facts.findings import graph_findings
from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.view import all_views

Dims = tuple[int, ...]


def _layer_findings(proto: onnx.ModelProto) -> list[list[Finding]]:
    located = locate_layers(all_views(OnnxModel(proto, None)))
    return [list(graph_findings(layer)) for layer in located]


def _findings(proto: onnx.ModelProto) -> list[Finding]:
    (found,) = _layer_findings(proto)
    assert all(len(finding.message) > 20 and finding.layer for finding in found)
    return found


def _codes(proto: onnx.ModelProto) -> dict[str, str]:
    return {finding.code: finding.severity for finding in _findings(proto)}


def _prelu(
    slope: Dims, shape: str, kind: str = "float", opset: int = 18, slope_kind: type = np.float32
) -> onnx.ModelProto:
    values = numbers(*slope, seed=1).astype(slope_kind)
    tensor = f"{kind}[{shape}]"
    return model("y = PRelu(x, b)", f"{tensor} x", f"{tensor} y", {"b": values}, opset)


@pytest.mark.parametrize(
    ("slope", "shape", "code", "severity"),
    [
        pytest.param((3, 1, 1), "N,3,4,5", None, None, id="channels"),
        pytest.param((1,), "N,3,4,5", None, None, id="one slope"),
        pytest.param((1,), "N,1,4,1", None, None, id="one slope, one channel"),
        pytest.param((3, 4, 5), "N,3,4,5", None, None, id="each position"),
        pytest.param((3, 1, 1), "N,C,H,W", None, None, id="channels, free sizes"),
        pytest.param((3,), "N,3", None, None, id="after a dense layer"),
        pytest.param((4,), "N,3", "no_broadcast", "error", id="dense, another size"),
        pytest.param((3,), "N,3,4,5", "slope_axis", "error", id="as MXNet writes it"),
        pytest.param((7,), "N,3,4,5", "slope_axis", "error", id="fits no axis"),
        pytest.param((3,), "N,3,H,W", "slope_axis", "error", id="channels of a free map"),
        pytest.param((7,), "N,3,H,W", None, None, id="maybe the width"),
        pytest.param((3,), "N,3,4,3", "slope_two_readings", "error", id="two readings"),
        pytest.param((3,), "N,3,3", "slope_two_readings", "error", id="two readings, rank 3"),
        pytest.param((5,), "N,3,4,5", "slope_last_axis", "info", id="the last axis"),
        pytest.param((5,), "N,T,5", "slope_last_axis", "info", id="the last axis of steps"),
        pytest.param((1, 5), "N,T,5", None, None, id="two axes leave no doubt"),
        pytest.param((3, 1), "N,3,4,5", "no_broadcast", "error", id="shifted by an axis"),
        pytest.param((1, 3, 1, 1), "N,3,4", "no_broadcast", "error", id="more axes"),
        pytest.param((2, 4, 5), "N,3,4,5", "no_broadcast", "error", id="another size"),
    ],
)
def test_how_a_slope_lies(slope: Dims, shape: str, code: str | None, severity: str | None) -> None:
    assert _codes(_prelu(slope, shape)) == ({code: severity} if code else {})


@pytest.mark.parametrize(
    ("slope", "shape", "texts"),
    [
        ((3,), "N,3,4,5", ["[3]", "[?, 3, 4, 5]", "make it [3, 1, 1]"]),
        ((3,), "N,3,3", ["[3]", "[?, 3, 3]", "make it [3, 1] "]),
        ((5,), "N,T,5", ["[5]", "[?, ?, 5]", "[1, 1, 5] is right in MNN"]),
        ((3, 1), "N,3,4,5", ["[3, 1]", "[?, 3, 4, 5]", "[C, 1, 1]"]),
    ],
)
def test_shapes_and_what_to_do_are_spelled_out(slope: Dims, shape: str, texts: list[str]) -> None:
    (finding,) = _findings(_prelu(slope, shape))
    assert all(text in finding.message for text in texts)


def test_a_slope_on_an_unknown_input_is_not_judged() -> None:
    proto = _prelu((3,), "N,3,4,5")
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.ClearField("shape")
    assert _codes(proto) == {}


@pytest.mark.parametrize(("opset", "codes"), [(6, {"old_opset": "error"}), (7, {}), (18, {})])
def test_opsets_without_a_kernel(opset: int, codes: dict[str, str]) -> None:
    assert _codes(_prelu((1,), "N,3,4,5", opset=opset)) == codes


def test_one_dimension_is_no_doubt_before_opset_7() -> None:
    assert set(_codes(_prelu((3,), "N,3,4,3", opset=6))) == {"old_opset"}


@pytest.mark.parametrize(
    ("opset", "found"), [(15, True), (16, False), (17, False), (18, False), (19, True), (22, True)]
)
def test_float64_has_a_kernel_in_a_few_opsets(opset: int, found: bool) -> None:
    proto = _prelu((3, 1, 1), "N,3,4,5", "double", opset, np.float64)
    assert _codes(proto) == ({"float64_kernel": "error"} if found else {})
    if found:
        assert str(opset) in _findings(proto)[0].message


def test_bfloat16_has_no_kernel() -> None:
    proto = _prelu((3, 1, 1), "N,3,4,5", "bfloat16", slope_kind=ml_dtypes.bfloat16)
    assert _codes(proto) == {"bfloat16_kernel": "error"}


def test_float16_has_a_kernel() -> None:
    assert _codes(_prelu((3, 1, 1), "N,3,4,5", "float16", slope_kind=np.float16)) == {}


def test_a_slope_of_another_type_is_named() -> None:
    (finding,) = _findings(_prelu((3, 1, 1), "N,3,4,5", "float16"))
    assert (finding.code, finding.severity) == ("type_mismatch", "error")
    assert "FLOAT16" in finding.message
    assert "slope FLOAT:" in finding.message


MASK = (
    "c = Greater(x, zero) d = Not(c) m = Cast<to = 1>(c) k = Cast<to = 1>(d) s = Mul(x, a) "
    "u = Mul(m, x) v = Mul(k, s) y = Add(u, v)"
)


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (MASK, {"mask_form": "warning"}),
        ("c = Greater(x, zero) s = Mul(x, a) y = Where(c, x, s)", {}),
        ("s = Mul(x, five) y = Max(x, s)", {}),
        ("u = Mul(x, third) v = Mul(u, third) c = Greater(x, zero) y = Where(c, x, v)",
         {"rounded": "info"}),
    ],
)  # fmt: skip
def test_forms_by_themselves(body: str, codes: dict[str, str]) -> None:
    constants = {"five": numbers(5, seed=2) / 8, "third": np.float32(1 / 3)}
    assert _codes(model(body, constants=constants)) == codes


def test_a_finding_of_several_calls_comes_once() -> None:
    row = {"b": numbers(3, seed=1)}
    assert len(_findings(model("t = PRelu(x, b) y = PRelu(t, b)", constants=row))) == 1


def test_findings_of_different_calls_come_each() -> None:
    proto = model("t = PRelu(x, b) r = Reshape(t, sizes) y = PRelu(r, b)", outputs="float[N,4] y",
                  constants={"b": numbers(3, seed=1), "sizes": np.array([-1, 4])})  # fmt: skip
    assert set(_codes(proto)) == {"slope_axis", "no_broadcast"}


def test_a_call_in_a_body_is_judged_by_its_own_shapes() -> None:
    body = (
        f"t = PRelu(x, b) p = Cast<to = 9>(flag) y = If(p) <then_branch = yes () => ({IMAGE} u) "
        f"{{ r = Transpose<perm = [0, 3, 1, 2]>(t) s = PRelu(r, b) u = Transpose<perm = "
        f"[0, 2, 3, 1]>(s) }}, else_branch = no () => ({IMAGE} w) {{ w = Relu(t) }}>"
    )
    proto = model(body, f"{IMAGE} x, float[1] flag", constants={"b": numbers(5, seed=1)})
    assert set(_codes(proto)) == {"slope_last_axis", "slope_axis"}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("s = Mul(x, two) y = Max(x, s)", True),
        ("s = Mul(x, a) y = Max(x, s)", False),
        ("s = Mul(x, one) y = Max(x, s)", False),
        ("y = Max(x, two)", False),
        ("s = Mul(x, two) y = Min(x, s)", False),
        ("s = Sigmoid(x) t = Mul(x, s) y = Max(x, t)", False),
    ],
)
def test_a_maximum_that_was_meant_as_prelu(body: str, found: bool) -> None:
    findings = survey(OnnxModel(model(body), None), explain=False, target=None).findings
    assert [(f.code, f.severity, f.layer) for f in findings] == (
        [("max_above_one", "error", "y")] if found else []
    )
