"""What stays the same for all inputs is said; where it depends on them, it is not proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_layers import layer_of
from running import cli
from text_nets import candidate, npz, save, verify

from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.reference.constant import (
    constant_outputs,
    of_inputs,
    of_outputs,
    of_slopes,
)
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.results.reasons import code_of
from prelu_tools.graph.facts.dependence import Dependence

ROWS = Rows({"x": 0}, frozenset({"batch"}))
SLOPES = np.array([0.5, -0.25, 0.125, 2.0], np.float32)
X = "float[batch,4] x"


def _runs(*outputs: Any) -> dict[str, bool]:
    results = [{"y": np.asarray(values)} for values in outputs]
    feeds = [
        {"x": np.arange(len(y["y"]) if y["y"].ndim else 2.0)[:, None] + run}
        for run, y in enumerate(results)
    ]
    return constant_outputs(feeds, results, ROWS)


def test_outputs_that_never_move() -> None:
    one = np.ones((3, 2), np.float32)
    assert _runs(one) == {"y": True}
    assert _runs(one, one[:1], one[:2]) == {"y": True}
    assert _runs(one[:1]) == {}
    assert _runs(one, 2 * one[:1]) == {}
    assert _runs(np.array([[1.0, 2.0], [1.0, 3.0]])) == {}
    assert _runs(one * np.nan) == {"y": True}
    assert _runs(np.array(1), np.array(1)) == {"y": False}
    assert _runs(np.array(1.0), np.array(2.0)) == {}
    assert _runs(np.ones((2, 3)), np.ones((2, 4))) == {"y": True}
    assert _runs(np.zeros((3, 0))) == {}


def test_outputs_of_other_sizes_are_not_compared() -> None:
    feeds = [{"x": np.zeros((1, 1))}, {"x": np.zeros((1, 1))}]
    results = [{"y": np.zeros((1, 2))}, {"y": np.zeros((1, 3))}]
    assert constant_outputs(feeds, results, ROWS) == {}


def test_outputs_of_equal_inputs_need_not_move(tmp_path: Path) -> None:
    feeds = [{"x": np.ones((3, 2))}, {"x": np.ones((1, 2))}]
    assert constant_outputs(feeds, [{"y": feed["x"]} for feed in feeds], ROWS) == {}
    ones = npz(tmp_path / "ones.npz", x=-np.ones((2, 4), np.float32))
    net = _net(tmp_path / "a.onnx", "", "float[batch,4] p")
    found = verify(net, net, "--inputs", ones)
    assert (found.code, found.json["note_codes"].count("input_one_value")) == (0, 1)


def test_inputs_of_one_value() -> None:
    two = np.array([[2.0, 2.0]])
    assert [code_of(note) for note in of_inputs([{"x": two}, {"x": two[:1]}])] == [
        "input_one_value"
    ]
    assert of_inputs([{"x": two}, {"x": two + 1}]) == []
    assert of_inputs([{"x": np.zeros((2, 0))}]) == []
    assert of_inputs([{}]) == []


def _net(path: Path, tail: str, outputs: str, **constants: Any) -> Path:
    body = f"[act] p = PRelu(x, a) {tail}"
    return save(path, body, X, outputs, a=SLOPES, **constants)


TWO = "float[batch,4] p, float[batch,4] z"


@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_an_output_that_saturates_proves_nothing(scale: float, tmp_path: Path) -> None:
    """It is 0 for all inputs, whatever its scale is."""
    tail = "t = Tanh(p) u = Add(t, low) v = Relu(u) z = Mul(v, scale)"
    right = _net(tmp_path / "a.onnx", tail, TWO, low=-5.0, scale=1.0)
    other = _net(tmp_path / "b.onnx", tail, TWO, low=-5.0, scale=scale)
    found = verify(right, other)
    assert found.code == 3
    assert candidate(found)["reason_codes"] == ["output_constant"]
    assert (
        found.json["reasons"][0]
        .split(": ")[1]
        .startswith("output 'z' had the same value for all inputs")
    )
    assert found.json["power"]["planted"] > 0


def test_a_constant_output_is_proven(tmp_path: Path) -> None:
    tail = "z = Identity(anchors)"
    outputs = "float[batch,4] p, float[2,2] z"
    anchors = np.array([[1, 2], [3, 4]], np.float32)
    right = _net(tmp_path / "a.onnx", tail, outputs, anchors=anchors)
    found = verify(right, right)
    assert (found.code, found.json["note_codes"].count("output_is_constant")) == (0, 1)
    other = _net(tmp_path / "b.onnx", tail, outputs, anchors=anchors + 1)
    assert verify(right, other).code == 1


def test_an_output_of_the_sizes_alone_is_proven(tmp_path: Path) -> None:
    tail = "s = Shape <start=1>(p) z = Cast <to=1>(s)"
    right = _net(tmp_path / "a.onnx", tail, "float[batch,4] p, float[1] z")
    assert verify(right, right).code == 0


def test_an_index_beside_scores_that_move_is_a_note(tmp_path: Path) -> None:
    tail = "b = Add(p, high) z = ArgMax <axis=1>(b)"
    high = np.array([0, 0, 0, 1e6], np.float32)
    outputs = "float[batch,4] p, int64[batch,1] z"
    right = _net(tmp_path / "a.onnx", tail, outputs, high=high)
    found = verify(right, right)
    assert (found.code, found.json["note_codes"].count("output_constant")) == (0, 1)
    alone = _net(tmp_path / "b.onnx", tail, "int64[batch,1] z", high=high)
    assert verify(alone, alone).code == 3


def test_slopes_that_met_nothing_negative_are_told(tmp_path: Path) -> None:
    right = _net(tmp_path / "a.onnx", "y = Abs(p)", "float[batch,4] y")
    low = npz(tmp_path / "low.npz", x=np.array([[1, 2, 3, 4], [4, 3, 2, 1]], np.float32))
    found = verify(right, right, "--inputs", low)
    assert (found.code, found.json["note_codes"].count("no_negative_input")) == (0, 1)
    assert "no_negative_input" not in verify(right, right).json["note_codes"]


_NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.PReLU(4), nn.PReLU(4)
        self.functional, self.twice = nn.PReLU(4), self.used

    def forward(self, x):
        return torch.nn.functional.prelu(self.used(x), self.functional.weight)

    def example_inputs(self):
        return (torch.zeros(2, 4),)
"""


