"""Ids, masks, roots and bytes, in whole exports and checks of torch modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import cli

import prelu_tools

pytestmark = pytest.mark.torch

_NETS = """
import torch
from torch import nn
from torch.nn import functional as F

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.dense, self.act, self.out = nn.Linear(6, 8), nn.PReLU(8), nn.Linear(8, 3)
        self.act.weight.data.uniform_(-0.2, 0.6)
    def head(self, x):
        return self.out(self.act(self.dense(x)))

class Words(Base):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(700, 6)
    def forward(self, ids):
        return self.head(self.table(ids).mean(1))
    def example_inputs(self):
        return torch.zeros(2, 5, dtype=torch.int64)

class Fields(Base):
    '''Fields of their own in one table, and a one-hot of the last.'''
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 6)
        self.register_buffer("first", torch.tensor([0, 10, 25]))
    def forward(self, ids):
        return self.head(self.table(ids + self.first).sum(1) + F.one_hot(ids[:, 2], 6))
    def example_inputs(self):
        return torch.zeros(1, 3, dtype=torch.int64)

class Speaker(Base):
    '''One row of slopes for each speaker, chosen by a number.'''
    def __init__(self):
        super().__init__()
        self.bank = nn.Parameter(torch.rand(4, 6))
    def forward(self, x, speaker):
        return self.head(F.prelu(x, self.bank[speaker[0]]))
    def example_inputs(self):
        return torch.zeros(1, 6), torch.tensor([1])

class Masked(Base):
    def forward(self, x, mask):
        far = (1.0 - mask.float()) * torch.finfo(torch.float32).min
        return self.head((torch.softmax(x.mean(-1) + far, -1)[..., None] * x).sum(1))
    def example_inputs(self):
        return torch.zeros(1, 4, 6), torch.ones(1, 4, dtype=torch.int64)

class Root(Base):
    def forward(self, x):
        return self.head(torch.sqrt(x))
    def example_inputs(self):
        return torch.zeros(1, 6)

class Odds(Base):
    def forward(self, x):
        return self.head(torch.log(x / (1 - x)))
    def example_inputs(self):
        return torch.zeros(1, 6)

class Scaled(Base):
    '''Rows of one value have no deviation.'''
    def forward(self, x):
        return self.head((x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True))
    def example_inputs(self):
        return torch.zeros(1, 6)

class Averaged(Base):
    '''Lengths of at least 1, of at most the steps.'''
    def forward(self, x, lengths):
        if int(lengths.min()) < 1:
            raise ValueError("a length of 0")
        steps = torch.arange(x.shape[1])[None] < lengths[:, None]
        return self.head((x * steps[..., None]).sum(1) / lengths[:, None])
    def example_inputs(self):
        return torch.zeros(1, 4, 6), torch.tensor([4])

class Far(Base):
    '''Takes nothing below 1000.'''
    def forward(self, x):
        return self.head(torch.sqrt(x - 1000) / 30)
    def example_inputs(self):
        return torch.zeros(1, 6)

class Picture(Base):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
    def forward(self, x):
        return self.head(self.conv(x.float() / 255).mean((2, 3)))
    def example_inputs(self):
        return torch.zeros(1, 2, 9, 9, dtype=torch.uint8)
