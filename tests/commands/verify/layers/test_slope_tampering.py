"""A slope that is not the source's own fails, however it came about, and its layer is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from running import Outcome, cli
from sample_list import Sample, each_sample, marks_of, sample
from tampering import changed, exchange, set_slopes, slopes, swap, two_that_differ

Exports = Callable[[Sample], Path]


def _can_swap(one: Sample) -> bool:
    """Whether it has layers with two slopes that differ, and no other sample has the same graph."""
    same = ("spread=0.0", "regularizer", "constraint")
    return bool(one.layers) and not one.is_channel_shared and not any(s in one.label for s in same)


def _verify(reference: object, *candidates: Path) -> Outcome:
    return cli("verify", reference, *candidates, "--quick", "--format", "json")


def _failing(found: Outcome, candidate: int = 0) -> list[str]:
    layers = found.json["candidates"][candidate]["layers"]
    return [layer["name"] for layer in layers if layer["verdict"] != "pass"]


@each_sample(_can_swap)
def test_two_slopes_exchanged_fail_in_every_layer(
    sample: Sample, exports: Exports, tmp_path: Path
) -> None:
    pairs = [two_that_differ(slopes(onnx.load(exports(sample)), one)) for one in sample.layers]
    targets = [
        changed(exports(sample), tmp_path / f"{layer}.onnx", set_slopes(layer, swap(*pair)))
        for layer, pair in zip(sample.layers, pairs, strict=True)
    ]
    found = _verify(sample.source, *targets)
    assert found.code == 1
    for number, (layer, (first, second)) in enumerate(zip(sample.layers, pairs, strict=True)):
        report = found.json["candidates"][number]
        assert (report["verdict"], _failing(found, number)) == ("fail", [layer])
        assert report["first_divergence"] == layer
        words = f"{layer}: channels {first} and {second} swapped"
        assert any(words in reason for reason in report["reasons"])


@each_sample(lambda one: one.is_channel_shared or "spread=0.0" in one.label)
def test_one_other_slope_fails_where_there_are_no_two_to_exchange(
    sample: Sample, exports: Exports, tmp_path: Path
) -> None:
    layer = next(iter(sample.layers))
    target = tmp_path / "changed.onnx"
    changed(exports(sample), target, set_slopes(layer, lambda v: np.where(v == v[0], 0.5, v)))
    found = _verify(sample.source, target)
    assert found.code == 1
    assert _failing(found) == [layer]


def _one_ulp(values: Any) -> Any:
    values[-1] = np.nextafter(values[-1], np.float32(np.inf))
    return values


def _nan(values: Any) -> Any:
    values[0] = np.nan
    return values


_EDITS: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
    ("negated", lambda values: -values, "slopes negated"),
    ("one ulp", _one_ulp, "1 of 256 slopes differ, the largest difference at index 255"),
    ("reversed", lambda values: values[::-1], "slopes permuted"),
    ("rounded", lambda values: values.astype(np.float16), "of 256 slopes differ"),
    ("constant", lambda values: np.full_like(values, values.mean()), "of 256 slopes differ"),
    ("NaN", _nan, "1 of 256 slopes differ, the largest difference at index 0: nan"),
)
_MLP = sample("torch_layers.py:Mlp")


@pytest.mark.torch
def test_every_other_slope_fails_in_torch_words(exports: Exports, tmp_path: Path) -> None:
    targets = [
        changed(exports(_MLP), tmp_path / f"{name}.onnx", set_slopes("prelu2", edit))
        for name, edit, _ in _EDITS
    ]
    found = _verify(exports(_MLP), *targets)
    for number, (name, _, words) in enumerate(_EDITS):
        report = found.json["candidates"][number]
        assert (report["verdict"], _failing(found, number)) == ("fail", ["prelu2"]), name
        assert any(words in reason for reason in report["reasons"]), report["reasons"]


@pytest.mark.torch
def test_one_ulp_of_a_slope_fails_though_the_outputs_agree(
    exports: Exports, tmp_path: Path
) -> None:
    target = changed(exports(_MLP), tmp_path / "edited.onnx", set_slopes("prelu2", _one_ulp))
    candidate = _verify(_MLP.source, target).json["candidates"][0]
    assert [output["verdict"] for output in candidate["outputs"]] == ["pass"]
    assert candidate["verdict"] == "fail"


_PAIRS = (
    ("torch_layers.py:Mlp", "prelu1", "prelu2"),
    ("torch_layers.py:OneSlopeNet", "prelu3", "prelu1"),
    ("torch_layers.py:ConvNet32", "features.9", "classifier.1"),
    ("keras_where.py:sequential_net", "prelu1", "prelu2"),
    ("mtcnn_torch.py:ONet", "prelu2", "prelu3"),
    ("mtcnn_keras.py:ONet", "prelu2", "prelu3"),
)


@pytest.mark.parametrize(
    ("label", "left", "right"),
    [pytest.param(*pair, marks=marks_of(sample(pair[0]))) for pair in _PAIRS],
)
def test_slopes_in_the_wrong_layer_are_recognised(
    label: str, left: str, right: str, exports: Exports, tmp_path: Path
) -> None:
    one = sample(label)
    target = changed(exports(one), tmp_path / "exchanged.onnx", exchange(left, right))
    found = _verify(one.source, target)
    assert found.code == 1
    assert set(_failing(found)) == {left, right}
    reasons = " ".join(found.json["reasons"])
    assert f"{left}: has {right}'s slopes" in reasons
    assert f"{right}: has {left}'s slopes" in reasons


@pytest.mark.keras
def test_element_wise_slopes_left_in_channels_last_order_fail(
    exports: Exports, tmp_path: Path
) -> None:
    digits = sample("keras_digits.py:convnet")

    def stored_as_keras_has_them(values: Any) -> Any:
        return values.reshape(32, 28, 28).transpose(1, 2, 0).reshape(-1)

    target = changed(
        exports(digits), tmp_path / "nhwc.onnx", set_slopes("prelu1", stored_as_keras_has_them)
    )
    found = _verify(digits.source, target)
    assert (found.code, _failing(found)) == (1, ["prelu1"])
