"""What is random, or only looks as if it were: `verify` and `export` on nets of each framework."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import cli
from text_nets import candidate, save, verify

ROWS = "float[batch,4] x"
OUT = "float[batch,4] y"
SLOPES = np.array([0.5, -0.25, 0.125, 2.0], np.float32)


def _plain(folder: Path) -> Path:
    return save(folder / "plain.onnx", "[act] y = PRelu(x, a)", ROWS, OUT, a=SLOPES)


def test_a_dropout_in_training_mode_fails_where_the_runtime_removes_it(tmp_path: Path) -> None:
    """The runtime takes it out, as it is not an output: nothing differs when it runs."""
    body = "[act] p = PRelu(x, a) [drop] d = Dropout(p, half, on) y = Abs(d)"
    constants = {"a": SLOPES, "half": np.float32(0.5), "on": np.array(True)}
    acting = save(tmp_path / "acting.onnx", body, ROWS, OUT, **constants)
    body = "[act] p = PRelu(x, a) y = Abs(p)"
    plain = save(tmp_path / "abs.onnx", body, ROWS, OUT, a=SLOPES)
    found = verify(plain, acting)
    assert found.code == 1
    (reason,) = candidate(found)["reasons"]
    assert reason.startswith("node 'drop' (Dropout) is in training mode")
    assert candidate(found)["reason_codes"] == ["dropout_in_training_mode"]
    assert [output["verdict"] for output in candidate(found)["outputs"]] == ["pass"]
    found = verify(acting, plain)
    assert (found.code, found.json["reason_codes"]) == (3, ["dropout_in_training_mode"])
    assert verify(acting, acting).code == 3


def test_noise_above_one_row_is_seen(tmp_path: Path) -> None:
    body = """[act] p = PRelu(x, a) s = Shape <start=0, end=1>(x) n = Squeeze(s)
        c = Greater(n, one) y = If (c) <
            then_branch = t () => (float[batch,4] ty) {
                [noise] r = RandomNormalLike <scale=1e-7>(p) ty = Add(p, r) },
            else_branch = e () => (float[batch,4] ey) { ey = Identity(p) }>"""
    noisy = save(tmp_path / "noisy.onnx", body, ROWS, OUT, a=SLOPES, one=np.array(1))
    assert verify(_plain(tmp_path), noisy, "--tolerance", "0,1e-12").code == 3
    found = verify(_plain(tmp_path), noisy, "--tolerance", "1e-3,1e-3")
    assert found.code == 3
    assert found.json["reason_codes"] == ["random_node", "random_outputs"]
    assert "node 'noise' (RandomNormalLike)" in found.json["reasons"][0]


def test_a_random_node_that_no_output_needs_is_none(tmp_path: Path) -> None:
    body = "[act] y = PRelu(x, a) r = RandomNormalLike(x) z = Dropout(x, half, on)"
    constants = {"a": SLOPES, "half": np.float32(0.5), "on": np.array(True)}
    idle = save(tmp_path / "idle.onnx", body, ROWS, OUT, **constants)
    assert verify(_plain(tmp_path), idle).code == 0


_NETS = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.how, self.act = how, nn.PReLU(8, init=0.3)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        layer = nn.TransformerEncoderLayer(8, 2, 12, activation=nn.PReLU(), batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        if self.how == "attention":
            x = self.attention(x, x, x, need_weights=False)[0]
        if self.how == "weights":
            x = self.attention(x, x, x)[0]
        if self.how == "encoder":
            x = self.encoder(x)
        if self.how == "scaled":
            x = F.scaled_dot_product_attention(x, x, x)
        x = self.act(x.transpose(1, 2)).transpose(1, 2)
        if self.how == "dropout":
            x = F.dropout(x)
        if self.how == "noise" and len(x) > 1:
            x = x + 1e-7 * torch.randn_like(x)
        return x

    def example_inputs(self):
        return (torch.randn(2, 5, 8),)
"""


@pytest.mark.torch
@pytest.mark.parametrize("how", ["attention", "weights", "encoder", "scaled"])
def test_attention_is_not_random(how: str, nets: Path, tmp_path: Path) -> None:
    """Torch has a kernel of its own for it, which it leaves where functions are observed."""
    written = tmp_path / "net.onnx"
    found = cli("export", f"{nets}:Net('{how}')", "-o", written)
    assert found.code == 0, found.words
    assert verify(f"{nets}:Net('{how}')", written).code == 0


@pytest.mark.torch
@pytest.mark.parametrize("how", ["dropout", "noise"])
def test_a_module_that_is_random_is_not_exported(how: str, nets: Path, tmp_path: Path) -> None:
    written = tmp_path / "net.onnx"
    found = cli("export", f"{nets}:Net('{how}')", "-o", written)
    assert found.code == 3
    assert "random" in found.words
    assert not written.exists()


_KERAS_NETS = """
import keras


class Noisy(keras.layers.Layer):
    def __init__(self, scale):
        super().__init__()
        self.seed_generator, self.scale = keras.random.SeedGenerator(1), scale

    def call(self, x):
        return x + self.scale * keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)


class Dropping(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dropout(0.5)

    def call(self, x):
        return self.inner(x, training=True)


def net(how):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,), name="x")
    y = keras.layers.PReLU(keras.initializers.Constant(0.5), name="act")(keras.layers.Dense(3)(x))
    if how != "plain":
        y = Noisy(1e-7)(y) if how == "noise" else Dropping()(y)
    return keras.Model(x, y)
"""


@pytest.mark.keras
def test_keras_models_that_are_random_prove_nothing(tmp_path: Path) -> None:
    nets = tmp_path / "keras_random_nets.py"
    nets.write_text(_KERAS_NETS)
    plain = tmp_path / "plain.onnx"
    assert cli("export", f"{nets}:net('plain')", "-o", plain).code == 0
    for how in ("noise", "dropout"):
        found = verify(f"{nets}:net('{how}')", plain, "--tolerance", "0,1e9")
        assert found.code == 3, how
        assert "random_outputs" in found.json["reason_codes"]
