"""Layers that no pattern finds, found by what they compute: FAIL means that the models differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Outcome, cli
from text_nets import COLUMN, candidate, save, verify

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.graph.match.layers import LocatedLayer

_KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32)
_QUARTERS = np.full((3, 1, 1), 0.25, np.float32)
_CONV = "c = Conv<pads = [1, 1, 1, 1]>(x, kernel) "
_HALVES = "m = Abs(c) u = Mul(c, plus) v = Mul(m, minus) y = Add(u, v)"
_SIGNS = (
    "s = Sign(c) p = Add(s, one) q = Mul(p, half) k = Sub(one, q) u = Mul(c, q) w = Mul(c, a) "
    "v = Mul(w, k) y = Add(u, v)"
)
_LOOSE = ("--tolerance", "1e-3,1e-3")
_KNOWN: dict[str, Any] = {
    "a": COLUMN,
    "b": _QUARTERS,
    "kernel": _KERNEL,
    "plus": (1 + COLUMN) / 2,
    "minus": (1 - COLUMN) / 2,
    "half": np.float32(0.5),
    "one": np.float32(1),
}


def _net(folder: Path, name: str, body: str, **other: Any) -> Path:
    known = {**_KNOWN, **other}
    used = {key: values for key, values in known.items() if f"{key})" in body or f"{key}," in body}
    return save(folder / f"{name}.onnx", body, **used)


def _layer(found: Outcome) -> Any:
    (layer,) = candidate(found)["layers"]
    return layer


def _notes(found: Outcome) -> str:
    return " ".join(found.json["notes"])


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pattern finds a layer of `r.onnx`."""
    real = OnnxSource.located.func

    def located(source: OnnxSource) -> tuple[LocatedLayer, ...]:
        return () if source.path.name == "r.onnx" else real(source)

    monkeypatch.setattr(OnnxSource, "located", property(located))


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("body", [_HALVES, _SIGNS])
def test_a_layer_in_a_form_that_nobody_knows_passes_by_behaviour(body: str, tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, a)")
    found = verify(reference, _net(tmp_path, "r", _CONV + body))
    layer = _layer(found)
    assert (found.code, layer["verdict"], layer["found"]) == (0, "pass", "values")
    assert (layer["n_slopes"], layer["n_by_value"], layer["n_by_behaviour"]) == (3, 0, 3)
    assert layer["note"] == "found by its values: tensor 'y' of node 'y' (Add)"
    assert "a: found by its values" in _notes(found)
    assert (layer["node"], layer["coverage"]) == ("y", 1.0)


@pytest.mark.usefixtures("blind")
def test_a_layer_in_another_axis_order_is_found_too(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, a)")
    last = (
        "t = Transpose<perm = [0, 2, 3, 1]>(c) m = Abs(t) u = Mul(t, plus) v = Mul(m, minus) "
        "w = Add(u, v) y = Transpose<perm = [0, 3, 1, 2]>(w)"
    )
    sums = {"plus": (1 + COLUMN).reshape(3) / 2, "minus": (1 - COLUMN).reshape(3) / 2}
    found = verify(reference, _net(tmp_path, "r", _CONV + last, **sums))
    assert (found.code, _layer(found)["found"]) == (0, "values")


@pytest.mark.usefixtures("blind")
def test_a_layer_with_other_slopes_fails_with_its_outputs(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, a)")
    found = verify(reference, _net(tmp_path, "r", _CONV + _HALVES, plus=(1 + COLUMN * 1.1) / 2))
    layer = _layer(found)
    assert (found.code, layer["verdict"], layer["found"]) == (1, "fail", "nowhere")
    assert "layer_not_found" in found.json["reason_codes"]


