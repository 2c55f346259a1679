"""Random numbers that a module draws: told of where an output depends on them, however seldom."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prelu_tools.backends.torch.running.drawing import drawings, states
from prelu_tools.backends.torch.source import TorchSource
from prelu_tools.core.options import InputOption, SourceOptions

pytestmark = pytest.mark.torch

Forward = Callable[[torch.Tensor], torch.Tensor]
X = np.arange(6, dtype=np.float32).reshape(2, 3) + 1


class Net(nn.Module):
    """A PReLU, and what is made of it."""

    def __init__(self, after: Forward) -> None:
        super().__init__()
        self.act, self.after = nn.PReLU(3), after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call both."""
        return self.after(self.act(x))


def _parts(after: Forward) -> list[str]:
    options = SourceOptions(inputs=(InputOption("x", ("batch", 3)),))
    source = TorchSource(Net(after).eval(), "net", options)
    assert source.random_parts() == ()
    source.run({"x": X}, None)
    before = states()
    found = [part.text for part in source.random_parts()]
    assert states() == before
    assert [part.text for part in source.random_parts()] == found
    return found


def _seldom(y: torch.Tensor) -> torch.Tensor:
    return y + 1.0 if torch.rand(()) < 1e-4 else y


def _far_out(y: torch.Tensor) -> torch.Tensor:
    return y + 1.0 if torch.randn(()).abs() > 6 else y


def _seldom_in_python(y: torch.Tensor) -> torch.Tensor:
    return y + 1.0 if random.random() > 0.9999 else y


def _drops_seldom(y: torch.Tensor) -> torch.Tensor:
    return nn.functional.dropout(y, 1e-6, training=True)


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (torch.nn.functional.dropout, "dropout"),
        (lambda y: y + torch.randn_like(y), "randn_like"),
        (lambda y: y + y.new_zeros(3).uniform_(), "uniform_"),
        (_seldom, "rand"),
        (_far_out, "randn"),
        (_drops_seldom, "dropout"),
    ],
)
def test_what_is_drawn_is_named_with_its_line(after: Any, name: str) -> None:
    (text,) = _parts(after)
    assert text.split(" ")[0] == name


def test_the_line_is_the_user_s() -> None:
    line = _seldom.__code__.co_firstlineno + 1
    assert _parts(_seldom) == [f"rand at test_torch_drawing.py:{line}"]


@pytest.mark.parametrize(
    "after", [_seldom_in_python, lambda y: y + float(np.random.standard_normal())]
)
def test_python_and_numpy_draw_too(after: Forward) -> None:
    assert _parts(after) == ["the module's own code"]


def test_a_normal_number_that_numpy_keeps_for_later_is_drawn_too() -> None:
    np.random.seed(0)
    np.random.standard_normal()
    assert np.random.get_state()[3] == 1
    assert _parts(lambda y: y + float(np.random.standard_normal())) == ["the module's own code"]


def _unused(y: torch.Tensor) -> torch.Tensor:
    noise = torch.randn_like(y)
    return y + noise if y.requires_grad else y


@pytest.mark.parametrize("after", [nn.Identity(), _unused, nn.Dropout().eval()])
def test_what_changes_no_output_is_not_told(after: Forward) -> None:
    assert _parts(after) == []


def test_generators_are_left_as_they_were_where_the_module_fails() -> None:
    def run() -> Any:
        torch.rand(3), random.random(), np.random.standard_normal()
        raise ValueError("no")

    before = states()
    with pytest.raises(ValueError, match="no"):
        drawings(run)
    assert states() == before
