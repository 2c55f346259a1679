"""Planted slope faults: all caught where they can be, counted apart where they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Outcome
from text_nets import COLUMN, IMAGE, SLOPES, candidate, npz, save, verdicts, verify

_RANDOM = np.random.default_rng(0)
_A = _RANDOM.normal(size=(3, 1, 1)).astype(np.float32)
_B = _RANDOM.normal(size=(3, 1, 1)).astype(np.float32)
_KINDS = 7  # of channel-wise slopes with a neighbour and rounding: all but transposed, misplaced


def _power(found: Outcome) -> Any:
    power = found.json["power"]
    assert power == candidate(found)["power"]
    return power


def _chain(path: Path, first: Any = _A, second: Any = _B) -> Path:
    return save(path, "t = PRelu(x, a) u = Neg(t) y = PRelu(u, b)", a=first, b=second)


def test_all_that_is_planted_is_caught_by_layers_and_outputs(tmp_path: Path) -> None:
    net = _chain(tmp_path / "net.onnx")
    found = verify(net, net)
    assert found.code == 0
    n = 2 * _KINDS
    assert _power(found) == {
        "planted": n, "detected": n, "by_layers": n, "by_outputs": n,
        "escaped": [], "unreached": 0, "sampled": False, "hidden": 0,
    }  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (1, 1, 1)])
def test_other_sharings(shape: tuple[int, ...], tmp_path: Path) -> None:
    slopes = _RANDOM.normal(size=shape).astype(np.float32)
    net = _chain(tmp_path / "net.onnx", slopes, slopes + 1)
    power = _power(verify(net, net))
    assert power["planted"] == power["detected"] == power["by_layers"] > 4
    assert power["unreached"] == 0


def test_a_column_that_became_a_row_is_planted_where_it_fits(tmp_path: Path) -> None:
    square = "float[batch,3,3,3]"
    net = save(tmp_path / "n.onnx", "y = PRelu(x, a)", f"{square} x", f"{square} y", a=_A)
    layouts = ("--layout", "reference=nchw", "--layout", "candidate=nchw")
    power = _power(verify(net, net, *layouts))
    assert power["planted"] == power["detected"] == _KINDS  # no neighbour, but misplaced


@pytest.mark.parametrize("slopes", [np.zeros((3, 1, 1)), np.full((3, 1, 1), 0.25)])
def test_slopes_as_they_are_before_training(slopes: Any, tmp_path: Path) -> None:
    """Keras begins at 0, torch at 0.25: nothing may escape that no output can tell."""
    slopes = slopes.astype(np.float32)
    net = _chain(tmp_path / "net.onnx", slopes, slopes)
    found = verify(net, net)
    assert found.code == 0, found.json["reasons"]
    power = _power(found)
    assert power["planted"] == power["detected"] >= 2


def test_a_layer_that_no_output_shows_is_caught_by_itself(tmp_path: Path) -> None:
    net = save(tmp_path / "n.onnx", "t = PRelu(x, a) y = Mul(t, z)", a=_A, z=0.0)
    found = verify(net, net)
    assert found.code == 0
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] == _KINDS - 1
    assert power["by_outputs"] == 0


def test_a_slope_whose_channel_is_multiplied_by_zero_is_caught_by_its_layer(
    tmp_path: Path,
) -> None:
    mask = np.array([1, 0, 1], np.float32).reshape(3, 1, 1)
    net = save(tmp_path / "n.onnx", "t = PRelu(x, a) y = Mul(t, z)", a=_A, z=mask)
    rows = np.abs(_RANDOM.normal(size=(4, 3, 4, 5))).astype(np.float32) + 0.1
    rows[:, 1] *= -1  # the only slope that is reached is the one that no output shows
    found = verify(net, net, "--inputs", npz(tmp_path / "rows.npz", x=rows))
    assert found.json["coverage"]["unreached"] == ["a[0]", "a[2]"]
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] == _KINDS - 1
    assert power["by_outputs"] == 0
    assert found.code == 0


def test_a_tolerance_that_takes_all_leaves_it_to_the_layers(tmp_path: Path) -> None:
    net = _chain(tmp_path / "net.onnx")
    power = _power(verify(net, net, "--tolerance", "1e9,1e9"))
    assert power["by_outputs"] == 0
    assert power["planted"] == power["detected"] == power["by_layers"] == 2 * _KINDS


def test_slopes_that_no_input_reaches_are_counted_apart(tmp_path: Path) -> None:
    net = _chain(tmp_path / "net.onnx", _A, _B)
    ones = npz(tmp_path / "ones.npz", x=np.ones((2, 3, 4, 5), np.float32))
    found = verify(net, net, "--inputs", ones)
    power = _power(found)
    assert (power["unreached"], power["planted"]) == (_KINDS, _KINDS)  # the second one is reached
    assert power["detected"] == _KINDS
    one = save(tmp_path / "one.onnx", "y = PRelu(x, a)", a=_A)
    power = _power(verify(one, one, "--inputs", ones))
    assert (power["planted"], power["detected"], power["unreached"]) == (0, 0, _KINDS - 1)


def test_the_gate_says_no_and_names_what_escaped(tmp_path: Path) -> None:
    """In a square of slopes that may lie in either order a layer alone does not tell them apart."""
    square = np.array([[0.1, 0.2, 0.4], [0.3, 0.5, 0.7], [-0.6, -0.8, 0.9]], np.float32)
    body = (
        "n = Mul(x, tiny) s = Reshape(n, square) p = PRelu(s, a) f = Reshape(p, flat) "
        "q = PRelu(x, b) y = Add(f, q)"
    )
    net = save(
        tmp_path / "n.onnx", body, "float[batch,9] x", "float[batch,9] y", a=square,
        b=square[::-1].reshape(9), tiny=np.float32(1e-9), square=np.array([-1, 3, 3]),
        flat=np.array([-1, 9]),
    )  # fmt: skip
    found = verify(net, net)
    power = _power(found)
    assert (found.code, power["escaped"]) == (1, ["a: slopes transposed"])
    assert power["detected"] == power["planted"] - 1 > 0
    (reason,) = found.json["reasons"]
    assert f"{power['detected']} of {power['planted']} planted slope faults were caught" in reason
    assert "--min-power 1 requires more (a: slopes transposed)" in reason
    assert candidate(found)["verdict"] == "pass"
    share = power["detected"] / power["planted"]
    assert verify(net, net, "--min-power", share).code == 0
    assert verify(net, net, "--min-power", share + 0.01).code == 1


@pytest.mark.parametrize("factor", [1, 1.01])
def test_a_fault_that_rounding_hides_is_none(factor: float, tmp_path: Path) -> None:
    """Layers whose slopes are next to equal, and slopes that are next to float16's numbers."""
    near = (SLOPES * (1 + 1e-7)).astype(np.float32).reshape(3, 1, 1)
    near[0] = np.float32(0.25 + 2**-25)
    body = "t = PRelu(x, a) y = PRelu(t, b)"
    net = save(tmp_path / "n.onnx", body, a=near, b=SLOPES.reshape(3, 1, 1) * np.float32(factor))
    found = verify(net, net)
    assert (found.code, _power(found)["escaped"]) == (0, [])
    planted = {1: 10, 1.01: 13}  # their neighbours' slopes in each, and one more to round
    assert (_power(found)["planted"], _power(found)["detected"]) == (planted[factor],) * 2