@pytest.mark.usefixtures("blind")
def test_slopes_next_to_the_right_ones_are_not_proven(tmp_path: Path) -> None:
    """Below the limit of the outputs, and far above what rounding does to a layer."""
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, a)")
    near = (1 + COLUMN * np.float32(1.0001)) / 2
    found = verify(reference, _net(tmp_path, "r", _CONV + _HALVES, plus=near), *_LOOSE)
    assert (found.code, found.json["reason_codes"]) == (3, ["layer_not_proven"])
    assert "its values show a slope of -0.500" in _layer(found)["difference"]
    assert "expected -0.5" in _layer(found)["difference"]


@pytest.mark.usefixtures("blind")
def test_slopes_that_nothing_reaches_are_not_proven(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", "c = Abs(x) y = PRelu(c, a)")
    found = verify(reference, _net(tmp_path, "r", f"c = Abs(x) {_HALVES}"))
    assert (found.code, _layer(found)["verdict"]) == (3, "inconclusive")
    assert "no negative value reached 3 of its 3 slopes" in _layer(found)["difference"]


def test_a_leaky_relu_of_the_same_slope_is_the_same_function(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, b)")
    found = verify(reference, _net(tmp_path, "r", f"{_CONV} y = LeakyRelu<alpha = 0.25>(c)"))
    layer = _layer(found)
    assert (found.code, layer["slopes_equal"]) == (0, True)
    assert (layer["n_by_value"], layer["n_by_behaviour"]) == (3, 3)
    assert layer["note"].endswith("the same function as LeakyRelu(0.25)")
    other = verify(
        reference, _net(tmp_path, "o", f"{_CONV} y = LeakyRelu<alpha = 0.250001>(c)"), *_LOOSE
    )
    assert (other.code, other.json["reason_codes"][0]) == (1, "slopes_differ")
    assert "its slope is 0.250001" in _layer(other)["difference"]


def test_a_relu_is_the_same_function_as_slopes_of_0(tmp_path: Path) -> None:
    zero = np.zeros((3, 1, 1), np.float32)
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, a)", a=zero)
    found = verify(reference, _net(tmp_path, "r", f"{_CONV} y = Relu(c)"))
    assert (found.code, _layer(found)["note"].split()[-1]) == (0, "Relu")
    small = _net(tmp_path, "s", f"{_CONV} y = PRelu(c, a)", a=zero + np.float32(1e-30))
    assert verify(small, _net(tmp_path, "r", f"{_CONV} y = Relu(c)")).code == 1


def test_equal_calls_may_be_one_or_several(tmp_path: Path) -> None:
    once = _net(tmp_path, "once", f"{_CONV} p = PRelu(c, a) y = Add(p, p)")
    twice = _net(tmp_path, "twice", f"{_CONV} p = PRelu(c, a) q = PRelu(c, a) y = Add(p, q)")
    merged, split = verify(twice, once), verify(once, twice)
    assert (merged.code, split.code) == (0, 0)
    assert "used 1 time, expected 2: equal calls were merged" in _layer(merged)["note"]
    assert _layer(split)["note"] == "used 2 times, expected 1"


@pytest.mark.parametrize(("change", "code"), [(1.0, 0), (1.5, 1)])
def test_slopes_stored_again_for_a_call_have_to_be_the_same(
    change: float, code: int, tmp_path: Path
) -> None:
    """The second call meets no negative input, so the outputs do not show its slopes."""
    body = f"{_CONV} u = PRelu(c, a) p = Relu(c) v = PRelu(p, {{}}) y = Add(u, v)"
    reference = _net(tmp_path, "l", body.format("a"))
    found = verify(reference, _net(tmp_path, "r", body.format("again"), again=COLUMN * change))
    assert found.code == code, found.out
    layer = candidate(found)["layers"][0]
    assert layer["verdict"] == ("fail" if code else "pass")
    if code:
        assert (
            "again, which stands in its place, has different slopes: 3 of 3 slopes differ"
            in layer["difference"]
        )
    else:
        assert layer["note"] == "used 1 time, expected 2: 'again' has its slopes too"


