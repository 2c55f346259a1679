"""`inspect` shows what people would compute by hand from the modules themselves."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli
from sample_list import FOLDER, Sample, each_sample, sample
from tiny_models import save_prelu

from prelu_tools.backends.source_spec import build_object, import_named, parse_source_spec

Exports = Callable[[Sample], Path]
_LINE = re.compile(r"^(\S+): mean=(\S+) std=(\S+) min=(\S+) max=(\S+)$", re.MULTILINE)


def _layers(source: object, *more: str) -> dict[str, Any]:
    layers = cli("inspect", source, "--format", "json", *more).json["layers"]
    return {layer["name"]: layer for layer in layers}


def _usual_loop(module: Any) -> dict[str, list[str]]:
    script = import_named(str(FOLDER / "torch_layers.py"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        script.usual_loop(module)
    return {name: numbers for name, *numbers in _LINE.findall(out.getvalue())}


@each_sample(lambda one: one.framework == "torch" and "OneSlope" not in one.label)
def test_the_usual_loop_is_reproduced(sample: Sample, exports: Exports) -> None:
    usual = _usual_loop(build_object(parse_source_spec(sample.source)))
    assert len(usual) == len(sample.layers)
    for path in (sample.source, exports(sample)):
        found = {}
        for name, layer in _layers(path).items():
            numbers = [layer["statistics"][field] for field in ("mean", "std", "min", "max")]
            found[name] = ["nan" if number is None else f"{number:.4f}" for number in numbers]
        assert found == usual


@each_sample(lambda one: one.label in ("torch_layers.py:Mlp", "keras_digits.py:convnet"))
def test_statistics_are_over_every_slope(sample: Sample, exports: Exports) -> None:
    for layer in _layers(exports(sample), "--slopes").values():
        values = np.array(layer["slopes"])
        statistics = layer["statistics"]
        assert values.size == statistics["count"]
        assert statistics["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert statistics["std"] == pytest.approx(values.std(ddof=1), rel=1e-12)
        assert statistics["median"] == pytest.approx(np.median(values), rel=1e-12)
        assert (statistics["min"], statistics["max"]) == (values.min(), values.max())
        assert statistics["n_negative"] == (values < 0).sum()
        assert statistics["n_above_one"] == (values > 1).sum()
        assert statistics["n_near_zero"] == (abs(values) <= 0.01).sum()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("label", "layer", "percent"),
    [
        ("torch_layers.py:Mlp", "prelu1", 100 * 256 / (784 * 256 + 256)),
        ("torch_layers.py:PerChannel", "prelu2", 100 * 128 / (64 * 128 * 9 + 128)),
    ],
)
def test_the_overhead_is_that_of_the_layer_before(
    label: str, layer: str, percent: float, exports: Exports
) -> None:
    assert f"{percent:.2f}" in ("0.13", "0.17")
    one = sample(label)
    for path in (one.source, exports(one)):
        assert _layers(path)[layer]["overhead_percent"] == pytest.approx(percent, rel=1e-12)


@pytest.mark.keras
def test_the_overhead_in_keras_counts_weights_and_biases(exports: Exports) -> None:
    one = sample("keras_digits.py:convnet(shared_axes=(1, 2))")
    expected = {
        "prelu1": 100 * 32 / (9 * 32 + 32),
        "prelu2": 100 * 64 / (9 * 32 * 64 + 64),
        "prelu3": 100 * 256 / (7 * 7 * 64 * 256 + 256),
    }
    for path in (one.source, exports(one)):
        found = {name: layer["overhead_percent"] for name, layer in _layers(path).items()}
        assert found == pytest.approx(expected, rel=1e-12)


def test_a_layer_without_a_layer_before_has_no_overhead(tmp_path: Path) -> None:
    (layer,) = _layers(save_prelu(tmp_path / "net.onnx")).values()
    assert layer["overhead_percent"] is None
