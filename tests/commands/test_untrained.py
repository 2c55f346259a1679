"""Forgotten weights: slopes that are all where training starts are said to be, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from prelu_tools import export, inspect, verify
from prelu_tools.core.results.reasons import code_of

_TORCH = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, start=0.25, other=None):
        super().__init__()
        self.fc, self.a = nn.Linear(4, 3), nn.PReLU(3, init=start)
        self.b = nn.PReLU(init=start)
        if other is not None:
            with torch.no_grad():
                self.a.weight[1] = other

    def forward(self, x):
        return self.b(self.a(self.fc(x)))

    def example_inputs(self):
        return (torch.zeros(2, 4),)
"""
_KERAS = """
import keras


def build(start=None, moved=False):
    initial = keras.initializers.Constant(start) if start is not None else "zeros"
    x = keras.Input((4,))
    act = keras.layers.PReLU(alpha_initializer=initial, name="act")
    net = keras.Model(x, act(keras.layers.Dense(3)(x)))
    if moved:
        act.alpha.assign([0.1, 0.2, 0.3])
    return net
"""


def _notes(notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if code_of(note) == "slopes_initial"]


@pytest.mark.torch
def test_a_torch_module_without_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    (tmp_path / "forgotten.py").write_text(_TORCH)
    monkeypatch.chdir(tmp_path)
    made = export("forgotten.py:Net", "net.onnx")
    (note,) = _notes(made.notes)
    assert note == (
        "all 4 slopes of forgotten.py:Net have their initial value (0.25): did you forget the "
        "weights? Load them with forgotten.py:Net@WEIGHTS.pt"
    )
    found = verify("forgotten.py:Net", "net.onnx", power=False)
    assert found.verdict == "pass"
    assert _notes(found.notes) == [note]
    (other,) = _notes(export("forgotten.py:Net(0.1)", "b.onnx").notes)
    assert "(0.1): did you forget" in other
    assert "'forgotten.py:Net(0.1)@WEIGHTS.pt'" in other
    assert _notes(export("forgotten.py:Net(0.25,other=0.5)", "c.onnx").notes) == []

    from forgotten import Net

    net = Net()
    torch.save(net.state_dict(), "early.pt")
    (kept,) = _notes(export("forgotten.py:Net@early.pt", "d.onnx").notes)
    assert "the weights in early.pt were saved before training" in kept
    with torch.no_grad():
        net.a.weight += torch.tensor([0.0, 0.5, 0.0])
    torch.save(net.state_dict(), "trained.pt")
    assert _notes(export("forgotten.py:Net@trained.pt", "e.onnx").notes) == []
    # A value that others start from is none where the layer's own is known.
    assert _notes(export("forgotten.py:Net(0.1)@early.pt", "f.onnx").notes) == []
    assert "at_init" not in inspect("forgotten.py:Net(0.1)@early.pt").layers[0].health
    assert "at_init" in inspect("forgotten.py:Net(0.1)").layers[0].health


@pytest.mark.keras
def test_a_keras_model_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "forgotten_keras.py").write_text(_KERAS)
    monkeypatch.chdir(tmp_path)
    for call, value in (("build", "0"), ("build(0.3)", "0.3")):
        (note,) = _notes(export(f"forgotten_keras.py:{call}", "net.onnx", force=True).notes)
        assert f"all 3 slopes of forgotten_keras.py:{call} have their initial value" in note
        assert f"({value})" in note
        assert f"forgotten_keras.py:{call}@WEIGHTS.weights.h5" in note
    assert _notes(export("forgotten_keras.py:build(moved=True)", "b.onnx").notes) == []
