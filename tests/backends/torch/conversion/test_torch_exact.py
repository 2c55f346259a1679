"""Constants that torch.onnx takes for nothing, and operators of a newer opset than asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime import InferenceSession

import prelu_tools

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


class _NearlyNothing(torch.nn.Module):
    """Every constant decides what comes out, and is near 0 or 1."""

    def __init__(self) -> None:
        super().__init__()
        self.act = torch.nn.PReLU(3)
        self.learned = torch.nn.Parameter(torch.tensor(1.000004))
        self.register_buffer("floor", torch.tensor(2e-9))

    def forward(self, x: Any) -> dict[str, Any]:
        power = x.abs()
        steps = self.act(x) * self.learned - x.clamp(min=0)
        return {
            "added": (power + 1e-9) ** 0.15,
            "taken": 1 / (power - 1e-9),
            "buffer": torch.log(power + self.floor),
            "scaled": x * 1.00001 - x,
            "divided": x / 0.999995 - x,
            "shown": steps,
        }


class _Power(torch.nn.Module):
    """A compressed spectrum, as separators of speech take it."""

    def __init__(self) -> None:
        super().__init__()
        self.act = torch.nn.PReLU(3)

    def forward(self, x: Any) -> Any:
        return self.act(x) + (torch.relu(x) + 1e-9) ** 0.15


class _Nothing(torch.nn.Module):
    """Constants that are 0 and 1."""

    def __init__(self) -> None:
        super().__init__()
        self.act = torch.nn.PReLU(3)

    def forward(self, x: Any) -> Any:
        return self.act((x + 0.0) * 1.0 - 0.0) / 1.0


class _Halves(torch.nn.Module):
    """Two halves of the last axis, and a mean over the others."""

    def __init__(self) -> None:
        super().__init__()
        self.act = torch.nn.PReLU(3)

    def forward(self, x: Any) -> Any:
        x = self.act(x)
        first, second = x.chunk(2, -1)
        return first * second, x.mean((1, 2), keepdim=True)


def written(module: Any, path: Path, **options: Any) -> onnx.ModelProto:
    prelu_tools.export(module, path, input={"x": ("batch", 3, 6)}, **options)
    return onnx.load(path)


def outputs(proto: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    session = InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in proto.graph.output]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def operators(proto: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in proto.graph.node)


@pytest.mark.parametrize("opset", [17, 18, 20])
def test_constants_near_nothing_arrive(opset: int, tmp_path: Path) -> None:
    module = _NearlyNothing().eval()
    proto = written(module, tmp_path / "net.onnx", opset=opset, verify=False)
    x = np.zeros((2, 3, 6), np.float32)
    x[1] = np.linspace(-2, 2, 18).reshape(3, 6)
    found = outputs(proto, x)
    expected = module(torch.from_numpy(x))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.detach().numpy(), rtol=1e-4, atol=1e-7)
    parameters = {tensor.name: tensor for tensor in proto.graph.initializer}
    assert numpy_helper.to_array(parameters["learned"]) == np.float32(1.000004)
    assert [value.name for value in proto.graph.input] == ["x"]


def test_exports_own_check_passes_them(tmp_path: Path) -> None:
    """Of a power of next to nothing, in rows of zeros, all depends on the constant."""
    written(_Power().eval(), tmp_path / "net.onnx")


def test_torchs_own_file_is_another_model(tmp_path: Path) -> None:
    """If this fails, torch.onnx is exact by now, and what keeps the constants can go."""
    module, path = _Power().eval(), tmp_path / "torch.onnx"
    torch.onnx.export(module, (torch.zeros(2, 3, 6),), path, dynamo=True, verbose=False,
                      input_names=["x"])  # fmt: skip
    assert not prelu_tools.verify(module, path, input={"x": (2, 3, 6)}, power=False)


def test_what_is_nothing_goes(tmp_path: Path) -> None:
    proto = written(_Nothing().eval(), tmp_path / "net.onnx")
    assert operators(proto) == {"PRelu": 1}


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_rewriting_keeps_to_the_opset(opset: int, tmp_path: Path) -> None:
    """Split and ReduceMean have attributes of their own in opset 18."""
    path = tmp_path / "net.onnx"
    result = prelu_tools.export(_Halves().eval(), path, opset=opset, input={"x": ("batch", 3, 6)})
    assert "dynamo" in result.route
    proto = onnx.load(path)
    assert [entry.version for entry in proto.opset_import if not entry.domain] == [opset]
    onnx.checker.check_model(proto, full_check=True)


def test_attention_in_opset_17(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(6, 2, batch_first=True)
            self.norm, self.act = torch.nn.LayerNorm(6), torch.nn.PReLU(3)

        def forward(self, x: Any) -> Any:
            return self.act(self.norm(self.attention(x, x, x, need_weights=False)[0] + x))

    result = prelu_tools.export(
        Net().eval(), tmp_path / "net.onnx", opset=17, input={"x": ("batch", 3, 6)}
    )
    assert "dynamo" in result.route


@pytest.mark.parametrize("opset", [20, 21])
def test_groups_of_equal_values_are_normalised_at_every_opset(opset: int, tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.act = torch.nn.GroupNorm(2, 4), torch.nn.PReLU(4)
            torch.nn.init.normal_(self.norm.weight)
            torch.nn.init.normal_(self.norm.bias)

        def forward(self, x: Any) -> Any:
            return self.act(self.norm(x))

    torch.manual_seed(0)
    net = Net().eval()
    path = tmp_path / "net.onnx"
    prelu_tools.export(net, path, input={"x": ("n", 4, 8000)}, opset=opset, verify=False)
    x = torch.stack([torch.full((4, 8000), 1.37), torch.randn(4, 8000)])
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        known = net(x).numpy()
    np.testing.assert_allclose(found[1], known[1], atol=1e-5)
    np.testing.assert_allclose(found[0], known[0], atol=0.1)