@pytest.mark.torch
def test_a_prelu_of_torch_that_is_never_called_is_named(tmp_path: Path) -> None:
    nets = tmp_path / "idle_nets.py"
    nets.write_text(_NET)
    written = tmp_path / "net.onnx"
    exported = cli("export", f"{nets}:Net", "-o", written, "--format", "json")
    inspected = cli("inspect", f"{nets}:Net", "--format", "json")
    for found in (exported, verify(f"{nets}:Net", written), inspected):
        assert found.code == 0, found.words
        said = [note for note in found.json["notes"] if "was not called" in note]
        assert [note.split(" was ")[0] for note in said] == ["PReLU idle"]


_KERAS_NET = """
import keras


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.fc, self.used = keras.layers.Dense(3), keras.layers.PReLU(name="used")
        self.idle = keras.layers.PReLU(name="idle")

    def call(self, x):
        return self.used(self.fc(x))


def net():
    made = Net()
    made.build((None, 4))
    return made
"""


@pytest.mark.keras
def test_a_prelu_of_keras_that_is_never_called_is_named(tmp_path: Path) -> None:
    nets = tmp_path / "idle_keras_nets.py"
    nets.write_text(_KERAS_NET)
    found = cli("inspect", f"{nets}:net", "--input", "x:batch,4", "--format", "json")
    assert found.code == 0, found.words
    said = [note for note in found.json["notes"] if "was not called" in note]
    assert [note.split(" was ")[0] for note in said] == ["PReLU idle"]


