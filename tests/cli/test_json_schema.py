"""The JSON documents keep the contract: each field, its type, and nothing besides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from json_schemas import errors
from running import cli
from sample_list import Sample, each_sample
from tiny_models import save_dense, save_prelu, save_relu

Exports = Callable[[Sample], Path]
_VARIED = ("shared_instance", "convnet(shared_axes", "relu", "shared=True")


def _strict(text: str) -> Any:
    """A document without the NaN and Infinity that Python alone would read."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not valid JSON")

    return json.loads(text, parse_constant=refuse)


def _valid(kind: str, *arguments: object) -> Any:
    found = cli(kind, *arguments, "--format", "json")
    document = _strict(found.out)
    assert errors(kind, document) == []
    return document


@each_sample(lambda one: any(name in one.label for name in _VARIED))
def test_inspect_of_samples(sample: Sample, exports: Exports) -> None:
    for source in (sample.source, exports(sample)):
        document = _valid("inspect", source, "--slopes")
        assert document["model"]["path"] == str(source)
        for layer in document["layers"]:
            assert len(layer["slopes"]) == layer["statistics"]["count"]
            assert int(np.prod(layer["slope_shape"])) == layer["statistics"]["count"]


@each_sample(lambda one: one.calls == 2)
def test_verify_of_samples(sample: Sample, exports: Exports) -> None:
    document = _valid("verify", sample.source, exports(sample))
    assert document["verdict"] == "pass"
    assert document["coverage"]["total"] == sum(sample.layers.values())
    assert {"prelu-tools", "numpy", "onnx", "onnxruntime"} <= set(document["versions"])
    (candidate,) = document["candidates"]
    assert [layer["coverage"] is not None for layer in candidate["layers"]] == [True] * len(
        sample.layers
    )


def test_numbers_that_json_lacks_are_words(tmp_path: Path) -> None:
    slopes = (float("nan"), float("inf"), float("-inf"))
    path = save_prelu(tmp_path / "net.onnx", slopes=slopes)
    (layer,) = _valid("inspect", path, "--slopes")["layers"]
    assert layer["slopes"] == ["NaN", "Infinity", "-Infinity"]
    assert layer["statistics"]["mean"] == "NaN"
    assert layer["statistics"]["n_nonfinite"] == 3
    assert layer["health"][-1] == "non_finite"


def test_slopes_are_there_only_on_request(tmp_path: Path) -> None:
    path = save_prelu(tmp_path / "net.onnx")
    assert "slopes" not in _valid("inspect", path)["layers"][0]
    assert _valid("inspect", path, "--slopes")["layers"][0]["slopes"] == [0.25, -0.5, 1.5]


def test_slopes_are_in_true_sign_and_whole(tmp_path: Path) -> None:
    values = np.array([0.1, 1 / 3, -1e-42], np.float32)
    path = save_prelu(tmp_path / "net.onnx", slopes=values)
    (layer,) = _valid("inspect", path, "--slopes")["layers"]
    assert np.array(layer["slopes"], np.float32).tobytes() == values.tobytes()


def test_inspect_of_a_model_without_prelu(tmp_path: Path) -> None:
    document = _valid("inspect", save_relu(tmp_path / "net.onnx"))
    assert document["layers"] == []
    assert [finding["code"] for finding in document["findings"]] == ["no_prelu"]
    assert document["model"]["opset"] == 17


def _failing(folder: Path) -> tuple[Path, ...]:
    good = save_dense(folder / "good.onnx")
    return good, save_dense(folder / "bad.onnx", slopes=(0.25, -0.5, 1.25))


def _missing(folder: Path) -> tuple[Path, ...]:
    return save_dense(folder / "good.onnx"), folder / "missing.onnx"


def _not_a_number(folder: Path) -> tuple[Path, ...]:
    return (save_dense(folder / "nan.onnx", bias=float("nan")),) * 2


@pytest.mark.parametrize(
    ("make", "verdict"),
    [
        (_failing, "fail"),
        (_missing, "inconclusive"),
        (_not_a_number, "inconclusive"),
    ],
)
def test_verify_that_does_not_pass(
    make: Callable[[Path], tuple[Path, ...]], verdict: str, tmp_path: Path
) -> None:
    document = _valid("verify", *make(tmp_path))
    assert document["verdict"] == verdict
    assert document["candidates"][0]["verdict"] == verdict
    assert document["reasons"]


def test_verify_on_several_providers(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    document = _valid("verify", net, net, "--provider=cpu", "--provider=abacus")
    requested = [candidate["provider"]["requested"] for candidate in document["candidates"]]
    assert requested == ["cpu", "abacus"]


def test_a_failing_layer_is_named_and_described(tmp_path: Path) -> None:
    document = _valid("verify", *_failing(tmp_path))
    (candidate,) = document["candidates"]
    (layer,) = candidate["layers"]
    assert candidate["first_divergence"] == layer["name"] == "act"
    assert (layer["slopes_equal"], layer["verdict"]) == (False, "fail")
    assert layer["difference"].startswith(
        "act: 1 of 3 slopes differ, the largest difference at index 2: 1.25, expected 1.5"
    )
    (output,) = candidate["outputs"]
    assert output["verdict"] == "fail"
    assert output["max_abs_diff"] > 0
    assert output["n_mismatched"] > 0