"""


def _exported(nets: Path, name: str, *options: str) -> tuple[Path, dict[str, Any]]:
    target = nets.with_name(f"{name}.onnx")
    net = f"{nets}:{name}"
    found = cli("export", net, "-o", target, *options, "--force", "--format", "json")
    assert found.code == 0, found.err
    return target, found.json["verification"]


def _drawn(checked: dict[str, Any]) -> dict[str, tuple[float, float, str]]:
    return {one["name"]: (one["low"], one["high"], one["source"]) for one in checked["inputs"]}


def _zeroed(path: Path, name: str, rows: Any, target: Path) -> Path:
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = numpy_helper.to_array(tensor).copy()
            values[rows] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, name))
    onnx.save(model, target)
    return target


def test_every_word_of_a_vocabulary_is_compared(nets: Path, tmp_path: Path) -> None:
    right, checked = _exported(nets, "Words")
    assert _drawn(checked) == {"ids": (0, 699, "table")}
    wrong = _zeroed(right, "table.weight", [611], tmp_path / "wrong.onnx")
    for reference in (f"{nets}:Words", right):
        assert cli("verify", reference, wrong, "-q").code == 1
        assert cli("verify", reference, right, "-q").code == 0
    asked = cli("verify", f"{nets}:Words", wrong, "--input-range", "ids=0,599", "-q")
    assert asked.code == 0


@pytest.mark.parametrize(
    ("name", "domains"),
    [
        ("Fields", {"ids": (0, 29, "table")}),
        ("Speaker", {"x": (None, None, "usual"), "speaker": (0, 3, "table")}),
        ("Masked", {"x": (None, None, "usual"), "mask": (0, 1, "tried")}),
        ("Root", {"x": (0, 1, "tried")}),
        ("Odds", {"x": (0.05, 0.95, "tried")}),
        ("Scaled", {"x": (None, None, "usual")}),
        ("Picture", {"x": (0, 255, "type")}),
    ],
)
def test_nets_whose_inputs_have_a_domain_are_exported_and_proven(
    name: str, domains: dict[str, Any], nets: Path
) -> None:
    target, checked = _exported(nets, name)
    assert _drawn(checked) == domains
    again = cli("verify", target, target, "--format", "json")
    assert again.code == 0, again.json["reasons"]
    found = _drawn(again.json)
    assert {n: d[2] for n, d in found.items()} == {n: d[2] for n, d in domains.items()}


def test_columns_of_one_table_have_rows_of_their_own(nets: Path) -> None:
    _, checked = _exported(nets, "Fields")
    (ids,) = checked["inputs"]
    assert ids["domain"].startswith("0 to (29, 19, 4) along its last axis")


def test_bytes_above_127_are_compared(nets: Path, tmp_path: Path) -> None:
    right, _ = _exported(nets, "Picture")
    model = onnx.load(right)
    place, cast = next((i, n) for i, n in enumerate(model.graph.node) if n.op_type == "Cast")
    signed = helper.make_node("Cast", [cast.input[0]], ["signed"], to=onnx.TensorProto.INT8)
    cast.input[0] = "signed"
    model.graph.node.insert(place, signed)
    onnx.save(model, tmp_path / "wrong.onnx")
    assert cli("verify", f"{nets}:Picture", tmp_path / "wrong.onnx", "-q").code == 1


def test_lengths_of_no_steps_are_not_tried_twice(nets: Path) -> None:
    found = cli("export", f"{nets}:Averaged", "-o", nets.with_name("a.onnx"), "--force")
    assert "a length of 0" not in found.err


def test_ids_stay_within_their_table_while_a_model_is_optimized(nets: Path, tmp_path: Path) -> None:
    target, _ = _exported(nets, "Speaker")
    found = cli("optimize", target, "-o", tmp_path / "fast.onnx", "--no-tune")
    assert found.code == 0, found.err


def test_a_range_can_be_given_where_none_is_found(nets: Path, tmp_path: Path) -> None:
    net, target = f"{nets}:Far", tmp_path / "far.onnx"
    found = cli("export", net, "-o", target)
    assert found.code == 3
    assert "--input-range" in found.err
    assert cli("export", net, "-o", target, "--input-range", "x=1000,1900").code == 0
    target.unlink()
    result = prelu_tools.export(net, target, input_range={"x": (1000, 1900)})
    assert result.verification is not None
    assert result.verification.inputs[0].source == "asked"


def test_a_range_that_would_be_ignored_is_refused(nets: Path, tmp_path: Path) -> None:
    found = cli("export", f"{nets}:Root", "-o", tmp_path / "r.onnx", "--no-verify",
                "--input-range", "0,1")  # fmt: skip
    assert (found.code, "--no-verify" in found.err) == (2, True)


def test_what_was_learned_is_in_the_saved_inputs(nets: Path, tmp_path: Path) -> None:
    target, _ = _exported(nets, "Root")
    saved = tmp_path / "inputs.npz"
    assert cli("verify", f"{nets}:Root", target, "--save-inputs", saved, "-q").code == 0
    with np.load(saved) as archive:
        assert all(archive[name].min() >= 0 for name in archive.files)
    replayed = cli("verify", f"{nets}:Root", target, "--inputs", saved, "--format", "json")
    assert (replayed.code, replayed.json["inputs"]) == (0, [])