def test_inputs_next_to_0_show_no_fault_and_demand_none(tmp_path: Path) -> None:
    body = "t = Mul(x, least) u = PRelu(t, a) v = PRelu(x, b) y = Add(u, v)"
    slopes = np.array([0.05, 0.06, 0.07], np.float32).reshape(3, 1, 1)
    net = save(tmp_path / "n.onnx", body, a=slopes, b=slopes * 2, least=np.float32(1e-45))
    assert verify(net, net).code == 0


@pytest.mark.parametrize("option", ["--no-power", "--no-layers"])
def test_power_that_is_not_measured_is_null(option: str, tmp_path: Path) -> None:
    net = _chain(tmp_path / "net.onnx")
    found = verify(net, net, option)
    assert (found.code, found.json["power"], candidate(found)["power"]) == (0, None, None)


def test_a_layer_that_is_used_twice_is_one_layer(tmp_path: Path) -> None:
    net = save(tmp_path / "n.onnx", "t = PRelu(x, a) u = Neg(t) y = PRelu(u, a)", a=_A)
    found = verify(net, net)
    assert list(verdicts(found)) == ["a"]
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] == _KINDS - 1
    assert found.code == 0


def test_a_layer_that_is_reached_in_its_second_use_only(tmp_path: Path) -> None:
    net = save(tmp_path / "n.onnx", "t = PRelu(x, a) u = Neg(t) y = PRelu(u, a)", a=_A)
    ones = npz(tmp_path / "ones.npz", x=np.ones((2, 3, 4, 5), np.float32))
    power = _power(verify(net, net, "--inputs", ones))
    assert power["planted"] == power["detected"] == power["by_layers"] == _KINDS - 1


