"""Free sizes, the axis of the batch, and inputs without one, in whole checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import cli

pytestmark = pytest.mark.torch

_NETS = """
import torch
from torch import nn
from torch.nn import functional as F

def seeded(cls, *args):
    torch.manual_seed(3)
    net = cls(*args)
    for module in net.modules():
        if isinstance(module, nn.PReLU):
            module.weight.data.uniform_(-0.2, 0.6)
    return net

class Rounded(nn.Module):
    '''Averages over blocks; the rest of an odd map is kept, or not.'''
    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(2, 5, 3, padding=1), nn.PReLU(5)
        self.pool = nn.AvgPool2d(2, 2, ceil_mode=True)
    def forward(self, x):
        return self.pool(self.act(self.conv(x)))

class Padded(Rounded):
    '''Pads what is odd, by a branch in Python.'''
    def forward(self, x):
        if x.shape[-1] % 2:
            x = F.pad(x, (0, 1))
        return F.max_pool2d(self.act(self.conv(x)), 2).amax((2, 3))

class Switched(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.act = nn.Linear(7, 6), nn.PReLU(6)
    def forward(self, x, flag, level):
        y = self.act(self.dense(x))
        return torch.where(flag, y.flip(1), y) * level
    def example_inputs(self):
        return torch.zeros(2, 7), torch.tensor(True), torch.tensor(1.0)

class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.act = nn.GRU(5, 9, 2, batch_first=True), nn.PReLU()
    def forward(self, x, state):
        y, state = self.cells(x, state)
        return self.act(y), state
    def example_inputs(self):
        return torch.zeros(3, 4, 5), torch.zeros(2, 3, 9)

class OneLayer(Stateful):
    '''Its examples have one row and one layer: the axes cannot be told apart.'''
    def __init__(self):
        super().__init__()
        self.cells = nn.GRU(5, 9, 1, batch_first=True)
    def example_inputs(self):
        return torch.zeros(1, 4, 5), torch.zeros(1, 1, 9)

class Graph(nn.Module):
    '''A graph of nodes; the edges are no rows.'''
    def __init__(self):
        super().__init__()
        self.dense, self.act = nn.Linear(6, 5), nn.PReLU(5)
    def forward(self, nodes, weights):
        return self.act(self.dense(nodes)) * weights.sum()
    def example_inputs(self):
        return torch.zeros(8, 6), torch.zeros(3)

def rounded(): return seeded(Rounded)
def padded(): return seeded(Padded)
def switched(): return seeded(Switched)
def stateful(): return seeded(Stateful)
def one_layer(): return seeded(OneLayer)
def graph(): return seeded(Graph)
"""
FREE = ("--input", "x:batch,2,h,w")


def _exported(nets: Path, name: str, *options: str) -> Path:
    path = nets.with_name(f"{name}.onnx")
    if not path.exists():
        found = cli("export", f"{nets}:{name}", "-o", path, *options)
        assert found.code == 0, found.err
    return path


def _changed(path: Path, target: Path, change: Any) -> Path:
    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, target)
    return target


def test_a_wrong_rounding_of_odd_sizes_is_seen_and_the_sizes_are_named(
    nets: Path, tmp_path: Path
) -> None:
    right = _exported(nets, "rounded", *FREE)

    def cut(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name == "ceil_mode":
                    attribute.i = 0

    wrong = _changed(right, tmp_path / "wrong.onnx", cut)
    found = cli("verify", f"{nets}:rounded", wrong, *FREE, "--format", "json")
    assert found.code == 1
    assert "differs_at_sizes" in found.json["reason_codes"]
    honest = cli("verify", f"{nets}:rounded", right, *FREE, "--format", "json")
    assert honest.code == 0, honest.json["reasons"]
    assert {s["h"] % 2 for s in honest.json["sizes"]["tried"]} == {0, 1}


def test_wrong_slopes_are_no_fault_of_sizes(nets: Path, tmp_path: Path) -> None:
    right = _exported(nets, "rounded", *FREE)

    def negate(graph: onnx.GraphProto) -> None:
        slope = next(node.input[1] for node in graph.node if node.op_type == "PRelu")
        (tensor,) = (t for t in graph.initializer if t.name == slope)
        tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), slope))

    wrong = _changed(right, tmp_path / "negated.onnx", negate)
    found = cli("verify", f"{nets}:rounded", wrong, *FREE, "--format", "json")
    assert found.code == 1
    assert "differs_at_sizes" not in found.json["reason_codes"]


def test_an_export_that_forgets_what_odd_sizes_need_is_refused(nets: Path, tmp_path: Path) -> None:
    found = cli("export", f"{nets}:padded", "-o", tmp_path / "p.onnx", *FREE)
    assert found.code == 1
    assert "it differs for x of shape " in found.err
    assert not (tmp_path / "p.onnx").exists()


def test_a_candidate_that_refuses_a_size_that_it_declares_fails(nets: Path, tmp_path: Path) -> None:
    right = _exported(nets, "rounded", *FREE)

    def pin(graph: onnx.GraphProto) -> None:
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 5, 24, 24]), "pinned"))
        last = graph.node[-1]
        last.output[0] = "loose"
        graph.node.append(helper.make_node("Reshape", ["loose", "pinned"], [graph.output[0].name]))

    wrong = _changed(right, tmp_path / "wrong.onnx", pin)
    found = cli("verify", f"{nets}:rounded", wrong, *FREE, "--format", "json")
    assert found.code == 1
    assert found.json["reason_codes"] == ["candidate_refuses_input"]
    assert "all of which the reference accepts; the first is x of shape 3x2x64x80" in str(
        found.json["reasons"]
    )


@pytest.mark.parametrize(("name", "value"), [("flag", np.array(True)), ("level", np.float32(1))])
def test_a_single_number_that_was_baked_is_seen(
    name: str, value: Any, nets: Path, tmp_path: Path
) -> None:
    right = _exported(nets, "switched")

    def bake(graph: onnx.GraphProto) -> None:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), "baked"))
        for node in graph.node:
            node.input[:] = ["baked" if given == name else given for given in node.input]

    wrong = _changed(right, tmp_path / "wrong.onnx", bake)
    assert cli("verify", f"{nets}:switched", wrong, "-q").code == 1
    assert cli("verify", f"{nets}:switched", right, "-q").code == 0


@pytest.mark.parametrize("name", ["stateful", "one_layer"])
def test_states_have_their_rows_on_the_second_axis(name: str, nets: Path) -> None:
    net, target = f"{nets}:{name}", nets.with_name(f"{name}.onnx")
    assert cli("export", net, "-o", target).code == 0
    sizes = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
             for value in onnx.load(target).graph.input]  # fmt: skip
    layers = 2 if name == "stateful" else 1
    assert sizes == [["batch", 4, 5], [layers, "batch", 9]]
    for reference in (net, target):
        found = cli("verify", reference, target, "--format", "json")
        assert (found.code, found.json["samples"]) == (0, 16), found.json["reasons"]


def test_an_input_without_rows_is_given_whole(nets: Path) -> None:
    target = _exported(nets, "graph")
    found = cli("verify", f"{nets}:graph", target, "--format", "json")
    assert (found.code, found.json["samples"]) == (0, 16), found.json["reasons"]
