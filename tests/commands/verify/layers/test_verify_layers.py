"""The first layer that diverges is named; those after it only hand on what they were given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Outcome
from text_nets import IMAGE, candidate, npz, save, verdicts, verify

_RANDOM = np.random.default_rng(0)
_WEIGHTS = {f"w{i}": _RANDOM.normal(size=(3, 3, 1, 1)).astype(np.float32) for i in range(4)}
_SLOPES = {f"act{i}": _RANDOM.normal(size=(3, 1, 1)).astype(np.float32) for i in range(3)}
_BODY = (
    "h0 = Conv(x, w0) t0 = PRelu(h0, act0) h1 = Conv(t0, w1) t1 = PRelu(h1, act1) "
    "h2 = Conv(t1, w2) t2 = PRelu(h2, act2) y = Conv(t2, w3)"
)


def _save(path: Path, body: str = _BODY, **other: Any) -> Path:
    return save(path, body, **{**_WEIGHTS, **_SLOPES, **other})


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return _save(tmp_path / "reference.onnx")


def _layers(found: Outcome) -> dict[str, Any]:
    return {layer["name"]: layer for layer in candidate(found)["layers"]}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_wrong_weights_are_laid_at_the_first_layer_after_them(
    number: int, reference: Path, tmp_path: Path
) -> None:
    name = f"w{number}"
    wrong = _save(tmp_path / "wrong.onnx", **{name: _WEIGHTS[name] * np.float32(1.01)})
    found = verify(reference, wrong)
    assert found.code == 1
    report = candidate(found)
    assert (report["verdict"], report["first_divergence"]) == ("fail", f"act{number}")
    assert verdicts(found) == {f"act{i}": "fail" if i == number else "pass" for i in range(3)}
    layers = _layers(found)
    assert all(layer["slopes_equal"] for layer in layers.values())
    assert all(layer["max_ulp_diff"] <= 4 for layer in layers.values())
    for i in range(3):
        assert (layers[f"act{i}"]["max_abs_diff"] > layers[f"act{i}"]["limit"]) is (i >= number)
    first = report["reasons"][0]
    assert first.startswith(f"act{number}: its output differs")
    assert "the first layer that differs" in first
    assert not any(reason.startswith(f"act{number + 1}:") for reason in report["reasons"])


def test_wrong_weights_after_the_last_layer_are_seen_in_the_output(
    reference: Path, tmp_path: Path
) -> None:
    found = verify(reference, _save(tmp_path / "w.onnx", w3=_WEIGHTS["w3"] * np.float32(1.01)))
    assert found.code == 1
    assert set(verdicts(found).values()) == {"pass"}
    assert candidate(found)["first_divergence"] is None
    assert [o["verdict"] for o in candidate(found)["outputs"]] == ["fail"]


def test_a_layer_of_wrong_slopes_after_one_that_diverged_fails_too(
    reference: Path, tmp_path: Path
) -> None:
    slopes = _SLOPES["act2"].copy()
    slopes[1] = np.nextafter(slopes[1], np.float32(9))
    wrong = _save(tmp_path / "w.onnx", w0=_WEIGHTS["w0"] * np.float32(1.01), act2=slopes)
    found = verify(reference, wrong)
    assert found.code == 1
    assert verdicts(found) == {"act0": "fail", "act1": "pass", "act2": "fail"}
    assert candidate(found)["first_divergence"] == "act0"


def test_wrong_slopes_diverge_at_their_own_layer_in_numbers_too(
    reference: Path, tmp_path: Path
) -> None:
    found = verify(reference, _save(tmp_path / "w.onnx", act1=-_SLOPES["act1"]))
    assert found.code == 1
    layers = _layers(found)
    assert verdicts(found) == {"act0": "pass", "act1": "fail", "act2": "pass"}
    assert layers["act1"]["max_ulp_diff"] > 4
    assert layers["act2"]["max_ulp_diff"] <= 4
    assert (layers["act1"]["n_by_value"], layers["act1"]["n_by_behaviour"]) == (0, 0)
    assert (layers["act2"]["n_by_value"], layers["act2"]["n_by_behaviour"]) == (3, 3)


_FIVE = "p = Relu(h1) n = Neg(h1) q = Relu(n) s = Mul(q, minus) {} = Add(p, s)"


@pytest.mark.parametrize("form", ["one node", "five"])
def test_what_a_graph_adds_behind_a_right_layer_is_laid_at_the_next(
    form: str, reference: Path, tmp_path: Path
) -> None:
    node, more = "t1 = PRelu(h1, act1)", {"bump": 0.5}
    made = node.replace("t1 =", "u =")
    constants: dict[str, Any] = {**_WEIGHTS, **_SLOPES}
    if form == "five":
        made = _FIVE.format("u")
        constants["minus"] = -constants.pop("act1")
    body = _BODY.replace(node, f"{made} t1 = Add(u, bump)")
    found = verify(reference, save(tmp_path / "w.onnx", body, **constants, **more))
    assert found.code == 1
    assert verdicts(found) == {"act0": "pass", "act1": "pass", "act2": "fail"}
    assert candidate(found)["first_divergence"] == "act2"


_HALVES = "l = Mul(h1, plus) m = Abs(h1) r = Mul(m, rest) t1 = Add(l, r)"


@pytest.mark.parametrize(("off", "code"), [(0.0, 0), (1e-6, 1)])
def test_a_form_whose_folded_constants_round_the_slopes_is_equal(
    off: float, code: int, tmp_path: Path
) -> None:
    slopes = np.float32([0.3, 0.7, -0.6]).reshape(1, 3, 1, 1)
    constants = {**_WEIGHTS, **{f"act{i}": _SLOPES[f"act{i}"] for i in (0, 2)}}
    found_there = slopes + np.float32(off)
    halves = {"plus": (1 + found_there) / 2, "rest": (1 - found_there) / 2}
    body = _BODY.replace("t1 = PRelu(h1, act1)", _HALVES)
    found = verify(
        _save(tmp_path / "l.onnx", act1=slopes),
        save(tmp_path / "r.onnx", body, **constants, **halves),
    )
    assert found.code == code, found.words
    layer = candidate(found)["layers"][1]
    assert (layer["verdict"], layer["found"]) == (
        ("pass", "rounded") if code == 0 else ("fail", "pattern")
    )
    assert layer["slopes_equal"] is False
    assert layer["n_by_value"] < 3
    assert layer["n_by_behaviour"] == (3 if code == 0 else 0)


def test_what_a_graph_adds_behind_the_last_layer_is_seen_in_the_output(tmp_path: Path) -> None:
    left = save(tmp_path / "l.onnx", "y = PRelu(x, act)", act=_SLOPES["act0"])
    right = save(
        tmp_path / "r.onnx", "t = PRelu(x, act) y = Add(t, bump)", act=_SLOPES["act0"], bump=1e-1
    )
    found = verify(left, right)
    assert found.code == 1
    assert verdicts(found) == {"act": "pass"}
    assert [o["verdict"] for o in candidate(found)["outputs"]] == ["fail"]


def test_what_hides_from_the_outputs_is_said_of_the_layers(tmp_path: Path) -> None:
    body = "h = Mul(x, k) t = PRelu(h, act) y = Mul(t, zero)"
    slopes = _SLOPES["act0"]
    left = save(tmp_path / "l.onnx", body, act=slopes, k=1.0, zero=0.0)
    right = save(tmp_path / "r.onnx", body, act=slopes, k=1.5, zero=0.0)
    found = verify(left, right)
    assert [o["verdict"] for o in candidate(found)["outputs"]] == ["pass"]
    assert verdicts(found) == {"act": "pass"}
    (layer,) = candidate(found)["layers"]
    note = "end-to-end error larger than rounding error"
    assert layer["note"].startswith(note)
    assert any(f"act: {note}" in one for one in found.json["notes"])
    assert verify(left, right, "--no-layers").code == 0


def test_without_layers_nothing_of_them_is_measured(reference: Path) -> None:
    found = verify(reference, reference, "--no-layers")
    assert found.code == 0
    assert found.json["coverage"] is None
    for layer in _layers(found).values():
        assert (layer["max_abs_diff"], layer["max_ulp_diff"]) == (None, None)
        assert (layer["slopes_equal"], layer["n_by_behaviour"]) == (True, 0)


def test_each_layer_says_where_it_is_and_what_ran_it(tmp_path: Path) -> None:
    body = "[conv] h = Conv(x, w) [first] t = PRelu(h, act0) u = Neg(t) [second] y = PRelu(u, act1)"
    constants = {"w": _WEIGHTS["w0"], "act0": _SLOPES["act0"], "act1": _SLOPES["act1"]}
    net = save(tmp_path / "n.onnx", body, **constants)
    layers = _layers(verify(net, net))
    assert [layer["node"] for layer in layers.values()] == ["first", "second"]
    for layer in layers.values():
        assert layer["provider"] == "CPUExecutionProvider"
        assert (layer["n_slopes"], layer["coverage"]) == (3, 1.0)
        assert layer["least_positions"] > 1


def test_nan_along_the_way_proves_nothing(tmp_path: Path) -> None:
    body = "h = Div(x, x) t = PRelu(h, act) y = PRelu(x, out)"
    net = save(tmp_path / "n.onnx", body, act=_SLOPES["act0"], out=_SLOPES["act1"])
    rows = np.ones((2, 3, 4, 5), np.float32)
    rows[0, 0, 0, 0] = 0.0  # 0 / 0
    # `t` is not an output, so that only the layers can see it
    found = verify(net, net, "--inputs", npz(tmp_path / "rows.npz", x=rows))
    assert found.code == 3
    assert verdicts(found) == {"act": "inconclusive", "out": "pass"}


# Outputs


def _two(path: Path, outputs: str, names: tuple[str, str] = ("a", "b")) -> Path:
    body = f"{names[0]} = PRelu(x, act) f = Flatten({names[0]}) {names[1]} = Neg(f)"
    return save(path, body, outputs=outputs, act=_SLOPES["act0"])


def test_outputs_in_another_order_with_other_names_are_paired_by_shape(tmp_path: Path) -> None:
    left = _two(tmp_path / "l.onnx", f"{IMAGE} a, float[batch,60] b")
    right = _two(tmp_path / "r.onnx", f"float[batch,60] q, {IMAGE} p", ("p", "q"))
    found = verify(left, right)
    assert found.code == 0, found.json["reasons"]
    assert [o["name"] for o in candidate(found)["outputs"]] == ["p", "q"]
    assert [o["max_abs_diff"] for o in candidate(found)["outputs"]] == [0.0, 0.0]
    power = found.json["power"]
    assert power["planted"] == power["by_outputs"] > 0


def test_outputs_of_equal_shapes_are_paired_by_their_order(tmp_path: Path) -> None:
    def two(path: Path, outputs: str, names: tuple[str, str]) -> Path:
        body = f"{names[0]} = PRelu(x, act) {names[1]} = Neg({names[0]})"
        return save(path, body, outputs=outputs, act=_SLOPES["act0"])

    left = two(tmp_path / "l.onnx", f"{IMAGE} a, {IMAGE} b", ("a", "b"))
    same = two(tmp_path / "s.onnx", f"{IMAGE} p, {IMAGE} q", ("p", "q"))
    assert verify(left, same).code == 0
    other = two(tmp_path / "o.onnx", f"{IMAGE} q, {IMAGE} p", ("p", "q"))
    assert verify(left, other).code == 1


def test_an_output_of_another_shape_names_both(tmp_path: Path) -> None:
    left = save(tmp_path / "l.onnx", "y = PRelu(x, act)", act=_SLOPES["act0"])
    right = save(tmp_path / "r.onnx", "t = PRelu(x, act) y = Flatten(t)",
                 outputs="float[batch,60] y", act=_SLOPES["act0"])  # fmt: skip
    found = verify(left, right)
    assert found.code == 1
    assert any(
        "output 'y' has shape [16, 60], expected [16, 3, 4, 5]" in reason
        for reason in found.json["reasons"]
    )
    (output,) = candidate(found)["outputs"]
    assert (output["verdict"], output["n_mismatched"]) == ("fail", 16 * 60)


# Sizes


_FREE = "float[batch,3,h,w]"


def _convolution(path: Path, body: str, outputs: str = f"{_FREE} y", **more: Any) -> Path:
    constants = {"w0": _WEIGHTS["w0"], "act0": _SLOPES["act0"]}
    return save(path, body, f"{_FREE} x", outputs, **constants, **more)


def test_free_sizes_are_run_at_several_of_them(tmp_path: Path) -> None:
    net = _convolution(tmp_path / "n.onnx", "h0 = Conv(x, w0) y = PRelu(h0, act0)")
    saved = tmp_path / "inputs.npz"
    found = verify(net, net, "--save-inputs", saved)
    assert found.code == 0
    with np.load(saved) as archive:
        shapes = [archive[name].shape for name in archive.files]
    assert shapes[:3] == [(16, 3, 48, 48), (1, 3, 48, 48), (3, 3, 64, 80)]
    assert {(high % 2, wide % 2) for _, _, high, wide in shapes} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert found.json["samples"] == sum(shape[0] for shape in shapes) - 1
    tried = [{"h": shape[2], "w": shape[3]} for shape in shapes[1:]]
    assert found.json["sizes"] == {"tried": tried, "refused": []}


@pytest.mark.parametrize(
    "tail",
    [
        "y = Reshape(t, fixed)",
        "r = Reshape(t, rows) y = Reshape(r, fixed)",
        "y = Slice(t, starts, ends)",
    ],
)
def test_a_size_that_was_baked_in_does_not_pass(tail: str, tmp_path: Path) -> None:
    left = _convolution(tmp_path / "l.onnx", "h0 = Conv(x, w0) y = PRelu(h0, act0)")
    constants = {
        "fixed": np.array([-1, 3, 48, 48]),
        "rows": np.array([0, -1]),
        "starts": np.zeros(4, np.int64),
        "ends": np.array([16, 3, 48, 48]),
    }
    used = {name: values for name, values in constants.items() if name in tail}
    right = _convolution(
        tmp_path / "r.onnx", f"h0 = Conv(x, w0) t = PRelu(h0, act0) {tail}", **used
    )
    found = verify(left, right)
    assert found.code in (1, 3)
    assert found.json["verdict"] != "pass"
    assert "64" in found.words
    rows = npz(tmp_path / "rows.npz", x=-np.ones((1, 3, 48, 48), np.float32))
    assert verify(left, right, "--inputs", rows).code == 0  # at that size it is right


# Providers against each other


_TWICE = ("--provider", "cpu", "--provider", "CPUExecutionProvider")


def test_providers_are_compared_with_each_other(reference: Path) -> None:
    found = verify(reference, reference, *_TWICE)
    assert found.code == 0
    (agreement,) = found.json["agreements"]
    assert agreement["providers"] == ["cpu", "CPUExecutionProvider"]
    assert (agreement["model"], agreement["verdict"]) == (str(reference), "pass")
    assert [output["max_abs_diff"] for output in agreement["outputs"]] == [0.0]
    assert verify(reference, reference).json["agreements"] == []


def test_providers_that_differ_from_each_other_fail(tmp_path: Path) -> None:
    body = "t = PRelu(x, act0) y = Dropout(t, ratio, mode)"
    net = save(tmp_path / "n.onnx", body, act0=_SLOPES["act0"], ratio=0.5, mode=np.array(True))
    found = verify(net, net, *_TWICE, "--no-power")
    (agreement,) = found.json["agreements"]
    assert (found.code, agreement["verdict"]) == (1, "fail")
    assert any("cpu against CPUExecutionProvider: output 'y'" in r for r in found.json["reasons"])


def test_providers_are_held_to_the_limit_of_the_same_output(tmp_path: Path) -> None:
    def two(path: Path, outputs: str, names: tuple[str, str]) -> Path:
        body = f"{names[0]} = PRelu(x, act) f = Flatten({names[0]}) {names[1]} = Mul(f, k)"
        return save(path, body, outputs=outputs, act=_SLOPES["act0"], k=1000.0)

    left = two(tmp_path / "l.onnx", f"{IMAGE} a, float[batch,60] b", ("a", "b"))
    right = two(tmp_path / "r.onnx", f"float[batch,60] q, {IMAGE} p", ("p", "q"))
    found = verify(left, right, *_TWICE)
    limits = {o["name"]: o["limit"] for o in found.json["candidates"][0]["outputs"]}
    (agreement,) = found.json["agreements"]
    assert {o["name"]: o["limit"] for o in agreement["outputs"]} == limits


def test_a_large_file_is_held_once_and_judged_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its skeleton, whose weights onnxruntime reads from the file itself."""
    generator = np.random.default_rng(0)
    weights = {
        "w": generator.normal(0, 0.1, (3, 2000)).astype(np.float32),
        "a": generator.normal(0, 0.5, 2000).astype(np.float32),
        "v": generator.normal(0, 0.1, (2000, 2)).astype(np.float32),
    }
    body = "h = MatMul(x, w) p = PRelu(h, a) y = MatMul(p, v)"
    shapes = ("float[n,3] x", "float[n,2] y")
    right = save(tmp_path / "right.onnx", body, *shapes, **weights)
    weights["a"] = weights["a"].copy()
    weights["a"][[3, 7]] = weights["a"][[7, 3]]
    wrong = save(tmp_path / "wrong.onnx", body, *shapes, **weights)
    usual = [verify(right, other).json for other in (right, wrong)]
    monkeypatch.setattr("prelu_tools.backends.onnxruntime.running.session._LARGE", 0)
    assert [verify(right, other).json for other in (right, wrong)] == usual
    assert [result["verdict"] for result in usual] == ["pass", "fail"]
