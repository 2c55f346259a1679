"""Slopes that an exporter would fold, merge or round arrive as they are."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from exporting import check_echo, check_same_bytes, check_slopes, exported, slopes_in
from running import cli

pytestmark = pytest.mark.torch

_NETS = """
import torch
from torch import nn

SLOPES = ([0.0, 0.0], [1.0, 1.0], [-0.0, 1e-42], [0.25], [0.25], [3.4e38, -1.0])


def prelu(slopes):
    module = nn.PReLU(len(slopes))
    with torch.no_grad():
        module.weight.copy_(torch.tensor(slopes))
    return module


class Special(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.acts = nn.ModuleList(prelu(slopes) for slopes in SLOPES)
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        for act in self.acts:
            x = act(torch.tanh(self.fc(x)))
        return x

    def example_inputs(self):
        return (torch.zeros(1, 2),)


class Ranks(nn.Module):
    '''Inputs of rank 2 to 5, with a BatchNorm behind a PReLU.'''

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.act1 = nn.Conv1d(2, 3, 1), prelu([0.1, -0.2, 0.3])
        self.conv3, self.act3 = nn.Conv3d(2, 3, 1), prelu([1.1, -1.2, 1.3])
        self.act0, self.act2 = prelu([0.5, -0.5, 2.0]), prelu([-1.0, 0.7, 0.2])
        self.bn = nn.BatchNorm2d(3)

    def forward(self, series, volume):
        a = self.act1(self.conv1(series))
        b = self.act3(self.conv3(volume))
        return {"vector": self.act0(a.mean(2)), "map": self.bn(self.act2(b.mean(2)))}

    def example_inputs(self):
        return torch.zeros(1, 2, 4), torch.zeros(1, 2, 3, 4, 5)


class TwoRanks(nn.Module):
    '''One layer with a slope a channel, on maps and on vectors.'''

    def __init__(self):
        super().__init__()
        self.act = prelu([0.5, -0.5, 2.0])

    def forward(self, x):
        return self.act(self.act(x).mean(2))

    def example_inputs(self):
        return (torch.zeros(1, 3, 4),)


class Echo(nn.Module):
    '''An output that is called like the input.'''

    def __init__(self):
        super().__init__()
        self.act = prelu([0.5, 0.25])

    def forward(self, x):
        return {"x": self.act(x)}

    def example_inputs(self):
        return (torch.zeros(1, 2),)
"""


def test_torch_slopes_that_could_be_folded_or_merged_stay(nets: Path, tmp_path: Path) -> None:
    found = slopes_in(exported(f"{nets}:Special", tmp_path))
    names = [f"acts.{number}" for number in range(6)]
    check_slopes(found, names, [0, 0], [1, 1], [-0.0, 1e-42], [0.25], [0.25], [3.4e38, -1])


def test_torch_slopes_are_laid_over_inputs_of_every_rank(nets: Path, tmp_path: Path) -> None:
    graph = exported(f"{nets}:Ranks", tmp_path)
    shapes = {name: values.shape for name, values in slopes_in(graph).items()}
    assert shapes == {"act0": (3,), "act1": (3, 1), "act2": (3, 1, 1), "act3": (3, 1, 1, 1)}
    assert [value.name for value in graph.input] == ["series", "volume"]
    assert [value.name for value in graph.output] == ["vector", "map"]
    operators = [node.op_type for node in graph.node]
    assert operators.count("BatchNormalization") == 1  # nothing may be folded through a PRelu


def test_a_torch_layer_on_inputs_of_two_ranks_is_one_layer(nets: Path, tmp_path: Path) -> None:
    exported(f"{nets}:TwoRanks", tmp_path)
    (layer,) = cli("inspect", tmp_path / "net.onnx", "--format", "json").json["layers"]
    assert layer["nodes"] == ["act", "act_1"]


def test_bytes_do_not_depend_on_torch_process_or_folder(nets: Path, tmp_path: Path) -> None:
    check_same_bytes(nets, "Special", tmp_path)


def test_a_torch_output_called_like_an_input_is_another_tensor(nets: Path) -> None:
    check_echo(f"{nets}:Echo")


def test_torch_shapes_that_are_not_known_are_asked_for_and_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source is `package.module:name`, found from where one stands."""
    package = tmp_path / "package_of_nets"
    package.mkdir()
    (package / "shapeless.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.act = nn.PReLU()\n\n"
        "    def forward(self, image):\n        return self.act(image)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    command = ("export", "package_of_nets.shapeless:Net", "-o", "net.onnx")
    found = cli(*command)
    assert (found.code, found.out) == (2, "")
    assert "--input image:batch,..." in found.err
    assert cli(*command, "--input", "image:batch,3,height,9", "-q").code == 0
    (value,) = onnx.load("net.onnx").graph.input
    dims = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
    assert (value.name, dims) == ("image", ["batch", 3, "height", 9])