def test_a_call_that_is_missing_fails_with_its_outputs(tmp_path: Path) -> None:
    once = _net(tmp_path, "once", f"{_CONV} n = Neg(c) p = PRelu(c, a) y = Add(p, n)")
    twice = _net(
        tmp_path, "twice", f"{_CONV} n = Neg(c) p = PRelu(c, a) q = PRelu(n, a) y = Add(p, q)"
    )
    found = verify(twice, once)
    assert (found.code, _layer(found)["verdict"]) == (1, "fail")
    assert "layer_calls_differ" in found.json["reason_codes"]


def test_a_call_that_only_one_side_makes_is_not_proven(tmp_path: Path) -> None:
    """The outputs agree, since nothing of it is left there; but the reference makes it."""
    tail = "z = Mul(q, nothing) y = Add(p, z)"
    body = f"{_CONV} n = Neg(c) p = PRelu(c, a) {{}} {tail}"
    nothing = np.float32(0)
    twice = _net(tmp_path, "t", body.format("q = PRelu(n, a)"), nothing=nothing)
    once = _net(tmp_path, "o", body.format("q = Neg(n)"), nothing=nothing)
    found = verify(twice, once)
    assert (found.code, found.json["reason_codes"]) == (3, ["layer_calls_differ"])
    assert "its other calls were not found by their values" in _layer(found)["difference"]
    lost = _net(tmp_path, "l", body.format("q = PRelu(n, b)"), nothing=nothing)
    found = verify(lost, once)
    assert (found.code, found.json["reason_codes"]) == (3, ["layer_not_found"])
    assert "not found in the candidate, although the compared outputs agree" in " ".join(
        found.json["reasons"]
    )
    assert "tensors of the candidate were compared with it" in " ".join(found.json["reasons"])


def test_what_no_output_depends_on_is_no_failure_on_either_side(tmp_path: Path) -> None:
    plain = _net(tmp_path, "plain", f"{_CONV} y = PRelu(c, a)")
    more = _net(tmp_path, "more", f"{_CONV} y = PRelu(c, a) z = PRelu(c, b)")
    found = verify(more, plain)
    assert found.code == 0
    assert "b: no output of the reference depends on it" in _notes(found)
    found = verify(plain, more)
    assert found.code == 0
    assert "b: a PReLU that the reference does not have; the compared outputs agree" in _notes(
        found
    )
    assert verify(more, more).code == 0
    for command in ("export", "optimize"):
        made = cli(command, more, "-o", tmp_path / f"{command}.onnx", *_quick(command))
        assert made.code == 0, made.err


def _quick(command: str) -> list[str]:
    return ["--no-tune"] if command == "optimize" else []


def test_a_prelu_in_place_of_none_at_all_is_no_proof(tmp_path: Path) -> None:
    plain = _net(tmp_path, "plain", f"{_CONV} y = Neg(c)")
    more = _net(tmp_path, "more", f"{_CONV} y = Neg(c) z = PRelu(c, b)")
    assert verify(plain, more).code == 3
    assert verify(plain, more, "--allow-no-prelu").code == 0


def test_a_transpose_that_an_optimizer_moved_through_a_layer(tmp_path: Path) -> None:
    slopes = np.random.default_rng(0).normal(size=(1, 12, 8)).astype(np.float32)
    sides = ("float[N,12,8] x", "float[12,N,8] y")
    turn = "Transpose<perm = [1, 0, 2]>"
    left = save(tmp_path / "l.onnx", f"p = PRelu(x, a) y = {turn}(p)", *sides, a=slopes)
    turned = slopes.transpose(1, 0, 2).copy()
    right = save(tmp_path / "r.onnx", f"t = {turn}(x) y = PRelu(t, a)", *sides, a=turned)
    found = verify(left, right)
    layer = _layer(found)
    assert (found.code, layer["slopes_equal"], layer["n_by_value"]) == (0, True, 96)
    assert layer["note"].startswith("with a different axis order")
    turned[0, 0, 0] *= 2
    wrong = save(tmp_path / "w.onnx", f"t = {turn}(x) y = PRelu(t, a)", *sides, a=turned)
    assert verify(left, wrong).code == 1