def test_the_five_operators_of_keras(tmp_path: Path) -> None:
    five = "p = Relu({x}) n = Neg({x}) q = Relu(n) s = Mul(q, {a}) {y} = Add(p, s)"
    body = five.format(x="x", a="a_negated", y="y")
    right = save(tmp_path / "r.onnx", body, a_negated=-_A)
    left = save(tmp_path / "l.onnx", "y = PRelu(x, a)", a=_A)
    found = verify(left, right)
    assert found.code == 0, found.json["reasons"]
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] == _KINDS - 1


def test_faults_are_planted_in_the_body_of_an_if_too(tmp_path: Path) -> None:
    branch = f"() => ({IMAGE} {{0}}) {{{{ {{0}} = PRelu(t, b) }}}}"
    body = (
        "t = PRelu(x, a) "
        f"y = If(p) <then_branch = yes {branch.format('v')}, else_branch = no {branch.format('w')}>"
    )
    net = save(tmp_path / "n.onnx", body, a=_A, b=_B, p=np.array(True))
    found = verify(net, net)
    assert found.code == 0, found.words
    assert [x["n_by_behaviour"] for x in candidate(found)["layers"]] == [3, 2]
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] == 2 * _KINDS
    only = save(tmp_path / "o.onnx", body.replace("PRelu(x, a)", "Neg(x)"), b=_B, p=np.array(True))
    found = verify(only, only)
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] == _KINDS - 1


def test_the_seed_chooses_the_faults_and_many_layers_are_sampled(tmp_path: Path) -> None:
    count = 30
    nodes = " ".join(f"h{i + 1} = PRelu(h{i}, s{i}) n{i + 1} = Neg(h{i + 1})" for i in range(count))
    nodes = nodes.replace("PRelu(h0", "PRelu(x")
    for i in range(1, count):
        nodes = nodes.replace(f"PRelu(h{i},", f"PRelu(n{i},")
    signs = [1 if i % 2 else -1 for i in range(count)]
    values = (0.9 + 0.2 * _RANDOM.random((count, 3, 1, 1))).astype(np.float32)
    slopes = {f"s{i}": signs[i] * values[i] for i in range(count)}
    net = save(tmp_path / "n.onnx", f"{nodes} y = Neg(h{count})", **slopes)
    first, again = verify(net, net), verify(net, net)
    power = _power(first)
    assert power["sampled"]
    assert power["planted"] + power["unreached"] == 180  # six of each layer: 200 over 30
    assert power == _power(again)


def test_a_candidate_in_another_layout(tmp_path: Path) -> None:
    last = "float[batch,4,5,3]"
    right = save(tmp_path / "r.onnx", "y = PRelu(x, a)", f"{last} x", f"{last} y", a=_A.reshape(3))
    left = save(tmp_path / "l.onnx", "y = PRelu(x, a)", a=_A)
    found = verify(left, right)
    assert found.code == 0, found.json["reasons"]
    power = _power(found)
    assert power["planted"] == power["detected"] == power["by_layers"] > 0


def test_power_does_not_excuse_a_wrong_slope(tmp_path: Path) -> None:
    left, right = _chain(tmp_path / "l.onnx"), _chain(tmp_path / "r.onnx", COLUMN, _B)
    found = verify(left, right)
    assert found.code == 1
    assert verdicts(found)["a"] == "fail"
    assert SLOPES.size == 3


def test_power_over_two_candidates_is_added_up(tmp_path: Path) -> None:
    net = _chain(tmp_path / "net.onnx")
    found = verify(net, net, net)
    assert found.json["power"]["planted"] == 4 * _KINDS
    assert [c["power"]["planted"] for c in found.json["candidates"]] == [2 * _KINDS] * 2
