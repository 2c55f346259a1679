"""Files that PyTorch's two exporters wrote, with every form in them, in canonical form."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import cli
from versions import takes_one_minus

from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import same_bits

pytestmark = pytest.mark.torch

_NET = """
import torch
from torch import nn

FORMS = {
    "where": lambda x, a: torch.where(x >= 0, x, a * x),
    "clamp": lambda x, a: x.clamp(min=0) + a * x.clamp(max=0),
    "sub": lambda x, a: torch.relu(x) - a * torch.relu(-x),
    "abs": lambda x, a: torch.relu(x) + a * (x - x.abs()) * 0.5,
    "linear": lambda x, a: (1 - a) * torch.relu(x) + a * x,
}


class Hand(nn.Module):
    def __init__(self, form, slopes):
        super().__init__()
        self.form, self.weight = form, nn.Parameter(torch.tensor(slopes).view(3, 1, 1))

    def forward(self, x):
        return FORMS[self.form](x, self.weight)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.hands = nn.ModuleList(
            Hand(form, [-0.3 - i, 0.7, 0.11 * i]) for i, form in enumerate(FORMS)
        )
        self.one, self.two, self.twice = nn.PReLU(3), nn.PReLU(3), nn.PReLU(1, init=0.37)

    def forward(self, x):
        x = self.first(x)
        for hand in self.hands:
            x = hand(x) / 2
        return self.twice(self.two(self.twice(self.one(x)) + 0.1) - 0.2)
"""
_FORMS = ("where", "clamp", "sub", "abs", "linear")
SLOPES = {f"hands.{i}": np.float32([-0.3 - i, 0.7, 0.11 * i]) for i in range(len(_FORMS))}
SLOPES |= {name: np.full(3, 0.25, np.float32) for name in ("one", "two")}
SLOPES["twice"] = np.float32([0.37])


@pytest.fixture(scope="module", params=[True, False], ids=["dynamo", "legacy"])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the exporter wrote."""
    if request.param and not takes_one_minus():
        pytest.skip("torch 2.10's newer exporter does not take '1 - parameter'")
    import torch

    found: dict[str, type[torch.nn.Module]] = {}
    exec(_NET, found)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("raw") / "net.onnx"
    with quiet(show=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = (torch.zeros(1, 3, 6, 6),)
        torch.onnx.export(
            found["Net"]().eval(), inputs, path, dynamo=request.param, external_data=False
        )
    return path


def test_every_form_is_one_node_with_its_slopes(raw: Path, request: pytest.FixtureRequest) -> None:
    target = raw.with_name("clean.onnx")
    found = cli("export", raw, "-o", target)
    assert found.code == 0, found.err
    graph = onnx.load(target).graph
    nodes = [node for node in graph.node if node.op_type == "PRelu"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # Both merge initializers of equal value, and the older one notes no module in the file.
    merged = "two" not in {node.name for node in nodes}
    expected = [*_names(len(_FORMS)), "one", "twice", "one_1" if merged else "two", "twice_1"]
    assert [node.name for node in nodes] == expected
    assert merged is ("legacy" in request.node.name)
    for node in nodes:
        slopes = SLOPES[node.name.removesuffix("_1")]
        assert same_bits(tensors[node.input[1]].reshape(-1), slopes)
    assert len({node.input[1] for node in nodes}) == len(SLOPES) - merged
    kinds = {node.op_type for node in graph.node}
    assert kinds <= {"Conv", "Constant", "Mul", "Div", "Add", "Sub", "PRelu", "Identity"}


def _names(count: int) -> list[str]:
    return [f"hands.{number}" for number in range(count)]


def test_the_axis_option_is_for_onnx_files(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("import torch\nnet = torch.nn.PReLU()\n")
    source = f"{tmp_path}/nets.py:net"
    found = cli("export", source, "-o", tmp_path / "n.onnx", "--slope-axis", 1)
    assert found.code == 2
    assert "--slope-axis is for ONNX files" in found.err


def test_a_module_is_exported_in_float16(tmp_path: Path) -> None:
    text = "from torch import nn\nnet = nn.Sequential(nn.Linear(4, 3), nn.PReLU(3, init=0.3))\n"
    (tmp_path / "half_nets.py").write_text(text)
    target = tmp_path / "half.onnx"
    found = cli("export", f"{tmp_path}/half_nets.py:net", "-o", target,
                "--input", "input:batch,4", "--dtype", "float16")  # fmt: skip
    assert found.code == 0, found.err
    graph = onnx.load(target).graph
    assert [node.op_type for node in graph.node] == ["Gemm", "PRelu"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert same_bits(tensors["1.weight"], np.full(3, 0.3, np.float32).astype(np.float16))
