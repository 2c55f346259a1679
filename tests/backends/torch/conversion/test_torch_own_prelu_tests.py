"""The samples of torch's own tests of PReLU, taken through export to onnxruntime, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from running import cli

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn

_SOURCE = "import torch\n\nNET = torch.load({!r}, weights_only=False)\n"


def _samples() -> list[tuple[Any, Any]]:
    """An input and a weight for each sample of `ModuleInfo` and `OpInfo`; no empty ones."""
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

    found = []
    (module,) = (info for info in module_db if info.module_cls is nn.PReLU)
    for given in module.module_inputs_func(module, "cpu", torch.float32, False, False):
        made = nn.PReLU(*given.constructor_input.args, **given.constructor_input.kwargs)
        found.append((given.forward_input.args[0], made.weight.detach()))
    (operator,) = (info for info in op_db if info.name == "nn.functional.prelu")
    for sample in operator.sample_inputs("cpu", torch.float32):
        weight = sample.args[0] if sample.args else sample.kwargs["weight"]
        found.append((sample.input, weight))
    return [(x.detach(), weight.detach()) for x, weight in found if x.numel()]


class Samples(nn.Module):
    """Every sample is an input and a layer of its own."""

    def __init__(self, samples: list[tuple[Any, Any]]) -> None:
        super().__init__()
        self.inputs = [x for x, _ in samples]
        self.weights = nn.ParameterList(weight for _, weight in samples)

    def forward(self, *inputs: Any) -> Any:
        """Run them all."""
        pairs = zip(inputs, self.weights, strict=True)
        return [nn.functional.prelu(x, weight) for x, weight in pairs]

    def example_inputs(self) -> Any:
        """The samples themselves."""
        return tuple(self.inputs)


@pytest.fixture(scope="module")
def net() -> Samples:
    samples = _samples()
    assert len(samples) > 25
    assert {x.ndim for x, _ in samples} == {0, 1, 2, 3, 4, 5}
    return Samples(samples)


def test_samples_of_torch_give_the_same_bits(net: Samples, tmp_path: Path) -> None:
    torch.save(net, tmp_path / "net.pt")
    (tmp_path / "torch_samples.py").write_text(_SOURCE.format(str(tmp_path / "net.pt")))
    fixed = [f"--input=inputs_{i}:{','.join(map(str, x.shape))}"
             for i, x in enumerate(net.inputs) if x.ndim]  # fmt: skip
    target = tmp_path / "net.onnx"
    found = cli("export", f"{tmp_path / 'torch_samples.py'}:NET", "-o", target, "-q", *fixed)
    assert found.code == 0, found.err
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    feeds = {f"inputs_{i}": x.numpy() for i, x in enumerate(net.inputs)}
    with torch.no_grad():
        expected = net(*net.inputs)
    for ours, theirs in zip(session.run(None, feeds), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy(), strict=True)
    layers = cli("inspect", target, "--format", "json").json["layers"]
    assert [layer["parameter"] for layer in layers] == [f"weights.{i}" for i in range(len(layers))]
    assert len(layers) == len(net.inputs)
