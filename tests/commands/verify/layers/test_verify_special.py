"""Special values, through each layer by itself: what they tell, what is known, and what fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_text import CONSTANTS, FORMS
from running import Outcome
from text_nets import COLUMN, IMAGE, SLOPES, candidate, save, verify
from versions import infinities

_FORMS = {**FORMS, "max_neg": "q = Min(x, zero) s = Mul(q, a) y = Max(x, s)"}
_STRICT = "--strict-special"


def _save(path: Path, form: str = "prelu", **other: Any) -> Path:
    body = _FORMS[form]
    named = {name: CONSTANTS[name] for name in CONSTANTS if re.search(rf"\b{name}\b", body)}
    return save(path, body, **{**named, **other})


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return _save(tmp_path / "reference.onnx")


def _special(found: Outcome) -> list[Any]:
    return list(candidate(found)["special"])


def _undocumented(found: Outcome) -> dict[Any, Any]:
    return {s["value"]: s["found"] for s in _special(found) if s["documented"] is None}


def test_a_model_is_like_itself(reference: Path) -> None:
    found = verify(reference, reference)
    assert (found.code, _special(found)) == (0, [])


@infinities
@pytest.mark.parametrize("form", ["relu_neg", "relu_sub", "where", "max_min"])
def test_forms_that_differ_in_the_sign_of_a_zero_pass_and_say_so(
    form: str, reference: Path, tmp_path: Path
) -> None:
    found = verify(reference, _save(tmp_path / "net.onnx", form))
    assert found.code == 0, found.json["reasons"]
    for value in _special(found):
        assert value["form"] == form
        assert (value["expected"], value["found"]) == (0.0, 0.0)
        assert "sign of a zero" in value["documented"]


@infinities
def test_the_sign_of_a_zero_is_told(reference: Path, tmp_path: Path) -> None:
    (value,) = _special(verify(reference, _save(tmp_path / "net.onnx", "relu_sub")))
    assert np.signbit(value["value"])
    assert np.signbit(value["expected"]) != np.signbit(value["found"])
    assert value["slope"] in SLOPES


@infinities
def test_a_mask_makes_nan_of_infinity_which_passes_and_is_said(
    reference: Path, tmp_path: Path
) -> None:
    found = verify(reference, _save(tmp_path / "mask.onnx", "where_mask"))
    assert found.code == 0
    told = {s["value"]: s["documented"] for s in _special(found) if s["found"] == "NaN"}
    words = "where_mask differs for infinite or NaN inputs only"
    assert told == {"Infinity": words, "-Infinity": words}


@infinities
def test_a_mask_fails_where_that_is_asked_for(reference: Path, tmp_path: Path) -> None:
    found = verify(reference, _save(tmp_path / "mask.onnx", "where_mask"), _STRICT)
    assert found.code == 1
    report = candidate(found)
    assert {x["verdict"] for x in [*report["outputs"], *report["layers"]]} == {"pass"}
    assert _undocumented(found) == {"Infinity": "NaN", "-Infinity": "NaN"}
    words = "a: inf with slope 0.25 gives nan, but inf in the reference (where_mask)"
    assert words in report["reasons"]
    assert report["verdict"] == "fail"


@infinities
@pytest.mark.parametrize(("form", "values"), [
    ("linear", {"Infinity", "-Infinity"}), ("abs", {"Infinity", "-Infinity"}),
])  # fmt: skip
def test_forms_that_subtract_infinities_fail(
    form: str, values: set[str], reference: Path, tmp_path: Path
) -> None:
    net = _save(tmp_path / "net.onnx", form)
    assert verify(reference, net).code == 0
    found = verify(reference, net, _STRICT)
    assert found.code == 1
    assert _undocumented(found).keys() & values
    assert set(_undocumented(found).values()) <= {"NaN", "Infinity", "-Infinity"}


@infinities
@pytest.mark.parametrize("form", ["relu_neg", "where", "prelu"])
def test_what_is_right_where_the_reference_gives_nan_passes_and_says_so(
    form: str, tmp_path: Path
) -> None:
    masked = _save(tmp_path / "masked.onnx", "where_mask")
    found = verify(masked, _save(tmp_path / "net.onnx", form))
    assert found.code == 0, found.err
    told = [value for value in _special(found) if value["expected"] == "NaN"]
    assert told
    assert all("the reference's own form does not" in value["documented"] for value in told)


@pytest.mark.parametrize(
    "form", ["max_neg", "relu_neg", "where", pytest.param("prelu", marks=infinities)]
)
def test_infinities_that_only_the_reference_cuts_off_pass(form: str, tmp_path: Path) -> None:
    """A Clip without a lower limit has the largest number for one in onnxruntime."""
    cut = _save(tmp_path / "cut.onnx", "clip")
    found = verify(cut, _save(tmp_path / "net.onnx", form))
    assert found.code == 0, found.json["reasons"]
    told = [value for value in _special(found) if value["value"] == "-Infinity"]
    assert told
    assert all("the reference's own form does not" in value["documented"] for value in told)


def test_infinities_that_only_the_candidate_cuts_off_fail(reference: Path, tmp_path: Path) -> None:
    found = verify(reference, _save(tmp_path / "cut.onnx", "clip"), _STRICT)
    assert found.code == 1
    assert "-Infinity" in _undocumented(found)


def test_a_mask_against_a_mask_is_the_same(tmp_path: Path) -> None:
    mask = _save(tmp_path / "mask.onnx", "where_mask")
    found = verify(mask, mask)
    assert (found.code, _special(found)) == (0, [])


@infinities
def test_every_layer_is_tried_and_named(tmp_path: Path) -> None:
    body = "y1 = PRelu(x, b) {}"
    second = FORMS["where_mask"].replace("(x", "(y1").replace(" x)", " y1)")
    left = save(tmp_path / "l.onnx", body.format("y = PRelu(y1, a)"), a=COLUMN, b=COLUMN)
    right = save(tmp_path / "r.onnx", body.format(second), a=COLUMN, b=COLUMN, zero=0.0)
    found = verify(left, right, _STRICT)
    assert found.code == 1
    assert {s["layer"] for s in _special(found) if s["documented"] is None} == {"a"}


@infinities
def test_every_slope_is_tried(tmp_path: Path) -> None:
    """(1 - a) * inf is not an infinity of the same sign where a > 1, in one channel of three."""
    slopes = np.array([0.25, 2.0, 0.5], np.float32).reshape(3, 1, 1)
    left = _save(tmp_path / "l.onnx", a=slopes)
    right = _save(tmp_path / "r.onnx", "linear", a=slopes, a_rest=1 - slopes)
    found = verify(left, right, _STRICT)
    wrong = [s for s in _special(found) if s["documented"] is None]
    assert ("Infinity", 2.0) in {(s["value"], s["slope"]) for s in wrong}


def test_nothing_is_tried_without_layers(reference: Path, tmp_path: Path) -> None:
    found = verify(reference, _save(tmp_path / "mask.onnx", "where_mask"), "--no-layers")
    assert (found.code, _special(found)) == (0, [])


def test_half_precision_has_its_own_largest_number(tmp_path: Path) -> None:
    kind = IMAGE.replace("float", "float16")
    slopes = np.array([0.25, 2.0, 0.5], np.float16).reshape(3, 1, 1)
    left = save(tmp_path / "l.onnx", "y = PRelu(x, a)", f"{kind} x", f"{kind} y", a=slopes)
    found = verify(left, left)
    assert (found.code, _special(found)) == (0, [])


@infinities
def test_a_channels_last_candidate_is_tried_in_its_own_layout(tmp_path: Path) -> None:
    shape = "float[batch,4,5,3]"
    right = save(
        tmp_path / "r.onnx", _FORMS["relu_sub"], f"{shape} x", f"{shape} y", a=SLOPES
    )  # fmt: skip
    found = verify(_save(tmp_path / "l.onnx"), right)
    assert found.code == 0, found.json["reasons"]
    assert "special values were not tried" not in found.words
    assert [s["value"] for s in _special(found)] == [0.0]
    wrong = save(
        tmp_path / "w.onnx", _FORMS["linear"], f"{shape} x", f"{shape} y",
        a=SLOPES, a_rest=1 - SLOPES,
    )  # fmt: skip
    assert verify(_save(tmp_path / "l.onnx"), wrong, _STRICT).code == 1


@pytest.mark.torch
def test_torch_against_its_export(tmp_path: Path) -> None:
    nets = tmp_path / "special_nets.py"
    nets.write_text(
        "import torch\n"
        "def net():\n"
        "    net = torch.nn.Sequential(torch.nn.PReLU(3))\n"
        "    net.example_inputs = lambda: (torch.zeros(1, 3, 4, 5),)\n"
        "    torch.nn.init.constant_(net[0].weight, 0.25)\n"
        "    return net\n"
    )
    same = np.full((3, 1, 1), 0.25, np.float32)
    shape = "float[batch,3,4,5]"
    right = save(tmp_path / "r.onnx", "y = PRelu(x, a)", f"{shape} x", f"{shape} y", a=same)
    found = verify(f"{nets}:net", right)
    assert found.code == 0, found.json["reasons"]
    assert all(value["documented"] for value in _special(found))
    apart = save(tmp_path / "m.onnx", _FORMS["abs"], f"{shape} x", f"{shape} y", a_half=same / 2)
    wrong = verify(f"{nets}:net", apart, _STRICT)
    assert wrong.code == 1
    assert _undocumented(wrong)["Infinity"] == "NaN"


def test_slopes_that_differ_along_the_batch_are_tried(tmp_path: Path) -> None:
    slopes = np.linspace(-1, 2, 60, dtype=np.float32).reshape(3, 4, 5)
    image = {"inputs": "float[3,4,5] x", "outputs": "float[3,4,5] y"}
    net = save(tmp_path / "net.onnx", "y = PRelu(x, a)", **image, a=slopes)
    assert verify(net, net).code == 0
