"""Whatever else differs between a model and its export fails too, and nothing is cut silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
from running import cli
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
Reports = Callable[[Sample], Mapping[str, Any]]


def _to_relu(layer: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = prelu(model, layer)
        node.op_type = "Relu"
        del node.input[1:]

    return change


def _flatten(model: onnx.ModelProto) -> None:
    prelu(model, "prelu2").output[0] = "flat"
    result = model.graph.output[0]
    model.graph.node.append(onnx.helper.make_node("Flatten", ["flat"], [result.name]))
    del result.type.tensor_type.shape.dim[2:]
    result.type.tensor_type.shape.dim[1].dim_value = 128 * 10 * 14


def _changes(one: Sample) -> dict[str, Change]:
    """What is done to the export of a sample, by a name of the change."""
    first = next(iter(one.layers))
    found: dict[str, Change] = {
        "gone": remove_prelu(first),
        "additional": add_prelu("extra"),
        "weights": scale_weight(1, 1.01),
        "relu": _to_relu(first),
        "nan": multiply(float("nan")),
        "infinity": multiply(float("inf")),
    }
    if one.outputs > 1:
        found |= {"output": multiply(1.01, output=1), "dropped": drop_output}
    if one.label == "torch_layers.py:PerChannel":
        found["flat"] = _flatten
    if one.label == "keras_where.py:shared_instance_net":
        found = {"use gone": remove_prelu("act_1")}
    return found


@pytest.fixture(scope="module")
def reports(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """What verify says of each changed export of a sample, all of which it is given at once."""

    @cache
    def verified(label: str) -> Mapping[str, Any]:
        one, folder = sample(label), tmp_path_factory.mktemp("changed")
        changes = _changes(one)
        paths = [
            changed(exports(one), folder / f"{name}.onnx", change)
            for name, change in changes.items()
        ]
        found = cli("verify", one.source, *paths, "--quick", "--format", "json")
        assert found.code == 1, found.words
        return dict(zip(changes, found.json["candidates"], strict=True))

    return lambda one: verified(one.label)


def _for_each(*label: str) -> pytest.MarkDecorator:
    chosen = [sample(name) for name in label]
    return pytest.mark.parametrize(
        "one", [pytest.param(one, id=one.key, marks=marks_of(one)) for one in chosen]
    )


_EACH = (
    "torch_layers.py:BlockNet",
    "torch_layers.py:PerChannel",
    "keras_where.py:sequential_net",
    "mtcnn_torch.py:ONet",
    "mtcnn_keras.py:RNet",
)


@_for_each(*_EACH)
def test_a_prelu_that_is_gone_is_missed(one: Sample, reports: Reports) -> None:
    gone = next(iter(one.layers))
    report = reports(one)["gone"]
    assert report["verdict"] == "fail"
    verdicts = {layer["name"]: layer["verdict"] for layer in report["layers"]}
    assert verdicts == {name: "fail" if name == gone else "pass" for name in one.layers}
    assert any(f"{gone}: missing in the candidate" in reason for reason in report["reasons"])


@_for_each(*_EACH)
def test_a_prelu_too_many_is_noticed(one: Sample, reports: Reports) -> None:
    """With slope 1 it changes no output, and so it is said, and no failure."""
    report = reports(one)["additional"]
    assert report["verdict"] == "pass"
    assert [x["name"] for x in report["layers"] if x["found"] == "additional"] == ["extra"]


@_for_each(*_EACH)
def test_an_activation_that_became_another_is_missed(one: Sample, reports: Reports) -> None:
    report = reports(one)["relu"]
    assert report["verdict"] == "fail"
    layer = next(iter(one.layers))
    assert any(f"{layer}: missing" in reason for reason in report["reasons"])


@_for_each("keras_where.py:shared_instance_net")
def test_a_use_that_is_gone_is_missed(one: Sample, reports: Reports) -> None:
    report = reports(one)["use gone"]
    assert report["verdict"] == "fail"
    assert any("used 1 time, expected 2" in reason for reason in report["reasons"])


@_for_each(*_EACH)
def test_other_weights_fail_though_all_slopes_are_equal(one: Sample, reports: Reports) -> None:
    report = reports(one)["weights"]
    assert report["verdict"] == "fail"
    assert all(layer["slopes_equal"] for layer in report["layers"])
    assert "fail" in {output["verdict"] for output in report["outputs"]}
    assert any("values differ" in reason for reason in report["reasons"])


@_for_each(*_EACH)
def test_nan_or_infinity_on_one_side_fails(one: Sample, reports: Reports) -> None:
    for change in ("nan", "infinity"):
        report = reports(one)[change]
        assert report["verdict"] == "fail"
        output = report["outputs"][0]
        assert output["n_nonfinite_mismatch"] > 0
        assert change != "nan" or (output["n_mismatched"], output["max_abs_diff"]) == (0, "NaN")


@_for_each("torch_layers.py:PerChannel")
def test_nan_on_both_sides_is_no_verdict(one: Sample, exports: Exports, tmp_path: Path) -> None:
    spoilt = changed(exports(one), tmp_path / "nan.onnx", multiply(float("nan")))
    found = cli("verify", spoilt, spoilt, "--format", "json")
    assert found.code == 3
    (output,) = found.json["candidates"][0]["outputs"]
    assert output["verdict"] == "inconclusive"
    assert any("NaN on both sides" in reason for reason in found.json["reasons"])


@_for_each("mtcnn_torch.py:ONet", "mtcnn_keras.py:RNet")
def test_one_bad_output_of_several_fails(one: Sample, reports: Reports) -> None:
    report = reports(one)["output"]
    verdicts = [output["verdict"] for output in report["outputs"]]
    assert report["verdict"] == "fail"
    assert verdicts == ["pass", "fail", "pass"][: one.outputs]


@_for_each("mtcnn_torch.py:ONet", "mtcnn_keras.py:RNet")
def test_an_output_that_was_dropped_is_not_cut_silently(one: Sample, reports: Reports) -> None:
    report = reports(one)["dropped"]
    assert report["verdict"] == "fail"
    assert "output_missing" in report["reason_codes"]


@_for_each("torch_layers.py:PerChannel")
def test_an_output_of_another_shape_fails(one: Sample, reports: Reports) -> None:
    report = reports(one)["flat"]
    assert report["verdict"] == "fail"
    assert report["outputs"][0]["verdict"] == "fail"