# In words


class _Graph:
    def __init__(self, **depends: Dependence) -> None:
        self.depends = depends

    def dependence(self, output: str) -> Dependence | None:
        return self.depends.get(output)


UNSEEN = (
    "output 'y' had the same value for all inputs, although the model computes it from them, so "
    "it could hide a difference; use inputs that change it (--inputs or --input-range)"
)
APART = "output 'y' does not depend on the inputs' values"
SAME = "output 'y' is the same for all inputs"
VALUES, SIZES = Dependence.VALUES, Dependence.SIZES


@pytest.mark.parametrize(
    ("unmoved", "mine", "theirs", "doubts", "notes"),
    [
        ({}, {"y": VALUES}, {"v": VALUES}, [], []),
        ({"y": True}, {"y": VALUES}, {}, [UNSEEN], []),
        ({"y": True}, {}, {"v": VALUES}, [UNSEEN], []),
        ({"y": True}, {"y": SIZES}, {"v": SIZES, "y": VALUES}, [], [APART]),
        ({"y": True}, {}, {}, [], [APART]),
        ({"y": False}, {"y": VALUES}, {}, [], [SAME]),
        ({"y": False, "z": True}, {"y": VALUES}, {}, [UNSEEN], ["output 'z'" + APART[10:]]),
    ],
)
def test_what_is_said_of_an_output_that_did_not_move(
    unmoved: dict[str, bool], mine: dict[str, Dependence], theirs: dict[str, Dependence],
    doubts: list[str], notes: list[str],
) -> None:  # fmt: skip
    pairs = (pair for pair in [("y", "v"), ("z", "w")])
    sources: Any = _Graph(**mine), _Graph(**theirs)
    found = of_outputs(unmoved, pairs, *sources)
    assert found == (dict.fromkeys(["v"] * len(doubts), *doubts), notes)
    codes = {UNSEEN: "output_constant", SAME: "output_constant"}
    for said in (*found[0].values(), *found[1]):
        assert code_of(said) == codes.get(str(said), "output_is_constant")


def test_inputs_of_one_value_are_named_with_it() -> None:
    feeds = [{"x": np.full((2, 2), 1.5), "z": np.zeros((0, 2))}, {"x": np.full((1, 2), 1.5),
             "z": np.array([[4]])}]  # fmt: skip
    assert of_inputs(feeds) == [
        "input 'x' had only one value, 1.5", "input 'z' had only one value, 4"
    ]  # fmt: skip
    assert of_inputs([]) == []


def test_slopes_that_met_no_negative_input() -> None:
    layer = layer_of(SLOPES.reshape(1, 4), (None, 4), "a")
    book = CoverageBook([layer])
    (note,) = of_slopes(book)
    assert code_of(note) == "no_negative_input"
    assert note == (
        "no negative value reached any slope, so slopes were compared only by value, not by what "
        "the layers compute; try other inputs (--inputs or --input-range)"
    )
    book.note("a", np.array([[1.0, -1.0, 1.0, 1.0]]))
    assert of_slopes(book) == []
    assert of_slopes(CoverageBook([])) == []


def test_an_output_is_compared_by_its_rows_and_else_as_a_whole() -> None:
    feeds = [{"x": np.zeros((2, 1))}, {"x": np.ones((2, 1))}]
    halves = [{"y": np.array([[1.0], [2.0]])}] * 2  # each row differs, and both runs are the same
    assert constant_outputs(feeds, halves, ROWS) == {}
    whole = [{"y": np.array([1.0, 2.0, 3.0])}] * 2  # it has no rows
    assert constant_outputs(feeds, whole, ROWS) == {"y": True}
    mixed = [{"y": np.array([1.0, 2.0, 3.0]), "z": np.array([0.0, run])} for run in (1.0, 2.0)]
    assert constant_outputs(feeds, mixed, ROWS) == {"y": True}
