"""Which layer and which output of a candidate is compared with which of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from running import cli
from tiny_models import save_graph

_DIMS = ("batch", 2)
_A, _B = (0.25, -0.5), (1.5, 0.75)


def _chain(
    path: Path, layers: Sequence[tuple[str, str]], slopes: dict[str, Any], output: str = "y"
) -> Path:
    """PRelu nodes one after the other, each (name, initializer), negated in between."""
    nodes, tensor = [], "x"
    for number, (name, slope) in enumerate(layers):
        last = number == len(layers) - 1
        made = output if last else f"h{number}"
        nodes.append(helper.make_node("PRelu", [tensor, slope], [made], name=name))
        if not last:
            nodes.append(helper.make_node("Neg", [made], [f"n{number}"], name=f"neg{number}"))
            tensor = f"n{number}"
    tensors = {name: np.asarray(values, np.float32) for name, values in slopes.items()}
    return save_graph(path, nodes, {"x": _DIMS}, {output: _DIMS}, tensors)


def _named(path: Path, left: Any = _A, right: Any = _B, names: str = "pq") -> Path:
    """Two layers, called after their initializers."""
    first, second = names
    layers = [(first, f"{first}.weight"), (second, f"{second}.weight")]
    return _chain(path, layers, {f"{first}.weight": left, f"{second}.weight": right})


def _verify(reference: Path, candidate: Path) -> tuple[int, dict[str, str], list[str]]:
    found = cli("verify", reference, candidate, "--format", "json")
    layers = found.json["candidates"][0]["layers"]
    return found.code, {x["name"]: x["verdict"] for x in layers}, found.json["reasons"]


def test_layers_are_paired_by_name(tmp_path: Path) -> None:
    left, right = _named(tmp_path / "left.onnx"), _named(tmp_path / "right.onnx")
    assert _verify(left, right)[:2] == (0, {"p": "pass", "q": "pass"})


def test_layers_of_other_names_are_paired_by_their_order(tmp_path: Path) -> None:
    left, right = _named(tmp_path / "left.onnx"), _named(tmp_path / "right.onnx", names="st")
    assert _verify(left, right)[:2] == (0, {"p": "pass", "q": "pass"})
    changed = _named(tmp_path / "changed.onnx", right=(1.5, 0.5), names="st")
    assert _verify(left, changed)[:2] == (1, {"p": "pass", "q": "fail"})


def test_equal_names_with_each_others_slopes_fail(tmp_path: Path) -> None:
    left = _named(tmp_path / "left.onnx")
    code, verdicts, reasons = _verify(left, _named(tmp_path / "right.onnx", _B, _A))
    assert (code, verdicts) == (1, {"p": "fail", "q": "fail"})
    assert any("p: has q's slopes" in reason for reason in reasons)


def _shared(path: Path, order: Sequence[int], left: str = "y", right: str = "z") -> Path:
    """One layer used three times: twice in a row, and once on another branch."""
    nodes = [
        helper.make_node("PRelu", ["x", "a"], ["h"], name="act"),
        helper.make_node("Neg", ["h"], ["n"]),
        helper.make_node("PRelu", ["n", "a"], [left], name="act_1"),
        helper.make_node("Add", ["x", "x"], ["d"]),
        helper.make_node("PRelu", ["d", "a"], [right], name="act_2"),
    ]
    tensors = {"a": np.asarray(_A, np.float32)}
    outputs = {"y": _DIMS, "z": _DIMS}
    return save_graph(path, [nodes[n] for n in order], {"x": _DIMS}, outputs, tensors)


def test_calls_that_do_not_need_each_other_may_stand_in_any_order(tmp_path: Path) -> None:
    reference = _shared(tmp_path / "left.onnx", range(5))
    for number, order in enumerate([(3, 4, 0, 1, 2), (0, 3, 4, 1, 2), (3, 0, 1, 4, 2)]):
        other = _shared(tmp_path / f"right{number}.onnx", order)
        assert _verify(reference, other) == (0, {"a": "pass"}, [])
    exchanged = _shared(tmp_path / "exchanged.onnx", range(5), "z", "y")
    assert _verify(reference, exchanged)[0] == 1


def test_a_merged_initializer_is_two_layers_again(tmp_path: Path) -> None:
    """Exporters merge initializers of equal value."""
    left = _named(tmp_path / "left.onnx", _A, _A)
    merged = _chain(tmp_path / "m.onnx", [("p", "val_1"), ("q", "val_1")], {"val_1": _A})
    assert _verify(left, merged)[:2] == (0, {"p": "pass", "q": "pass"})
    wrong = _chain(tmp_path / "w.onnx", [("p", "val_1"), ("q", "val_1")], {"val_1": _B})
    assert _verify(left, wrong)[0] == 1


def test_a_merged_initializer_of_unequal_layers_fails(tmp_path: Path) -> None:
    left = _named(tmp_path / "left.onnx", _A, _B)
    merged = _chain(tmp_path / "m.onnx", [("p", "val_1"), ("q", "val_1")], {"val_1": _A})
    code, verdicts, _ = _verify(left, merged)
    assert (code, verdicts) == (1, {"p": "pass", "q": "fail"})


def test_a_layer_more_or_less_is_named(tmp_path: Path) -> None:
    two = _named(tmp_path / "two.onnx")
    one = _chain(tmp_path / "one.onnx", [("p", "p.weight")], {"p.weight": _A})
    code, verdicts, reasons = _verify(two, one)
    assert (code, verdicts) == (1, {"p": "pass", "q": "fail"})
    assert any("q: missing in the candidate" in reason for reason in reasons)
    code, verdicts, reasons = _verify(one, two)
    assert (code, verdicts) == (1, {"p": "pass", "q": "fail"})
    assert any("q: a PReLU that the reference does not have" in reason for reason in reasons)


def test_slopes_of_another_number_or_type_fail(tmp_path: Path) -> None:
    left = _named(tmp_path / "left.onnx", _A, (0.5, 0.25))
    fewer = _named(tmp_path / "fewer.onnx", _A, (0.5,))
    code, verdicts, reasons = _verify(left, fewer)
    assert (code, verdicts) == (1, {"p": "pass", "q": "fail"})
    assert any("one slope shared by all, expected 2" in reason for reason in reasons)


def test_one_slope_in_place_of_equal_ones_is_the_same_function(tmp_path: Path) -> None:
    many = _named(tmp_path / "many.onnx", _A, (0.5, 0.5))
    one = _named(tmp_path / "one.onnx", _A, (0.5,))
    for left, right in ((many, one), (one, many)):
        found = cli("verify", left, right, "--format", "json")
        assert found.code == 0, found.json["reasons"]
        assert any("all equal" in note for note in found.json["notes"])


def test_one_output_may_have_another_name(tmp_path: Path) -> None:
    layers, slopes = [("p", "p.weight")], {"p.weight": _A}
    left = _chain(tmp_path / "left.onnx", layers, slopes)
    right = _chain(tmp_path / "right.onnx", layers, slopes, output="scores")
    found = cli("verify", left, right, "--format", "json")
    assert found.code == 0
    assert found.json["candidates"][0]["outputs"][0]["name"] == "scores"


@pytest.mark.parametrize(
    ("names", "code"), [(("pos", "neg"), 0), (("neg", "pos"), 0), (("a", "b"), 0), (("b", "a"), 1)]
)
def test_outputs_are_paired_by_name_else_by_order(
    names: tuple[str, str], code: int, tmp_path: Path
) -> None:
    def two_outputs(path: Path, order: tuple[str, str], called: dict[str, str]) -> Path:
        nodes = [
            helper.make_node("PRelu", ["x", "w"], [called["pos"]], name="act"),
            helper.make_node("Neg", [called["pos"]], [called["neg"]], name="minus"),
        ]
        tensors = {"w": np.asarray(_A, np.float32)}
        return save_graph(path, nodes, {"x": _DIMS}, dict.fromkeys(order, _DIMS), tensors)

    plain = {"pos": "pos", "neg": "neg"}
    left = two_outputs(tmp_path / "left.onnx", ("pos", "neg"), plain)
    called = plain if "pos" in names else {"pos": "a", "neg": "b"}
    right = two_outputs(tmp_path / "right.onnx", names, called)
    assert cli("verify", left, right).code == code
