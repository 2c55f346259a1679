"""A torch module as a source: what its inputs, layers, outputs and reached slopes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from observing import coverage, source_of

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn
Array = Any


def _vector(*sizes: int | str, name: str = "x") -> InputOption:
    return InputOption(name, ("batch", *sizes))


def _fed(*sizes: int | str) -> InputOption:
    """For torch.nn.Sequential, whose argument is called so."""
    return _vector(*sizes, name="input")


def _prelu(slopes: Sequence[float]) -> Any:
    module = nn.PReLU(len(slopes))
    with torch.no_grad():
        module.weight.copy_(torch.tensor(slopes))
    return module


class _Net(nn.Module):
    """Runs a function on its input; `parts` become submodules."""

    def __init__(self, run: Any, **parts: Any) -> None:
        super().__init__()
        self._run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        return self._run(self, x)


# Inputs


def test_example_inputs_tell_names_and_shapes() -> None:
    class Net(nn.Module):
        def forward(self, image: Any, mask: Any, scale: Any = None) -> Any:
            return image.sum() * mask

        def example_inputs(self) -> Any:
            return torch.zeros(1, 3, 8, 9), torch.zeros(1, 3, dtype=torch.int64)

    image, mask = source_of(Net()).inputs()
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("batch", 3, 8, 9))
    assert image.example == (1, 3, 8, 9)
    assert (mask.name, mask.dtype, mask.shape) == ("mask", "int64", ("batch", 3))


def test_the_input_option_beats_the_example() -> None:
    class Net(nn.Module):
        def forward(self, x: Any) -> Any:
            return x

        def example_inputs(self) -> Any:
            return (torch.zeros(1, 3),)

    (spec,) = source_of(Net(), _vector(7, "length")).inputs()
    assert spec.shape == ("batch", 7, "length")


def test_unknown_shapes_are_asked_for_by_the_name_of_each_input() -> None:
    class Net(nn.Module):
        def forward(self, image: Any, mask: Any) -> Any:
            return image * mask

    with pytest.raises(UsageError, match=r"--input image:batch,\.\.\. --input mask:batch,\.\.\."):
        source_of(Net()).inputs()


@pytest.mark.parametrize("way", ["option", "example"])
def test_inputs_go_where_their_names_say(way: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = _prelu([0.5, 0.25])
            if way == "example":
                self.example_inputs = lambda: {"b": torch.zeros(1, 2), "a": torch.zeros(1, 2)}

        def forward(self, a: Any, b: Any) -> Any:
            return self.act(a) - 10 * b

    options = () if way == "example" else (_vector(2, name="b"), _vector(2, name="a"))
    ones, zeros = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    with source_of(Net(), *options).runner() as runner:
        found = runner.run({"a": -ones, "b": zeros})
    assert found["output"].tolist() == [[-0.5, -0.25], [-0.5, -0.25]]


# Layers


def _layers(module: Any, *inputs: InputOption) -> Any:
    return source_of(module, *inputs).layers()


def test_a_layer_is_what_the_module_says_it_is() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), _prelu([0.5, -0.25]))
    (layer,) = _layers(net, _fed(3, 8, 8))
    assert (layer.name, layer.nodes, layer.parameter) == ("1", ("1",), "1.weight")
    assert (layer.form, layer.sharing, layer.channel_axis) == ("PReLU", "channel-wise", 1)
    assert layer.slopes.tolist() == [[[[0.5]], [[-0.25]]]]
    assert layer.input_shape == (None, 2, 6, 6)
    assert layer.preceding_parameters == 3 * 2 * 9 + 2
    assert not layer.slopes.flags.writeable


def test_the_slopes_are_a_copy() -> None:
    act = _prelu([0.5])
    (layer,) = _layers(nn.Sequential(act), _fed(3))
    with torch.no_grad():
        act.weight.fill_(9.0)
    assert layer.slopes.tolist() == [[0.5]]


def test_a_module_called_twice_is_one_layer_with_two_nodes() -> None:
    net = _Net(
        lambda self, x: self.act(self.fc(self.act(x))), act=_prelu([0.5]), fc=nn.Linear(3, 3)
    )
    (layer,) = _layers(net, _vector(3))
    assert layer.nodes == ("act", "act_1")
    assert layer.same_instance


def test_two_modules_that_share_a_parameter_are_one_layer() -> None:
    first, second = _prelu([0.5]), nn.PReLU()
    second.weight = first.weight
    (layer,) = _layers(nn.Sequential(first, nn.Linear(3, 3), second), _fed(3))
    assert layer.nodes == ("0", "0_1")


def test_layers_come_in_the_order_of_their_calls() -> None:
    net = _Net(lambda self, x: self.a(self.b(x)), a=_prelu([0.1]), b=_prelu([0.2]))
    assert [layer.name for layer in _layers(net, _vector(3))] == ["b", "a"]


def test_a_module_that_is_never_called_is_no_layer() -> None:
    net = _Net(lambda self, x: self.used(x), used=_prelu([0.1]), unused=_prelu([0.2]))
    assert [layer.name for layer in _layers(net, _vector(3))] == ["used"]


def test_the_function_is_seen_too() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.slopes = nn.Parameter(torch.tensor([0.5, -0.5]))

        def forward(self, x: Any) -> Any:
            return nn.functional.prelu(self.fc(x), weight=self.slopes)

    (layer,) = _layers(_Net(lambda self, x: self.body(x), body=Functional()), _vector(3))
    assert (layer.name, layer.parameter) == ("body.slopes", "body.slopes")
    assert layer.slopes.tolist() == [[0.5, -0.5]]


def _where(self: Any, x: Any) -> Any:
    return torch.where(x > 0, x, self.alpha * x)


def _clamp(self: Any, x: Any) -> Any:
    return x.clamp(min=0) + self.alpha * x.clamp(max=0)


def _relu_pair(self: Any, x: Any) -> Any:
    return torch.relu(x) - self.alpha * torch.relu(-x)


def _leaky(self: Any, x: Any) -> Any:
    return torch.where(x > 0, x, 0.1 * x) + 0 * self.alpha


def _swish(self: Any, x: Any) -> Any:
    return x * torch.sigmoid(self.alpha * x)


def _shift(self: Any, x: Any) -> Any:
    return x + self.alpha


class _HandWritten(nn.Module):
    def __init__(self, formula: Any, slope: Any) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.as_tensor(slope))
        self._formula = formula

    def forward(self, x: Any) -> Any:
        return self._formula(self, x)


@pytest.mark.parametrize("formula", [_where, _clamp, _relu_pair])
@pytest.mark.parametrize("slope", [0.75, [0.75], [[[0.5]], [[-2.0]]]])
def test_hand_written_modules_are_layers(formula: Any, slope: Any) -> None:
    (layer,) = _layers(nn.Sequential(_HandWritten(formula, slope)), _fed(2, 4, 5))
    assert (layer.name, layer.form) == ("0", "_HandWritten")
    assert layer.slopes.reshape(-1).tolist() == torch.as_tensor(slope).reshape(-1).tolist()
    assert layer.sharing == ("channel-wise" if layer.slopes.size == 2 else "channel-shared")


@pytest.mark.parametrize("formula", [_leaky, _swish, _shift])
def test_what_only_resembles_prelu_is_no_layer(formula: Any) -> None:
    assert _layers(nn.Sequential(_HandWritten(formula, 0.75)), _fed(4)) == ()


# Outputs and modes


class _Pair(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize(
    ("result", "names", "n_unnamed"),
    [
        (lambda x: x, ["output"], 1),
        (lambda x: (x, x + 1), ["output_0", "output_1"], 2),
        (lambda x: [x], ["output_0"], 1),
        (lambda x: {"z": x, "output": x + 1}, ["z", "output"], 0),
        (lambda x: _Pair(x, x + 1), ["first", "second"], 0),
        (lambda x: {"a": (x, None), "b": x}, ["a.output_0", "b"], 1),
        (lambda x: {"a": {"b": x}, "a.b": x}, ["a.b"], 0),
        (lambda x: {"x": x, "b": x}, ["x_1", "b"], 1),
    ],
)
def test_outputs_have_names_whatever_they_are_nested_in(
    result: Any, names: list[str], n_unnamed: int
) -> None:
    net = _Net(lambda self, x: result(self.act(x)), act=_prelu([0.5]))
    source = source_of(net, _vector(2))
    assert source.unnamed == set(names[:n_unnamed])
    with source.runner() as runner:
        found = runner.run({"x": np.array([[-1.0, 1.0]], np.float32)})
    assert list(found) == names
    assert found[names[0]].tolist() == [[-0.5, 1.0]]


def test_the_module_runs_in_inference_mode() -> None:
    net = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(2), _prelu([0.5])).train()
    with source_of(net, _fed(2)).runner() as runner:
        x = np.array([[-1.0, 1.0], [-3.0, 5.0]], np.float32)
        found = runner.run({"input": x})["output"]
    np.testing.assert_allclose(found, np.where(x < 0, 0.5 * x, x), rtol=1e-4)
    assert net[1].num_batches_tracked == 0


def test_inputs_that_do_not_fit_are_said() -> None:
    with pytest.raises(
        PReLUToolsError, match=r"fails on inputs \(input of shape 2x7\) with RuntimeError"
    ):
        _layers(nn.Sequential(nn.Linear(3, 2)), _fed(7))


# Coverage


def _reached(module: Any, x: Array, fed: InputOption) -> dict[str, list[bool]]:
    source = source_of(module, fed)
    book = coverage(source, {fed.name: np.asarray(x, np.float32)})
    return {layer.name: book.reached(layer.name).tolist() for layer in source.layers()}


@pytest.fixture
def images() -> Array:
    x = np.ones((2, 3, 2, 2), np.float32)
    x[1, 2, 0, 1] = -1
    return x


def test_a_slope_is_reached_where_its_channel_is_negative(images: Array) -> None:
    net = nn.Sequential(_prelu([0.1, 0.2, 0.3]))
    assert _reached(net, images, _fed(3, 2, 2)) == {"0": [False, False, True]}
    assert _reached(net, abs(images), _fed(3, 2, 2)) == {"0": [False, False, False]}


def test_a_hand_written_layer_is_watched_too(images: Array) -> None:
    net = nn.Sequential(_HandWritten(_where, [[[0.5]], [[0.25]], [[2.0]]]))
    assert _reached(net, images, _fed(3, 2, 2)) == {"0": [False, False, True]}


def test_both_uses_of_a_layer_count() -> None:
    net = _Net(lambda self, x: self.act(self.act(x) - 2), act=_prelu([0.5, 0.5]))
    assert _reached(net, [[1.0, 3.0]], _vector(2)) == {"act": [True, False]}
