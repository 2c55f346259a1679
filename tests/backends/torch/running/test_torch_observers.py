"""What the observer of a torch module, or of an exported program, is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observing import Told, observed, source_of

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption, SourceOptions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn
Array = Any

SLOPES = [0.25, -0.5, 2.0]


class _Where(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(SLOPES).reshape(3, 1, 1))

    def forward(self, x: Any) -> Any:
        return torch.where(x > 0, x, self.alpha * x)


class _Function(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(SLOPES))

    def forward(self, x: Any) -> Any:
        return nn.functional.prelu(x, self.slopes)


def _module() -> Any:
    act = nn.PReLU(3)
    with torch.no_grad():
        act.weight.copy_(torch.tensor(SLOPES))
    return act


class _Net(nn.Module):
    """One layer, called twice, with something else between."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: Any) -> Any:
        return self.act(self.act(x).flip(1) - 1)

    def example_inputs(self) -> Any:
        return (torch.zeros(2, 3, 4, 5),)


def _program(module: Any) -> Any:
    from prelu_tools.backends.torch.files.program import ProgramSource

    exported = torch.export.export(
        module.eval(), module.example_inputs(), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    return ProgramSource(exported, "net.pt2", SourceOptions())


def _images(rows: int = 2) -> Array:
    return np.random.default_rng(0).normal(size=(rows, 3, 4, 5)).astype(np.float32)


_EACH = pytest.mark.parametrize(
    ("act", "opened", "name"),
    [
        pytest.param(_module, source_of, "act", id="module"),
        pytest.param(_Function, source_of, "act", id="function"),
        pytest.param(_Where, source_of, "act", id="where"),
        pytest.param(_module, _program, "act", id="program"),
        pytest.param(_Function, _program, "act", id="function in a program"),
    ],
)


@_EACH
def test_every_call_is_told_with_its_input_and_its_output(act: Any, opened: Any, name: str) -> None:
    source = opened(_Net(act()))
    x = _images()
    told = observed(source, {"x": x})
    assert told.numbers == [(name, 0), (name, 1)]
    (_, _, first_x, first_y), (_, _, second_x, second_y) = told.calls
    slopes = np.array(SLOPES, np.float32).reshape(1, 3, 1, 1)
    assert np.array_equal(first_x, x)
    assert np.array_equal(first_y, np.where(x > 0, x, slopes * x))
    assert np.array_equal(second_x, first_y[:, ::-1] - 1)
    assert np.array_equal(second_y, np.where(second_x > 0, second_x, slopes * second_x))


@_EACH
def test_numbers_begin_anew_in_each_run(act: Any, opened: Any, name: str) -> None:
    told = Told()
    with opened(_Net(act())).runner(told) as runner:
        runner.run({"x": _images()})
        runner.run({"x": _images(3)})
    assert [number for _, number in told.numbers] == [0, 1, 0, 1]
    assert [len(x) for _, _, x, _ in told.calls] == [2, 2, 3, 3]


@_EACH
def test_observing_changes_no_output(act: Any, opened: Any, name: str) -> None:
    source = opened(_Net(act()))
    with source.runner() as plain, source.runner(Told()) as watched:
        for feeds in ({"x": _images()}, {"x": _images(1)}):
            (left,), (right,) = plain.run(feeds).values(), watched.run(feeds).values()
            assert left.tobytes() == right.tobytes()


@_EACH
def test_a_layer_by_itself_is_that_layer(act: Any, opened: Any, name: str) -> None:
    source = opened(_Net(act()))
    alone = source.activation(name)
    for rows in (1, 5):
        x = _images(rows)
        wanted = np.where(x > 0, x, np.array(SLOPES, np.float32).reshape(3, 1, 1) * x)
        assert np.array_equal(alone(x), wanted)
    with pytest.raises(PReLUToolsError, match="other cannot be called in isolation"):
        source.activation("other")


@_EACH
def test_the_wide_runner_tells_of_the_same_calls_in_float64(
    act: Any, opened: Any, name: str
) -> None:
    source = opened(_Net(act()))
    told = Told()
    with source.wide_runner(told) as runner:
        runner.run({"x": _images()})
        runner.run({"x": _images()})
    assert told.numbers == [(name, 0), (name, 1)] * 2
    assert {x.dtype for _, _, x, _ in told.calls} == {np.dtype(np.float64)}
    told.check(source.layers())
    assert np.array_equal(told.calls[0][2], _images())


@pytest.mark.filterwarnings("error")
@_EACH
def test_a_layer_by_itself_takes_arrays_that_are_read_only(
    act: Any, opened: Any, name: str
) -> None:
    x = _images()
    x.flags.writeable = False
    source = opened(_Net(act()))
    assert np.array_equal(source.activation(name)(x), source.activation(name)(x.copy()))


def test_layers_are_told_in_the_order_of_their_calls_and_nothing_else_is() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.early = nn.PReLU(3), nn.PReLU()
            self.dense = nn.Linear(3, 3, bias=False)  # one parameter, and the shape is kept
            self.own = _Shift()

        def forward(self, x: Any) -> Any:
            return self.late(self.own(self.dense(self.early(x))))

    source = source_of(Net().eval(), InputOption("x", ("batch", 3)))
    told = observed(source, {"x": np.array([[-1.0, 2.0, -3.0]], np.float32)})
    assert told.numbers == [("early", 0), ("late", 0)]
    told.check(source.layers())


class _Shift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.ones(3))

    def forward(self, x: Any) -> Any:
        return x + self.shift


def test_modules_that_share_a_parameter_are_calls_of_one_layer() -> None:
    first, second = nn.PReLU(3), nn.PReLU(3)
    second.weight = first.weight
    net = nn.Sequential(first, _Shift(), second)
    net.example_inputs = lambda: (torch.zeros(2, 3),)
    source = source_of(net)
    x = np.array([[-1.0, -2.0, 3.0]], np.float32)
    assert observed(source, {"input": x}).numbers == [("0", 0), ("0", 1)]
    wide = Told()
    with source.wide_runner(wide) as runner:
        runner.run({"input": x})
    assert wide.numbers == [("0", 0), ("0", 1)]
    wide.check(source.layers())
