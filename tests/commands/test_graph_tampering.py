"""Whatever else differs between a model and its export fails too, and nothing is cut silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from running import Outcome, cli
from sample_list import Sample, marks_of, sample
from tampering import (
    Change,
    add_prelu,
    changed,
    drop_output,
    multiply,
    prelu,
    remove_prelu,
    scale_weight,
)

Exports = Callable[[Sample], Path]

_SPELLED = (
    "torch_layers.py:BlockNet",
    "keras_where.py:sequential_net",
    "keras_digits.py:convnet",
    "mtcnn_torch.py:RNet",
    "mtcnn_keras.py:RNet",
)


def _for_each(*spelled: str) -> pytest.MarkDecorator:
    chosen = [sample(name) for name in spelled]
    return pytest.mark.parametrize(
        "one", [pytest.param(one, id=one.key, marks=marks_of(one)) for one in chosen]
    )


def _verify(one: Sample, exports: Exports, tmp_path: Path, change: Change) -> Outcome:
    target = changed(exports(one), tmp_path / "changed.onnx", change)
    return cli("verify", one.source, target, "--format", "json")


def _candidate(found: Outcome) -> Any:
    return found.json["candidates"][0]


@_for_each(*_SPELLED)
def test_a_prelu_that_is_gone_is_missed(one: Sample, exports: Exports, tmp_path: Path) -> None:
    gone = list(one.layers)[1]
    found = _verify(one, exports, tmp_path, remove_prelu(gone))
    assert found.code == 1
    verdicts = {layer["name"]: layer["verdict"] for layer in _candidate(found)["layers"]}
    assert verdicts == {name: "fail" if name == gone else "pass" for name in one.layers}
    assert any(f"{gone}: missing in the candidate" in r for r in found.json["reasons"])


@_for_each(*_SPELLED)
def test_a_prelu_too_many_is_noticed(one: Sample, exports: Exports, tmp_path: Path) -> None:
    """With slope 1 it changes no output, and so it is said, and no failure."""
    found = _verify(one, exports, tmp_path, add_prelu("extra"))
    assert found.code == 0
    layers = _candidate(found)["layers"]
    assert [x["name"] for x in layers if x["found"] == "additional"] == ["extra"]
    words = "extra: a PReLU that the reference does not have; every output agrees"
    assert any(words in note for note in found.json["notes"])


@_for_each("torch_layers.py:BlockNet", "keras_where.py:decayed_net")
def test_an_activation_that_became_another_is_missed(
    one: Sample, exports: Exports, tmp_path: Path
) -> None:
    layer = next(iter(one.layers))

    def to_relu(model: onnx.ModelProto) -> None:
        node = prelu(model, layer)
        node.op_type = "Relu"
        del node.input[1:]

    found = _verify(one, exports, tmp_path, to_relu)
    assert found.code == 1
    assert any(f"{layer}: missing" in reason for reason in found.json["reasons"])


@_for_each("keras_where.py:shared_instance_net")
def test_a_use_that_is_gone_is_missed(one: Sample, exports: Exports, tmp_path: Path) -> None:
    found = _verify(one, exports, tmp_path, remove_prelu("act_1"))
    assert found.code == 1
    assert any("used 1 times where 2 were expected" in r for r in found.json["reasons"])


@_for_each(*_SPELLED, "torch_layers.py:Mlp", "keras_where.py:decayed_net")
def test_other_weights_fail_though_all_slopes_are_equal(
    one: Sample, exports: Exports, tmp_path: Path
) -> None:
    found = _verify(one, exports, tmp_path, scale_weight(1, 1.01))
    assert found.code == 1
    candidate = _candidate(found)
    assert all(layer["slopes_equal"] for layer in candidate["layers"])
    assert "fail" in {output["verdict"] for output in candidate["outputs"]}
    assert any("values differ" in reason for reason in found.json["reasons"])


@_for_each("torch_layers.py:PerChannel", "keras_where.py:article_net")
def test_nan_on_one_side_fails(one: Sample, exports: Exports, tmp_path: Path) -> None:
    found = _verify(one, exports, tmp_path, multiply(float("nan")))
    assert found.code == 1
    (output,) = _candidate(found)["outputs"]
    assert output["n_nonfinite_mismatch"] > 0
    assert output["n_mismatched"] == 0
    assert output["max_abs_diff"] == "NaN"


@_for_each("torch_layers.py:PerChannel")
def test_infinity_on_one_side_fails(one: Sample, exports: Exports, tmp_path: Path) -> None:
    found = _verify(one, exports, tmp_path, multiply(float("inf")))
    assert found.code == 1
    assert _candidate(found)["outputs"][0]["n_nonfinite_mismatch"] > 0


@_for_each("torch_layers.py:PerChannel")
def test_nan_on_both_sides_is_no_verdict(one: Sample, exports: Exports, tmp_path: Path) -> None:
    spoilt = changed(exports(one), tmp_path / "nan.onnx", multiply(float("nan")))
    found = cli("verify", spoilt, spoilt, "--format", "json")
    assert found.code == 3
    (output,) = _candidate(found)["outputs"]
    assert output["verdict"] == "inconclusive"
    assert any("NaN on both sides" in reason for reason in found.json["reasons"])


@_for_each("mtcnn_torch.py:ONet", "mtcnn_keras.py:ONet")
def test_one_bad_output_of_several_fails(one: Sample, exports: Exports, tmp_path: Path) -> None:
    found = _verify(one, exports, tmp_path, multiply(1.01, output=1))
    assert found.code == 1
    verdicts = [output["verdict"] for output in _candidate(found)["outputs"]]
    assert verdicts == ["pass", "fail", "pass"]


@_for_each("mtcnn_torch.py:ONet", "mtcnn_keras.py:ONet")
def test_an_output_that_was_dropped_is_not_cut_silently(
    one: Sample, exports: Exports, tmp_path: Path
) -> None:
    found = _verify(one, exports, tmp_path, drop_output)
    assert found.code == 1
    assert "output_missing" in found.json["candidates"][0]["reason_codes"]


@_for_each("torch_layers.py:PerChannel")
def test_an_output_of_another_shape_fails(one: Sample, exports: Exports, tmp_path: Path) -> None:
    def flatten(model: onnx.ModelProto) -> None:
        prelu(model, "prelu2").output[0] = "flat"
        result = model.graph.output[0]
        model.graph.node.append(onnx.helper.make_node("Flatten", ["flat"], [result.name]))
        del result.type.tensor_type.shape.dim[2:]
        result.type.tensor_type.shape.dim[1].dim_value = 128 * 10 * 14

    found = _verify(one, exports, tmp_path, flatten)
    assert found.code == 1
    assert _candidate(found)["outputs"][0]["verdict"] == "fail"
