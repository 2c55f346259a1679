"""However a torch module spells its PReLUs, each becomes one PRelu node with its own slopes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch_nets import export, try_export, write_nets

pytestmark = pytest.mark.torch

_NETS = """

def where(x, a): return torch.where(x >= 0, x, a * x)
def where_not(x, a): return torch.where(x < 0, x * a, x)
def clamp(x, a): return x.clamp(min=0) + a * x.clamp(max=0)
def relus(x, a): return torch.relu(x) - a * F.relu(-x)
def maximum(x, a): return torch.maximum(x, a * x)
def zeros(x, a): return torch.max(x, torch.zeros_like(x)) + a * torch.min(x, torch.zeros_like(x))
def in_place(x, a): return F.relu(x) - F.relu_(-x).mul_(a)
def function(x, a): return torch.prelu(x, a.flatten())
def again(x, a): return 0.5 * torch.where(2 * x > 0, 2 * x, a * (2 * x))


def written(x, a):
    y = x.clone()
    y[y < 0] = (a * y)[y < 0]
    return y


def scattered(x, a): return x.masked_scatter(x < 0, (a * x)[x < 0])


def halves(x, a):
    y, below = torch.empty_like(x), (x < 0).nonzero(as_tuple=True)
    y[x >= 0] = x[x >= 0]
    y[below] = (a * x)[below]
    return y


def put_out(x, a):
    with torch.no_grad():
        y = torch.mul(x, a, out=torch.empty_like(x))
        return torch.where(x > 0, x, y)


FORMS = (
    where, where_not, clamp, relus, maximum, zeros, in_place, function, again, written, scattered,
    halves, put_out,
)


class Blocks(nn.Module):
    '''A block with a convolution, a gain and a parameter for each form.'''

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 1)
        self.gain = nn.Parameter(torch.full((3, 1, 1), 1.5))
        for number, form in enumerate(FORMS):
            values = torch.linspace(-0.5, 0.8, 3) + number / 100
            self.register_parameter(form.__name__, nn.Parameter(values.view(3, 1, 1)))

    def forward(self, x):
        for form in FORMS:
            x = form(self.gain * self.conv(x) + x, getattr(self, form.__name__))
        return x * self.gain

    def example_inputs(self):
        return (torch.zeros(1, 3, 3, 3),)


class Made(nn.Module):
    '''Slopes that are made of parameters, and a buffer.'''

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.raw = slopes(-1.0, 0.5, 2.0)
        self.table = nn.Parameter(torch.tensor([[0.5, 0.25, -1.0, 9.0], [-0.5, 0.1, 2.0, 9.0]]))
        self.register_buffer("frozen", torch.tensor([0.5, -0.5, 1.5]))
        self.column = slopes(0.1, 0.2, 0.3)

    def forward(self, x):
        x = F.prelu(self.fc(x), torch.sigmoid(self.raw))
        x = F.prelu(self.fc(x), self.raw.abs())
        x = F.prelu(self.fc(x), self.table[0, :3])
        x = F.prelu(self.fc(x), self.table[1, :3])
        x = F.prelu(self.fc(x), self.frozen)
        x = self.fc(x)
        return torch.where(x > 0, x, self.column[None, :] * x)

    def example_inputs(self):
        return (torch.zeros(1, 3),)


class Constant(nn.Module):
    '''No slope is learned: everything stays a LeakyReLU.'''

    def __init__(self):
        super().__init__()
        self.leaky, self.random = nn.LeakyReLU(0.1), nn.RReLU(0.2, 0.4)

    def forward(self, x):
        x = self.random(self.leaky(x))
        return torch.where(x > 0, x, 0.05 * x)

    def example_inputs(self):
        return (torch.zeros(1, 3),)


class Cube(nn.Module):
    '''As many channels as rows and columns, and the channels in front, then behind.'''

    def __init__(self):
        super().__init__()
        self.act, self.behind = prelu(0.1, -0.2, 0.3), slopes(1.1, -1.2, 0.4)

    def forward(self, x):
        x = self.act(x).permute(0, 2, 3, 1)
        return torch.where(x > 0, x, self.behind * x)

    def example_inputs(self):
        return (torch.zeros(1, 3, 3, 3),)


class Twins(nn.Module):
    '''Two layers of equal slopes; one is called twice, the other twice on the same input.'''

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.first, self.second, self.alias = prelu(0.25), prelu(0.25), prelu(1.0)
        self.alias.weight = self.first.weight

    def forward(self, x):
        for act in (self.first, self.second, self.first, self.alias):
            x = act(self.fc(x))
        return x, self.second(x) + self.second(x)

    def example_inputs(self):
        return (torch.zeros(1, 2),)


