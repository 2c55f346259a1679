"""The reference in float64: what it calibrates, where it is not available, and what is random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import Outcome, cli
from sample_list import sample
from tampering import changed, scale_weight
from text_nets import candidate, save, verdicts, verify

_TORCH = """
import torch
from torch.nn import functional


class Net(torch.nn.Module):
    def __init__(self, kind=""):
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.fc = torch.nn.Linear(4, 6)
        self.act = torch.nn.PReLU(6)
        torch.nn.init.normal_(self.act.weight)
        self.norm = torch.nn.BatchNorm1d(6, track_running_stats=kind != "statistics")

    def forward(self, x):
        h = self.fc(x)
        if self.kind == "single":
            h = h.float()
        if self.kind == "mixing":
            h = h + torch.ones(6, dtype=torch.float32) @ torch.eye(6, dtype=torch.float32)
            h = functional.linear(h.float(), torch.eye(6))
        if self.kind == "other" and x.dtype == torch.float64:
            h = h * 1.5
        if self.kind == "dropout":
            h = functional.dropout(h, 0.5, training=True)
        y = self.act(h)
        return self.norm(torch.stack([y, 2 * y], 2)) if self.kind == "statistics" else y

    def example_inputs(self):
        return (torch.zeros(2, 4),)
"""
_KERAS = """
import keras


def net(kind=""):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,), name="x")
    h = keras.layers.Dense(6)(x)
    h = keras.layers.PReLU(keras.initializers.RandomNormal(), name="act")(h)
    return keras.Model(x, keras.layers.Dense(3)(h))
"""


@pytest.fixture
def torch_nets(tmp_path: Path) -> Path:
    path = tmp_path / "wide_nets_torch.py"
    path.write_text(_TORCH)
    return path


@pytest.fixture
def keras_nets(tmp_path: Path) -> Path:
    path = tmp_path / "wide_nets_keras.py"
    path.write_text(_KERAS)
    return path


def _exported(source: str, folder: Path) -> Path:
    target = folder / "net.onnx"
    found = cli("export", source, "-o", target, "-q", "--no-verify")
    assert found.code == 0, found.err
    return target


def _add(amount: float) -> Any:
    """A change that adds a number to the first output."""

    def change(model: onnx.ModelProto) -> None:
        result = model.graph.output[0].name
        for node in model.graph.node:
            node.output[:] = [f"{name}/before" if name == result else name for name in node.output]
        model.graph.initializer.append(
            numpy_helper.from_array(np.array([amount], np.float32), "amount")
        )
        model.graph.node.append(
            onnx.helper.make_node("Add", [f"{result}/before", "amount"], [result], name="spoilt")
        )

    return change


def _check_calibrated(source: str, tmp_path: Path) -> None:
    net = _exported(source, tmp_path)
    found = verify(source, net)
    assert found.code == 0, found.json["reasons"]
    assert found.json["reference_precision"] == "float64"
    report = candidate(found)
    assert report["tolerance"]["origin"] == "sensitivity"
    (output,) = report["outputs"]
    assert 0 <= output["max_abs_diff"] < 2e-3
    assert output["limit"] < 2e-3
    assert 0 <= output["of_rounding"] < 50
    assert 0 <= output["worst_of_rounding"] < 10
    assert (output["n_values"] > 0, output["n_border"]) == (True, 0)
    assert all(layer["limit"] for layer in report["layers"])
    # a little more than the limit fails; the default of the type would have taken it
    wrong = changed(net, tmp_path / "wrong.onnx", _add(2 * output["limit"]))
    spoilt = verify(source, wrong)
    assert spoilt.code == 1
    assert [o["verdict"] for o in candidate(spoilt)["outputs"]] == ["fail"]
    right = changed(net, tmp_path / "right.onnx", _add(0.0))
    assert verify(source, right).code == 0


@pytest.mark.torch
def test_torch_runs_in_float64(torch_nets: Path, tmp_path: Path) -> None:
    _check_calibrated(f"{torch_nets}:Net", tmp_path)


@pytest.mark.keras
def test_keras_runs_in_float64(keras_nets: Path, tmp_path: Path) -> None:
    _check_calibrated(f"{keras_nets}:net", tmp_path)


@pytest.mark.parametrize("net", [
    pytest.param("torch_layers.py:BlockNet", marks=pytest.mark.torch),
    pytest.param("keras_where.py:sequential_net", marks=pytest.mark.keras),
])  # fmt: skip
def test_real_nets_and_weights_that_are_off_by_a_little(net: str, tmp_path: Path) -> None:
    source = sample(net).source
    right = _exported(source, tmp_path)
    assert verify(source, right).json["reference_precision"] == "float64"
    wrong = changed(right, tmp_path / "wrong.onnx", scale_weight(1, 1 + 1e-4))
    assert verify(source, wrong).code == 1


def _fell_back(found: Outcome) -> bool:
    """Whether the float32 run is what is compared, with limits from the moved runs."""
    return (
        found.json["reference_precision"] == "float32"
        and candidate(found)["tolerance"]["origin"] == "sensitivity"
    )


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["single", "mixing"])
def test_a_module_that_makes_float32_of_it_is_named_or_falls_back(
    kind: str, torch_nets: Path
) -> None:
    source = f"{torch_nets}:Net('{kind}')"
    found = verify(source, source)
    assert found.code == 0, found.json["reasons"]
    named = any("even in the float64 run" in note for note in found.json["notes"])
    assert _fell_back(found) or named


@pytest.mark.torch
def test_another_function_in_float64_is_not_used(torch_nets: Path) -> None:
    source = f"{torch_nets}:Net('other')"
    found = verify(source, source)
    assert found.code == 0, found.json["reasons"]
    assert _fell_back(found)
    assert any("differ in float64" in note for note in found.json["notes"])


def test_an_onnx_reference_has_no_float64_and_needs_none(tmp_path: Path) -> None:
    net = save(tmp_path / "n.onnx", "y = PRelu(x, a)", a=np.array([0.3], np.float32))
    found = verify(net, net)
    assert found.code == 0
    assert _fell_back(found)
    given = verify(net, net, "--tolerance", "0,0")
    assert given.json["notes"] == []  # float64 was not wanted


@pytest.mark.torch
def test_a_tolerance_that_is_given_wants_no_float64(torch_nets: Path) -> None:
    source = f"{torch_nets}:Net"
    found = verify(source, source, "--tolerance", "0,1e-6")
    assert (found.code, found.json["reference_precision"]) == (0, "float32")


_CHANGING = """
import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("float64_tests")
class Changing(keras.layers.Layer):
    def call(self, x):
        return x if tf.executing_eagerly() else x + 1.0


