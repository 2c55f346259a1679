"""A torch module in float64: truly, without a trace, and refused where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observing import source_of

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn
Array = Any


def _source(module: Any, *example: int) -> Any:
    module.example_inputs = lambda: (torch.zeros(*example),)
    return source_of(module)


def _run(source: Any, x: Array) -> tuple[Array, tuple[str, ...]]:
    (spec,) = source.inputs()
    with source.wide_runner() as runner:
        (output,) = runner.run({spec.name: x}).values()
        return output, tuple(runner.stayed_narrow)


def _net() -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(4), nn.Dropout(0.5)
    )
    with torch.no_grad():
        for tensor in [*net.parameters(), net[1].running_mean]:
            tensor.copy_(torch.randn_like(tensor))
        net[1].running_var.copy_(torch.rand(4) + 0.5)
    return net.train()  # opening it puts it in eval mode


def _values(tensor: Any) -> Array:
    return tensor.detach().numpy().astype(np.float64)


def _by_numpy(net: Any, x: Array) -> Array:
    """Convolution, normalisation and PReLU in float64."""
    weight, bias = _values(net[0].weight), _values(net[0].bias)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    h = np.einsum("nchwij,ocij->nohw", windows, weight) + bias.reshape(-1, 1, 1)
    norm = net[1]
    column = [_values(t).reshape(-1, 1, 1) for t in
              (norm.running_mean, norm.running_var, norm.weight, norm.bias)]  # fmt: skip
    h = (h - column[0]) / np.sqrt(column[1] + norm.eps) * column[2] + column[3]
    return np.where(h > 0, h, _values(net[2].weight).reshape(-1, 1, 1) * h)


def test_the_outputs_are_those_of_float64() -> None:
    net = _net()
    source = _source(net, 1, 3, 5, 6)
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 6)).astype(np.float32)
    found, narrow = _run(source, x)
    assert found.dtype == np.float64
    assert narrow == ()
    wanted = _by_numpy(net, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    with source.runner() as plain:
        (rounded,) = plain.run({"input": x}).values()
    assert rounded.dtype == np.float32
    assert abs(rounded - wanted).max() > 1e-9  # so that the first comparison says something


def test_a_program_runs_in_float64_too() -> None:
    from prelu_tools.backends.torch.files.program import ProgramSource

    net = _net().eval()
    program = torch.export.export(net, (torch.zeros(2, 3, 5, 6),))
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32)
    found, narrow = _run(ProgramSource(program, "net.pt2", SourceOptions()), x)
    assert (found.dtype, narrow) == (np.float64, ())
    np.testing.assert_allclose(found, _by_numpy(net, x), rtol=1e-12, atol=1e-12)


def test_the_module_is_as_it_was() -> None:
    net = _net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    identities = [id(parameter) for parameter in net.parameters()]
    source = _source(net, 1, 3, 5, 6)
    _run(source, np.ones((2, 3, 5, 6), np.float32))
    after = net.state_dict()
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype
        assert after[name].numpy().tobytes() == tensor.numpy().tobytes()
    assert [id(parameter) for parameter in net.parameters()] == identities
    assert not any(module._forward_hooks for module in net.modules())


def test_the_module_is_as_it_was_when_it_fails() -> None:
    net = nn.Sequential(_Mixing(), nn.PReLU())
    with pytest.raises(PReLUToolsError):
        _run(_source(net, 1, 3), np.ones((2, 3), np.float32))
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert not any(module._forward_hooks for module in net.modules())


def test_integers_stay_integers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 3)
            self.act = nn.PReLU()
            self.register_buffer("step", torch.tensor(2))

        def forward(self, tokens: Any) -> Any:
            return self.act(self.table(tokens * self.step // self.step)), tokens + self.step

        def example_inputs(self) -> Any:
            return (torch.zeros(1, 4, dtype=torch.int64),)

    with source_of(Net()).wide_runner() as runner:
        found = runner.run({"tokens": np.array([[0, 1, 2, 4]])})
    assert [array.dtype for array in found.values()] == [np.float64, np.int64]
    assert found["output_1"].tolist() == [[2, 3, 4, 6]]


def test_the_layers_of_torch_that_keep_state_are_widened() -> None:
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.norm = nn.LSTM(3, 4, batch_first=True), nn.LayerNorm(4)
            self.act, self.gelu = nn.PReLU(), nn.GELU()

        def forward(self, input: Any) -> Any:  # noqa: A002
            return self.act(self.norm(self.gelu(self.lstm(input)[0])))

    net = Net()
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    found, narrow = _run(_source(net, 1, 5, 3), x)
    with torch.no_grad():
        wanted = net.double()(torch.from_numpy(x.astype(np.float64))).numpy()
    assert narrow == ()
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


class _Mixing(nn.Module):
    """Multiplies by a tensor of its own making."""

    def forward(self, x: Any) -> Any:
        return x @ torch.ones(3, 3)


def test_a_module_that_mixes_in_a_narrow_tensor_is_refused() -> None:
    net = nn.Sequential(_Mixing(), nn.PReLU())
    with pytest.raises(PReLUToolsError, match=r"fails on inputs .* with RuntimeError"):
        _run(_source(net, 1, 3), np.ones((2, 3), np.float32))


class _Through(nn.Module):
    """Computes in another type, and gives that or its own back."""

    def __init__(self, dtype: Any, back: bool) -> None:
        super().__init__()
        self.dtype, self.back = dtype, back

    def forward(self, x: Any) -> Any:
        y = x.to(self.dtype) + 1
        return y.to(x.dtype) if self.back else y


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_output_that_stays_narrow_is_refused(dtype: Any) -> None:
    net = nn.Sequential(nn.PReLU(), _Through(dtype, back=False))
    said = f"output 'output' stays {str(dtype).removeprefix('torch.')}"
    with pytest.raises(PReLUToolsError, match=said):
        _run(_source(net, 1, 3), np.ones((2, 3), np.float32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_part_that_stays_narrow_is_named(dtype: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.part = nn.PReLU(), _Through(dtype, back=False)

        def forward(self, input: Any) -> Any:  # noqa: A002
            return self.act(self.part(input).to(input.dtype))

    found, narrow = _run(_source(Net(), 1, 3), np.ones((2, 3), np.float32))
    assert (found.dtype, narrow) == (np.float64, ("part",))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_part_that_rounds_within_is_named(dtype: Any) -> None:
    net = nn.Sequential(_Through(dtype, back=True), nn.PReLU())
    _, narrow = _run(_source(net, 1, 3), np.ones((2, 3), np.float32))
    assert narrow == ("0",)


def test_a_module_that_is_in_the_tree_twice_stays_as_it_was() -> None:
    """And so does a parameter that two modules hold."""
    torch.manual_seed(0)
    act = nn.PReLU(4, 0.3)
    net = nn.Sequential(nn.Linear(3, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 4), nn.PReLU(4))
    net[5].weight = act.weight
    source = _source(net, 2, 3)
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    wide, narrow = _run(source, x)
    assert (wide.dtype, narrow) == (np.float64, ())
    assert {tensor.dtype for tensor in net.state_dict().values()} == {torch.float32}
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), wide, rtol=1e-5)
    feeds = {source.inputs()[0].name: x}
    seen: dict[str, list[str]] = {"narrow": [], "wide": []}
    with source.runner(lambda layer, *_rest: seen["narrow"].append(layer)) as runner:
        runner.run(feeds)
    with source.wide_runner(lambda layer, *_rest: seen["wide"].append(layer)) as runner:
        runner.run(feeds)
    assert len(seen["wide"]) == 3
    assert seen["wide"] == seen["narrow"]