class Gated(nn.Module):
    '''What looks like PReLU from afar.'''

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.a, self.act = slopes(0.5, 0.25, -1.0), prelu(0.5)

    def forward(self, x):
        x = self.fc(x)
        x = torch.where(x > 1, x, self.a * x) + self.a
        y, moved = 2 * x, 2 * x
        moved.view(-1).add_(0.5)
        x = torch.where(moved > 0, y, self.a * y)
        y = x.clone()
        y[x < -0.1] = (self.a * x)[x < -0.1]
        x = torch.empty_like(y).fill_(0.1)
        x[y > 0] = y[y > 0]
        return self.act(self.a * x + torch.sigmoid(self.a * x) * x)

    def example_inputs(self):
        return (torch.zeros(1, 3),)


class Scalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.scalar = prelu(-0.5), prelu(0.5)

    def forward(self, x, gain):
        return self.act(x) * self.scalar(gain)

    def example_inputs(self):
        return torch.zeros(4), torch.tensor(1.0)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nets(tmp_path_factory.mktemp("nets") / "torch_spellings.py", _NETS)


def test_a_block_may_spell_prelu_by_hand_beside_other_parameters(nets: Path) -> None:
    found = export(f"{nets}:Blocks")
    names = ["where", "where_not", "clamp", "relus", "maximum", "zeros", "in_place", "function",
             "again", "written", "scattered", "halves", "put_out"]  # fmt: skip
    assert list(found.slopes) == names
    for number, values in enumerate(found.slopes.values()):
        expected = np.linspace(-0.5, 0.8, 3, dtype=np.float32) + np.float32(number / 100)
        np.testing.assert_allclose(values, expected.reshape(3, 1, 1), rtol=1e-6)
    assert sorted(set(found.operators)) == ["Add", "Conv", "Mul", "PRelu"]
    assert {"gain", "conv.weight", *names} <= {t.name for t in found.graph.initializer}


def test_slopes_may_be_made_of_a_parameter(nets: Path) -> None:
    found = export(f"{nets}:Made")
    assert list(found.slopes) == ["raw", "raw#2", "table", "table#2", "frozen", "column"]
    raw = np.array([-1, 0.5, 2], np.float32)
    np.testing.assert_allclose(found.slopes["raw"], 1 / (1 + np.exp(-raw)), rtol=1e-6)
    assert found.slopes["raw#2"].tolist() == [1, 0.5, 2]
    assert found.slopes["table"].tolist() == [0.5, 0.25, -1]
    assert found.slopes["table#2"].tolist() == np.array([-0.5, 0.1, 2], np.float32).tolist()
    assert set(found.operators) == {"Gemm", "PRelu"}


def test_what_is_not_learned_stays_leaky(nets: Path) -> None:
    found = export(f"{nets}:Constant")
    assert found.operators == ["LeakyRelu"] * 3
    alphas = [node.attribute[0].f for node in found.graph.node]
    np.testing.assert_allclose(alphas, [0.1, 0.3, 0.05], rtol=1e-6)


def test_channels_are_not_told_by_their_number(nets: Path) -> None:
    shapes = {name: values.shape for name, values in export(f"{nets}:Cube").slopes.items()}
    assert shapes == {"act": (3, 1, 1), "behind": (1, 1, 3)}


def test_calls_of_one_layer_share_an_initializer_and_layers_never_do(nets: Path) -> None:
    found = export(f"{nets}:Twins")
    used = [node.input[1] for node in found.graph.node if node.op_type == "PRelu"]
    assert used == [
        "first.weight", "second.weight", "first.weight", "first.weight", "second.weight",
    ]  # fmt: skip


def test_what_resembles_prelu_is_none(nets: Path) -> None:
    assert list(export(f"{nets}:Gated").slopes) == ["act"]


def test_a_slope_for_all_goes_on_vectors_and_scalars(nets: Path) -> None:
    found = export(f"{nets}:Scalar")
    assert {name: values.shape for name, values in found.slopes.items()} == {
        "act": (1,),
        "scalar": (),
    }


def test_a_slope_that_is_not_seen_in_the_source_is_never_let_pass(
    nets: Path, tmp_path: Path
) -> None:
    """A number of Python hides it; the graph has it."""
    hidden = write_nets(
        tmp_path / "torch_hidden.py",
        """

class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.a = nn.Linear(3, 3), slopes(0.25)

    def forward(self, x):
        x = self.fc(x)
        return torch.where(x >= 0, x, float(self.a) * x)

    def example_inputs(self):
        return (torch.zeros(1, 3),)
""",
    )
    found = try_export(f"{hidden}:Hidden")
    assert found.code == 3, found.words
    assert "it has 1 PReLU layer and" in found.words
    assert "so no slope was compared" in found.words
    assert not (tmp_path / "torch_hidden.onnx").exists()