_LEFT, _RIGHT = COLUMN, COLUMN[::-1] * np.float32(2)


def _two(folder: Path, file: str, first: str, **slopes: Any) -> Path:
    second = "q" if first == "p" else "p"
    body = f"h = PRelu(x, {first}) n = Neg(h) y = PRelu(n, {second})"
    return save(folder / file, body, **slopes)


def test_layers_that_a_candidate_calls_otherwise_are_told_by_their_slopes(tmp_path: Path) -> None:
    left = _two(tmp_path, "l.onnx", "p", p=_LEFT, q=_RIGHT)
    renamed = _two(tmp_path, "r.onnx", "q", p=_RIGHT, q=_LEFT)
    found = verify(left, renamed)
    assert found.code == 0, found.json["reasons"]
    notes = [layer["note"] for layer in candidate(found)["layers"]]
    assert [note.split(",")[0] for note in notes] == [
        "called 'q' in the candidate", "called 'p' in the candidate"
    ]  # fmt: skip
    exchanged = _two(tmp_path, "e.onnx", "p", p=_RIGHT, q=_LEFT)
    found = verify(left, exchanged)
    assert (found.code, found.json["reason_codes"][0]) == (1, "slopes_differ")


def test_slopes_that_were_exchanged_where_nothing_shows_it_are_no_other_names(
    tmp_path: Path,
) -> None:
    """Every input is positive, so that every output agrees."""
    body = "b = Abs(x) h = PRelu(b, p) y = PRelu(h, q)"
    left = save(tmp_path / "l.onnx", body, p=_LEFT, q=_RIGHT)
    exchanged = save(tmp_path / "r.onnx", body, p=_RIGHT, q=_LEFT)
    found = verify(left, exchanged)
    assert (found.code, set(found.json["reason_codes"])) == (1, {"slopes_differ"})


_NETS = """
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.dense, self.a, self.b = nn.Linear(4, 6), nn.PReLU(6), nn.PReLU(6)
        nn.init.uniform_(self.a.weight, -0.5, 0.5)

    def example_inputs(self):
        return (torch.zeros(2, 4),)

class Twice(Base):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(6, 2), nn.Linear(6, 3)

    def half(self, x):
        return self.a(self.dense(x))

    def forward(self, x):
        return self.left(self.half(x)), self.right(self.half(x))

class Dead(Base):
    def forward(self, x):
        h = self.dense(x)
        self.b(h)
        return self.a(h)
"""


@pytest.mark.torch
@pytest.mark.parametrize("net", ["Twice", "Dead"])
def test_what_an_exporter_merges_or_drops_is_exported(net: str, tmp_path: Path) -> None:
    (tmp_path / "value_nets.py").write_text(_NETS)
    source, made = f"{tmp_path / 'value_nets.py'}:{net}", tmp_path / f"{net}.onnx"
    exported = cli("export", source, "-o", made)
    assert exported.code == 0, exported.err
    assert verify(source, made).code == 0
    if net == "Twice":  # whose calls are merged or not, as the exporter likes
        return
    blind = cli("export", source, "-o", made, "--force", "--no-verify")
    assert blind.code == 3
    assert "in an unknown form" in blind.err


# Where no layer is looked at as it runs


def _unwatched(reference: Path, net: Path) -> tuple[int, list[str]]:
    found = verify(reference, net, "--no-layers")
    return found.code, found.json["reason_codes"]


def test_without_layers_a_node_that_states_the_slope_is_the_layer(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, b)")
    net = _net(tmp_path, "r", f"{_CONV} y = LeakyRelu<alpha = 0.25>(c)")
    found = verify(reference, net, "--no-layers")
    layer = _layer(found)
    assert (found.code, layer["verdict"], layer["n_by_value"]) == (0, "pass", 3)
    where = "found by its slope: tensor 'y' of node 'y'"
    assert layer["note"] == f"{where}, the same function as LeakyRelu(0.25)"


