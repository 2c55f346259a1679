"""What Python code decides by numbers: seen where it matters, and where the inputs depend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prelu_tools.backends.torch.source import TorchSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption, SourceOptions
from prelu_tools.core.results.verification.decisions import Decision

pytestmark = pytest.mark.torch

TRUE, FALSE = "evaluated to true", "evaluated to false"
Forward = Callable[["Net", torch.Tensor], Any]


class Net(nn.Module):
    """Two PReLU, and what is made of them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.a, self.b = nn.PReLU(3, init=0.5), nn.PReLU(3, init=-0.25)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.does = forward

    def forward(self, x: torch.Tensor) -> Any:
        """As it was told."""
        return self.does(self, x)


def _source(forward: Forward) -> TorchSource:
    options = SourceOptions(inputs=(InputOption("x", ("batch", 3)),))
    return TorchSource(Net(forward).eval(), "net", options)


def _decisions(forward: Forward, *runs: Any) -> list[Decision]:
    feeds = [{"x": np.array(run, np.float32)} for run in runs or (UP,)]
    return list(_source(forward).decisions(feeds))


UP, DOWN, HIGH = [[1.0, 2.0, 3.0]], [[-1.0, -2.0, -3.0]], [[900.0, 1.0, 1.0]]


def _by_mean(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if x.mean() > 0 else net.b(x)


def _by_item(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if x.max().item() > 500 else net.b(x)


def _by_computed_item(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if abs(2 * x.max().item() - 1.0) / 2 > 500 else net.b(x)


def _by_list(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if max(x[0].tolist()) > 500 else net.b(x)


def _by_conditional(net: Net, x: torch.Tensor) -> Any:
    return torch.cond(x.max() > 500, net.a, net.b, (x,))


def _by_size_of_number(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) * (2.0 if x.max().item() > 500 else 1.0)


def _by_equality(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if torch.equal(x, x.abs()) else net.b(x)


def _by_in_place(net: Net, x: torch.Tensor) -> Any:
    kept = torch.zeros(3)
    kept.add_(x[0])
    return net.a(x) if kept.sum() > 0 else net.b(x)


@pytest.mark.parametrize(
    ("forward", "other"),
    [
        (_by_mean, DOWN),
        (_by_item, HIGH),
        (_by_computed_item, HIGH),
        (_by_conditional, HIGH),
        (_by_size_of_number, HIGH),
        (_by_equality, DOWN),
        (_by_in_place, DOWN),
    ],
)
def test_a_condition_is_seen_with_the_ways_that_it_took(forward: Forward, other: Any) -> None:
    (one,) = _decisions(forward)
    assert len(one.taken) == 1
    assert one.name.startswith("the condition at test_torch_deciding.py:")
    (both,) = _decisions(forward, UP, other)
    assert both.taken == {TRUE, FALSE}
    assert both.name == one.name


def test_the_line_is_the_user_s() -> None:
    (found,) = _decisions(_by_mean)
    line = _by_mean.__code__.co_firstlineno + 1
    assert found.name == f"the condition at test_torch_deciding.py:{line}"


def _by_two(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if x.max() > 500 or x.min() < -500 else net.b(x)


def test_two_conditions_of_a_line_are_two() -> None:
    names = [one.name for one in _decisions(_by_two, UP, DOWN)]
    assert len(set(names)) == 2
    assert names[1] == f"{names[0]} (2)"


def test_numbers_of_a_list_are_compared_one_by_one() -> None:
    assert {way for one in _decisions(_by_list, UP, HIGH) for way in one.taken} == {TRUE, FALSE}


def _by_float(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) if float(x.max()) > 500 else net.b(x)


def _by_count(net: Net, x: torch.Tensor) -> Any:
    for _ in range(int((x > 100).sum())):
        x = net.a(x)
    return net.b(x)


@pytest.mark.parametrize("forward", [_by_float, _by_count])
def test_a_number_that_decides_is_seen(forward: Forward) -> None:
    (one,) = _decisions(forward, UP, DOWN)
    assert one.name.startswith("the number read at test_torch_deciding.py:")
    assert one.untaken
    (other,) = _decisions(forward, UP, HIGH)
    assert not other.untaken


def _asserts(net: Net, x: torch.Tensor) -> Any:
    assert (x.abs() < 1e9).all()
    torch._check(x.max().item() < 1e9)
    if x.min() < -1e9:
        raise ValueError("out of range")
    return net.a(x)


def _by_parameter(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) * net.scale.item() if net.scale > 0 else net.b(x)


def _by_shape(net: Net, x: torch.Tensor) -> Any:
    same = torch.zeros_like(x).sum() == 0
    return net.a(x) if same and len(x) > 0 and x.new_ones(2).max() > 0 else net.b(x)


def _logs(net: Net, x: torch.Tensor) -> Any:
    noted = []
    if x.mean() > 0:
        noted.append("positive")
    return net.a(x)


def _scales(net: Net, x: torch.Tensor) -> Any:
    return net.a(x) * x.max().item()


@pytest.mark.parametrize("forward", [_asserts, _by_parameter, _by_shape, _logs, _scales])
def test_what_decides_nothing_is_no_decision(forward: Forward) -> None:
    assert _decisions(forward, UP) == []
    assert all(not one.untaken for one in _decisions(forward, UP, DOWN))


def test_a_module_that_decides_nothing_is_run_twice_and_no_more() -> None:
    ran = []

    def forward(net: Net, x: torch.Tensor) -> Any:
        ran.append(len(x))
        return net.a(x)

    source = _source(forward)
    source.layers()
    ran.clear()
    feeds = [{"x": np.zeros((rows, 3), np.float32)} for rows in (4, 1, 2)]
    assert source.decisions(feeds) == ()
    assert ran == [1, 4]
    assert source.decisions(feeds) == ()
    assert ran == [1, 4]


def _never_ends(net: Net, x: torch.Tensor) -> Any:
    while x.mean() > 0:
        x = x - 1.0
    return net.a(x)


def test_a_loop_that_another_value_would_not_leave_is_given_up() -> None:
    (one,) = _decisions(_never_ends, DOWN)
    assert one.taken == {FALSE}
    (both,) = _decisions(_never_ends, UP)
    assert both.taken == {TRUE, FALSE}


def _refuses(net: Net, x: torch.Tensor) -> Any:
    if x.max() > 500:
        raise ValueError("too large")
    return net.a(x)


def test_inputs_that_the_module_refuses_are_refused() -> None:
    with pytest.raises(PReLUToolsError, match="too large"):
        _decisions(_refuses, HIGH)


def _has_attention(net: Net, x: torch.Tensor) -> Any:
    attention = nn.functional.scaled_dot_product_attention(x, x, x)
    return net.a(nn.functional.dropout(attention, 0.5, net.training))


def test_library_code_decides_nothing_here() -> None:
    assert _decisions(_has_attention) == []
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation=nn.PReLU(), batch_first=True).eval()
    options = SourceOptions(inputs=(InputOption("src", ("batch", 3, 4)),))
    feeds = {"src": np.zeros((2, 3, 4), np.float32)}
    assert TorchSource(layer, "layer", options).decisions([feeds]) == ()