def net():
    keras.utils.set_random_seed(0)
    x = keras.Input((4,), name="x")
    h = keras.layers.PReLU(keras.initializers.Constant(0.5), name="act")(keras.layers.Dense(3)(x))
    return keras.Model(x, Changing()(h))
"""


@pytest.mark.keras
def test_a_layer_that_computes_something_else_when_traced_fails(tmp_path: Path) -> None:
    nets = tmp_path / "changing_nets.py"
    nets.write_text(_CHANGING)
    traced = _exported(f"{nets}:net", tmp_path)
    found = verify(f"{nets}:net", traced)
    assert found.code == 1
    (output,) = candidate(found)["outputs"]
    assert output["verdict"] == "fail"
    assert output["max_abs_diff"] == pytest.approx(1.0, abs=1e-4)
    assert verdicts(found) == {"act": "pass"}
    assert found.json["reference_precision"] == "float32"


# What is random, or depends on the batch


@pytest.mark.torch
def test_a_dropout_that_acts_proves_nothing(torch_nets: Path, tmp_path: Path) -> None:
    source = f"{torch_nets}:Net('dropout')"
    plain = _exported(f"{torch_nets}:Net", tmp_path)
    found = verify(source, plain, "--tolerance", "0,1e9", "--no-layers")
    assert found.code == 3
    assert any("random" in reason for reason in found.json["reasons"])
    assert any(
        reason.startswith("the reference gives different") for reason in found.json["reasons"]
    )


@pytest.mark.torch
def test_a_candidate_with_a_dropout_that_acts_proves_nothing(torch_nets: Path) -> None:
    found = verify(
        f"{torch_nets}:Net", f"{torch_nets}:Net('dropout')", "--tolerance=0,1e9", "--no-layers"
    )
    assert found.code == 3
    report = candidate(found)
    assert report["verdict"] == "inconclusive"
    assert any("random" in reason for reason in report["reasons"])


def test_an_onnx_dropout_in_training_mode_is_another_model(tmp_path: Path) -> None:
    slopes = np.array([0.3, 0.2, 0.1], np.float32).reshape(3, 1, 1)
    plain = save(tmp_path / "plain.onnx", "y = PRelu(x, a)", a=slopes)
    acting = save(
        tmp_path / "acting.onnx", "t = PRelu(x, a) y = Dropout(t, ratio, mode)", a=slopes,
        ratio=0.5, mode=np.array(True),
    )  # fmt: skip
    found = verify(plain, acting, "--tolerance", "0,1e9")
    assert found.code == 1
    assert "dropout_in_training_mode" in found.json["reason_codes"]
    assert any("Dropout" in reason for reason in found.json["reasons"])
    assert any("random" in reason for reason in found.json["reasons"])
    assert found.json["power"] is None


@pytest.mark.torch
def test_batch_statistics_are_noted(torch_nets: Path) -> None:
    source = f"{torch_nets}:Net('statistics')"
    found = verify(source, source)
    assert any("BatchNorm" in note for note in found.json["notes"]), found.words
    plain = verify(f"{torch_nets}:Net", f"{torch_nets}:Net")
    assert not any("BatchNorm" in note for note in plain.json["notes"])


def test_a_batch_norm_in_training_mode_is_noted(tmp_path: Path) -> None:
    ones = np.ones(3, np.float32)
    body = (
        "t = PRelu(x, a) "
        "y, m2, v2 = BatchNormalization<training_mode = 1>(t, scale, shift, mean, var)"
    )
    constants = {"scale": ones, "shift": ones, "mean": ones, "var": ones}
    net = save(tmp_path / "n.onnx", body, a=ones.reshape(3, 1, 1) / 4, **constants)
    found = verify(net, net)
    assert any("BatchNormalization" in n and "training mode" in n for n in found.json["notes"])
