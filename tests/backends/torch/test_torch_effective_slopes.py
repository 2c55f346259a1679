"""Slopes that a torch module computes, and PReLUs in functions and bodies: found and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporting import exported_layers
from torch_nets import try_export, write_nets

from prelu_tools.backends.opening import open_source
from prelu_tools.commands.export.command import export as export_source
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

_BASE = """
import torch.utils.checkpoint
from torch._higher_order_ops.scan import scan

AT_LARGE = torch.tensor([0.1, -0.2, 1.3])
TOO = torch.tensor([0.4, 0.5, 0.6])
ZERO = torch.tensor(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.fc, self.act = nn.Linear(3, 3), prelu(-0.25, 0.5, 1.5)
        self.raw, self.gain = slopes(-0.5, 0.3, 1.2), slopes(0.5)
        self.plain = torch.tensor([0.7, -0.1, 0.2])
        self.held = [torch.tensor([0.4, 0.3, -0.2])]
        self.register_buffer("codes", torch.tensor([-50, 30, 120], dtype=torch.int8))
        self.register_buffer("kept", torch.tensor([0.1, 0.9, -0.3]), persistent=False)

    def forward(self, x):
        return self.run(self.fc(x))

    def example_inputs(self):
        return (torch.randn(2, 3),)


@torch.jit.script
def scripted(x, a):
    return torch.where(x > 0, x, a * x)


@torch.compile
def compiled(x, a):
    return F.relu(x) - a * F.relu(-x)
"""

_RAW = np.array([-0.5, 0.3, 1.2], np.float32)

SLOPES: dict[str, tuple[str, str, Any]] = {
    "clipped": ("F.prelu(x, self.raw.clamp(0, 1))", "raw", [0, 0.3, 1]),
    "softplus": ("torch.where(x > 0, x, F.softplus(self.raw) * x)", "raw", np.log1p(np.exp(_RAW))),
    "negated": ("F.prelu(x, -self.raw)", "raw", -_RAW),
    "gathered": ("F.prelu(x, self.raw[torch.tensor([2, 0, 1])])", "raw", [1.2, -0.5, 0.3]),
    "joined": ("F.prelu(x, torch.cat([self.raw[1:], self.gain]))", "raw", [0.3, 1.2, 0.5]),
    "averaged": ("F.relu(x) + self.raw.mean() * x.clamp(max=0)", "raw", [1 / 3]),
    "quantized": (
        "F.prelu(x, torch.fake_quantize_per_tensor_affine(self.raw, 0.25, 0, -128, 127))",
        "raw",
        [-0.5, 0.25, 1.25],
    ),
    "kept as whole numbers": (
        "F.prelu(x, self.codes.float() * 0.01)", "codes", [-0.5, 0.3, 1.2]
    ),
    "rounded": ("F.prelu(x, self.raw.half().float())", "raw", _RAW.astype(np.float16)),
    "expanded": ("F.prelu(x, self.gain.expand(3))", "gain", [0.5]),
    "expanded to the input": ("torch.where(x > 0, x, self.raw.expand_as(x) * x)", "raw", _RAW),
    "repeated by rows": (
        "torch.where(x > 0, x, self.raw.repeat(x.shape[0], 1) * x)", "raw", _RAW
    ),
    "of two parameters": ("F.prelu(x, self.raw * self.gain)", "raw", 0.5 * _RAW),
    "of a module": ("F.prelu(x, 0.5 * self.act.weight)", "act.weight", [-0.125, 0.25, 0.75]),
    "a plain tensor": ("F.prelu(x, self.plain)", "plain", [0.7, -0.1, 0.2]),
    "a tensor in a list": ("F.prelu(x, self.held[0])", "slopes", [0.4, 0.3, -0.2]),
    "a tensor at large": ("F.prelu(x, AT_LARGE)", "slopes", [0.1, -0.2, 1.3]),
    "a literal": ("F.prelu(x, torch.tensor([0.5, 0.6, -0.7]))", "slopes", [0.5, 0.6, -0.7]),
    "a buffer": ("F.prelu(x, self.kept)", "kept", [0.1, 0.9, -0.3]),
    "halves": ("0.5 * (1 + self.raw) * x + 0.5 * (1 - self.raw) * x.abs()", "raw", _RAW),
    "a Conv-TasNet": ("F.relu(x) - (x - F.relu(x)) * self.raw", "raw", -_RAW),
    "a factor by sign": ("x * torch.where(x < 0, self.raw, torch.ones_like(x))", "raw", _RAW),
    "a step between two": ("torch.lerp(x, self.raw * x, (x < 0).float())", "raw", _RAW),
    "added as a product": ("torch.addcmul(F.relu(x), self.raw, x.clamp(max=0))", "raw", _RAW),
    "a Heaviside step": (
        "x * (self.raw + (1 - self.raw) * torch.heaviside(x, torch.ones(())))", "raw", _RAW
    ),
    "in float64 inside": (
        "torch.where(x.double() > 0, x.double(), self.raw.double() * x.double()).float()",
        "raw",
        _RAW,
    ),
    "a convolution by channels": (
        "(lambda x: F.relu(x) + F.conv1d(x.clamp(max=0), self.raw[:, None, None], groups=3))"
        "(x[..., None])[..., 0]",
        "raw",
        _RAW,
    ),
    "an einsum": ("F.relu(x) + torch.einsum('nc,c->nc', x.clamp(max=0), self.raw)", "raw", _RAW),
    "a diagonal matrix": ("F.relu(x) + x.clamp(max=0) @ torch.diag(self.raw)", "raw", _RAW),
    "with its axes moved": (
        "torch.where(x.t() > 0, x.t(), self.raw[:, None] * x.t()).t()", "raw", _RAW
    ),
    "mapped over rows": (
        "torch.vmap(lambda row: torch.where(row > 0, row, self.raw * row))(x)", "raw", _RAW
    ),
    "mapped over columns": (
        "torch.vmap(lambda row, a: torch.where(row > 0, row, a * row), (1, 0), 1)(x, self.raw)",
        "raw",
        _RAW,
    ),
    "scripted": ("scripted(x, self.raw)", "raw", _RAW),
    "compiled": ("compiled(x, F.softplus(self.raw))", "raw", np.log1p(np.exp(_RAW))),
    "checkpointed": (
        "torch.utils.checkpoint.checkpoint(scripted, x, self.raw, use_reentrant=False)",
        "raw",
        _RAW,
    ),
    "an offset behind it": ("torch.where(x > 0, x, self.raw * x) + self.raw", "raw", _RAW),
    "written over its input": (
        "x.mul_(torch.where(x < 0, self.raw, torch.ones_like(x)))", "raw", _RAW
    ),
    "added to its input": ("x.sub_((1 - self.raw) * x.clamp(max=0))", "raw", _RAW),
    "beside a sum in place": ("F.prelu(x, self.raw).add_(torch.relu(x))", "raw", _RAW),
    "a floor behind it": ("F.prelu(x, self.raw).clamp(min=-0.5)", "raw", _RAW),
}  # fmt: skip

NONE = {
    "a threshold": "torch.where(x > 0.01, x, self.raw * x)",
    "a threshold at the mean": "torch.where(x > x.mean(), x, self.raw * x)",
    "a floor far away": "F.relu(x) + self.raw * F.hardtanh(x, -1e30, 0.0)",
    "an offset in a branch": "torch.where(x > 0, x, self.raw * x - 1e-4)",
    "a learned scale of 1": "x * self.one",
    "a mask before a shift by way of a view": (
        "(lambda m: (x.view(-1).sub_(0.25), torch.where(m, x, self.raw * x))[1])(x > 0)"
    ),
    "a matrix": "F.relu(x) + x.clamp(max=0) @ (self.raw[:, None] * self.raw)",
    "columns in another order": "F.relu(x) + self.raw * x.clamp(max=0)[:, [2, 0, 1]]",
    "a number of the code": "torch.where(x > 0, x, torch.tensor(0.2) * x)",
}

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "cond": (
        "torch.cond(x.sum() > 0, lambda y: self.act(y), lambda y: scripted(-y, self.raw), (x,))",
        {"act.weight": [-0.25, 0.5, 1.5], "raw": _RAW},
    ),
    "cond of clipped slopes": (
        "torch.cond(x.sum() > 0, lambda y: F.prelu(y, self.raw.clamp(0, 1)), torch.abs, (x,))",
        {"raw": [0, 0.3, 1]},
    ),
    "cond of slopes and of their half": (
        "torch.cond(x.sum() > 0, F.prelu, lambda y, a: F.prelu(y, a * 0.5), (x, self.raw))",
        {"raw": _RAW, "raw#2": [0.5 * slope for slope in _RAW]},
    ),
    "two tensors at large": (
        "F.prelu(self.fc(F.prelu(x, AT_LARGE)), TOO)",
        {"slopes": [0.1, -0.2, 1.3], "slopes#2": [0.4, 0.5, 0.6]},
    ),
    "columns": (
        "torch.stack([torch.where(c > 0, c, a * c) for c, a in zip(x.unbind(1), self.raw)], 1)",
        {"raw": [-0.5], "raw#2": [0.3], "raw#3": [1.2]},
    ),
    "while_loop": (
        "torch.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.act(self.fc(y))), "
        "(ZERO, x))[1]",
        {"act.weight": [-0.25, 0.5, 1.5]},
    ),
    "scan": (
        "scan(lambda c, t: (self.act(c + t), 2 * t), x.new_zeros(1, 3), x[:, None])[0]",
        {"act.weight": [-0.25, 0.5, 1.5]},
    ),
}  # fmt: skip


def _class_name(label: str) -> str:
    return "".join(filter(str.isalnum, label.title()))


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a class for each."""
    bodies = {label: code for label, (code, *_) in [*SLOPES.items(), *BODIES.items()]}
    code = _BASE
    for label, text in {**bodies, **NONE}.items():
        code += (
            f"\n\nclass {_class_name(label)}(Net):\n    def run(self, x):\n        return {text}\n"
        )
    code = code.replace("class ALearnedScaleOf1(Net):", _ONE)
    return write_nets(tmp_path_factory.mktemp("nets") / "effective.py", code)


_ONE = """class ALearnedScaleOf1(Net):
    def __init__(self):
        super().__init__()
        self.one = slopes(1.0, 1.0, 1.0)
"""


def _exported(nets: Path, label: str) -> Any:
    return exported_layers(f"{nets}:{_class_name(label)}", nets.parent)


# Other kinds of computing slopes are as these: `make test-all` exports them too.
_AT_ONCE = {
    "softplus", "gathered", "joined", "quantized", "repeated by rows", "of two parameters",
    "a tensor in a list", "a literal", "halves", "a Conv-TasNet", "scripted", "compiled",
    "written over its input", "an offset behind it", "mapped over rows",
}  # fmt: skip
_EACH = [
    pytest.param(label, marks=() if label in _AT_ONCE else pytest.mark.thorough) for label in SLOPES
]


@pytest.mark.parametrize("label", _EACH)
def test_the_slopes_that_a_module_computes_are_found_and_exported(nets: Path, label: str) -> None:
    _, origin, expected = SLOPES[label]
    layers, result = _exported(nets, label)
    (layer,) = layers
    assert layer.parameter.partition("#")[0] == origin
    np.testing.assert_allclose(layer.slopes.reshape(-1), expected, rtol=2e-6)
    (node,) = result.layers
    assert node.slopes.reshape(-1).tolist() == layer.slopes.reshape(-1).tolist()
    graph = onnx.load(result.path).graph
    assert [node.op_type for node in graph.node].count("PRelu") == 1


@pytest.mark.parametrize("label", NONE)
def test_what_is_nearly_a_prelu_is_none(nets: Path, label: str) -> None:
    layers, result = _exported(nets, label)
    assert layers == result.layers == ()


@pytest.mark.parametrize("label", BODIES)
def test_each_branch_and_body_is_looked_into(nets: Path, label: str) -> None:
    _, expected = BODIES[label]
    layers, result = _exported(nets, label)
    for found in (layers, result.layers):
        slopes = {layer.parameter: layer.slopes.reshape(-1) for layer in found}
        assert list(slopes) == list(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(slopes[name], values, rtol=1e-6)


def test_a_weight_and_what_is_made_of_it_are_two_layers(tmp_path: Path) -> None:
    code = (
        _BASE
        + """

class Twice(Net):
    def run(self, x):
        return F.prelu(self.fc(self.act(x)), self.act.weight.flip(0))
"""
    )
    layers, result = _exported(write_nets(tmp_path / "twice.py", code), "Twice")
    assert [layer.parameter for layer in layers] == ["act.weight", "act.weight#2"]
    assert [layer.slopes.reshape(-1).tolist() for layer in result.layers] == [
        [-0.25, 0.5, 1.5],
        [1.5, 0.5, -0.25],
    ]


def test_lazy_modules_are_run_once_first(tmp_path: Path) -> None:
    code = """

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.PReLU(3)
        self.fc = nn.LazyLinear(2)

    def forward(self, x):
        return self.fc(self.act(self.norm(self.conv(x))).flatten(1))


class Known(Lazy):
    def example_inputs(self):
        return (torch.randn(2, 1, 5, 5),)
"""
    nets = write_nets(tmp_path / "lazy.py", code)
    assert try_export(f"{nets}:Known").code == 0
    assert try_export(f"{nets}:Lazy", "--input", "x:batch,4,6,6").code == 0
    unknown = try_export(f"{nets}:Lazy")
    assert unknown.code == 2
    assert "--input x:batch" in unknown.words


def test_a_prelu_under_autocast_is_shown_and_its_export_refused_by_name(tmp_path: Path) -> None:
    code = (
        _BASE
        + """

class Mixed(Net):
    def run(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.act(self.fc(x)).float()
"""
    )
    source = f"{write_nets(tmp_path / 'mixed.py', code)}:Mixed"
    (layer,) = open_source(source, SourceOptions()).layers()
    assert layer.slopes.reshape(-1).tolist() == [-0.25, 0.5, 1.5]
    with pytest.raises(PReLUToolsError, match=r"act of .*Mixed computes in bfloat16"):
        export_source(ExportRequest(source, tmp_path / "out.onnx"))
