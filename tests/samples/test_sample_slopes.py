"""The slopes in the exports are those of the live models, by the frameworks' own account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import cli
from sample_list import Sample, each_sample, sample

from prelu_tools.backends.source_spec import build_object, parse_source_spec

Exports = Callable[[Sample], Path]


def _initializers(path: Path) -> dict[str, Any]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def _live(one: Sample) -> Any:
    return build_object(parse_source_spec(one.source))


@each_sample(lambda one: one.framework == "torch")
def test_every_torch_slope_arrives_bit_by_bit(sample: Sample, exports: Exports) -> None:
    state = _live(sample).state_dict()
    tensors = _initializers(exports(sample))
    for name in sample.parameter_names.values():
        assert tensors[name].tobytes() == state[name].numpy().tobytes()


@each_sample(lambda one: one.framework == "keras" and "decayed" not in one.label)
def test_every_keras_slope_arrives_bit_by_bit(sample: Sample, exports: Exports) -> None:
    net = _live(sample)
    tensors = _initializers(exports(sample))
    for layer, name in sample.parameter_names.items():
        (alpha,) = net.get_layer(layer).get_weights()
        if alpha.ndim == 3:
            alpha = alpha.transpose(2, 0, 1)  # [H, W, C] to [C, H, W]
        assert tensors[name].shape == (alpha.shape or (1,))
        assert tensors[name].tobytes() == np.ascontiguousarray(alpha).tobytes()


@pytest.mark.keras
def test_weight_decay_leaves_trained_slopes(exports: Exports) -> None:
    tensors = _initializers(exports(sample("keras_where.py:decayed_net")))
    slopes = [float(tensors[f"prelu{number}/alpha"][0]) for number in (1, 2)]
    assert all(slope not in (0.0, 0.25) for slope in slopes)
    assert min(slopes) < 0


@pytest.mark.keras
def test_the_constraint_holds_and_its_absence_shows(exports: Exports) -> None:
    lowest = {}
    for option in ("constraint=True", "regularizer=0.001"):
        path = exports(sample(f"keras_digits.py:convnet({option})"))
        layers = cli("inspect", path, "--format", "json").json["layers"]
        lowest[option] = min(layer["statistics"]["min"] for layer in layers)
    assert lowest["constraint=True"] == 0
    assert lowest["regularizer=0.001"] < -1


@each_sample(lambda one: one.framework == "keras" and bool(one.layers))
def test_sharing_is_told_in_the_terms_of_the_paper(sample: Sample, exports: Exports) -> None:
    layers = cli("inspect", exports(sample), "--format", "json").json["layers"]
    for layer in layers:
        count, shape = layer["statistics"]["count"], layer["slope_shape"]
        if count == 1:
            assert (layer["sharing"], layer["channel_axis"]) == ("channel-shared", None)
        elif len(shape) == 3 and shape[1] > 1:
            assert (layer["sharing"], layer["channel_axis"]) == ("element-wise", None)
        else:
            assert (layer["sharing"], layer["channel_axis"]) == ("channel-wise", 1)


@pytest.mark.keras
def test_an_instance_used_twice_is_one_layer_with_two_nodes(exports: Exports) -> None:
    shared = sample("keras_where.py:shared_instance_net")
    for source in (shared.source, exports(shared)):
        (layer,) = cli("inspect", source, "--format", "json").json["layers"]
        assert (layer["name"], layer["nodes"]) == ("act", ["act", "act_1"])
        codes = {finding["code"] for finding in layer["findings"]}
        assert "same_values" not in codes  # the file proves that they are one instance
        assert "act (x2)" in cli("inspect", source).out