@pytest.mark.parametrize("option", ["--no-layers", "--no-power"])
@pytest.mark.parametrize(("alpha", "named"), [(0.5, ["b"]), (0.25, [])])
def test_a_node_in_the_place_of_a_layer_is_named_where_its_slope_is_wrong(
    alpha: float, named: list[str], option: str, tmp_path: Path
) -> None:
    """And only there: what differs may be another part of the model."""
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, b)")
    body = f"{_CONV} d = Mul(c, k) y = LeakyRelu<alpha = {alpha}>(d)"
    found = verify(reference, _net(tmp_path, "r", body, k=np.float32(1.01)), option)
    assert found.code == 1
    assert [x["name"] for x in candidate(found)["layers"] if x["verdict"] == "fail"] == named
    there = "replaced by a LeakyRelu (tensor 'y' of node 'y'): its slope is 0.5, expected 0.25"
    assert any(there in reason for reason in found.json["reasons"]) == bool(named)


def test_other_numbers_of_nodes_and_layers_say_nothing(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} y = PRelu(c, b)")
    body = "p = LeakyRelu<alpha = 0.5>(c) y = LeakyRelu<alpha = 0.25>(p)"
    (layer,) = candidate(verify(reference, _net(tmp_path, "r", f"{_CONV} {body}")))["layers"]
    assert (layer["verdict"], layer["found"]) == ("fail", "nowhere")


@pytest.mark.parametrize("body", ["y = Relu(c)", "r = Relu(c) y = LeakyRelu<alpha = 0.3>(r)"])
def test_without_layers_what_is_not_found_gives_no_verdict(body: str, tmp_path: Path) -> None:
    """No input of the layer is negative, so the outputs agree."""
    reference = _net(tmp_path, "l", f"{_CONV} r = Relu(c) y = PRelu(r, b)")
    net = _net(tmp_path, "r", f"{_CONV} {body}")
    assert _unwatched(reference, net) == (3, ["layer_not_found"])
    (reason,) = verify(reference, net, "--no-layers").json["reasons"]
    assert reason.endswith(
        "b: not found in the candidate, although no compared output differs (without --no-layers, "
        "verify searches for it by its values)"
    )


def test_without_layers_one_node_is_one_call(tmp_path: Path) -> None:
    reference = _net(tmp_path, "l", f"{_CONV} p = PRelu(c, b) r = Relu(c) y = PRelu(r, b)")
    net = _net(tmp_path, "r", f"{_CONV} p = LeakyRelu<alpha = 0.25>(c) y = Relu(c)")
    assert _unwatched(reference, net) == (3, ["layer_not_found"])


def test_without_layers_equal_calls_and_additional_layers_fail_nothing(tmp_path: Path) -> None:
    once = _net(tmp_path, "once", f"{_CONV} p = PRelu(c, a) y = Add(p, p)")
    twice = _net(tmp_path, "twice", f"{_CONV} p = PRelu(c, a) q = PRelu(c, a) y = Add(p, q)")
    more = _net(tmp_path, "more", f"{_CONV} p = PRelu(c, a) y = Add(p, p) z = PRelu(c, b)")
    assert _unwatched(twice, once) == (3, ["layer_calls_differ"])
    assert _unwatched(once, twice) == (3, ["layer_calls_differ"])
    assert _unwatched(once, more) == (0, [])


@pytest.mark.parametrize("change", [1.0, 1.5])
def test_without_layers_other_names_give_no_verdict_and_other_slopes_fail(
    change: float, tmp_path: Path
) -> None:
    """Of the second layer no input is negative, so the outputs do not show its slopes."""
    body = "u = PRelu(x, {}) r = Relu(u) y = PRelu(r, {})"
    reference = _net(tmp_path, "l", body.format("a", "b"))
    net = _net(tmp_path, "r", body.format("b", "a"), b=COLUMN, a=_QUARTERS * change)
    expected = (3, ["layer_not_proven"] * 2) if change == 1 else (1, ["slopes_differ"] * 2)
    assert _unwatched(reference, net) == expected
