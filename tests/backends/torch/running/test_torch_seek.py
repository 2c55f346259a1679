"""A torch module's gradients lead to inputs that reach slopes which draws do not reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observing import coverage, source_of
from seek_checks import limits, normal, seek, watched_seek

from prelu_tools.core.options import SourceOptions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn


def _source(module: Any, *example: int) -> Any:
    module.example_inputs = lambda: (torch.zeros(*example),)
    return source_of(module)


class _Where(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((4, 1, 1), 0.25))

    def forward(self, x: Any) -> Any:
        return torch.where(x > 0, x, self.alpha * x)


def _biased(act: Any, before: Any = None) -> Any:
    """The second channel is far above zero for all but strange inputs."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    with torch.no_grad():
        conv.bias.copy_(torch.tensor([0.0, 15.0, 0.0, 0.0]))
    return nn.Sequential(*([before] if before else []), conv, act)


_EACH = pytest.mark.parametrize("act", [lambda: nn.PReLU(4), _Where], ids=["module", "where"])


@_EACH
def test_a_channel_of_large_bias_is_reached(act: Any) -> None:
    source = _source(_biased(act()), 1, 3, 6, 6)
    start = {"input": normal(16, 3, 6, 6)}
    assert coverage(source, start).unreached() == ("1[1]",)
    book, batches = seek(source, start, limits())
    assert book.unreached() == ()
    assert {feeds["input"].dtype for feeds in batches} == {np.dtype(np.float32)}


@_EACH
def test_only_its_own_runs_are_told_to_an_open_runner(act: Any) -> None:
    source = _source(_biased(act()), 1, 3, 6, 6)
    assert watched_seek(source, {"input": normal(4, 3, 6, 6)}, limits()).unreached() == ()


@pytest.mark.parametrize("whole", [True, False])
def test_a_batch_of_one_is_enough(whole: bool) -> None:
    source = _source(_biased(nn.PReLU(4)), 1, 3, 6, 6)
    book, batches = seek(source, {"input": abs(normal(1, 3, 6, 6))}, limits(whole=whole))
    assert book.unreached() == ()
    assert {feeds["input"].shape for feeds in batches} == {(1, 3, 6, 6)}


def test_a_program_with_a_fixed_batch_of_one_is_searched() -> None:
    from prelu_tools.backends.torch.files.program import ProgramSource

    program = torch.export.export(_biased(nn.PReLU(4)).eval(), (torch.zeros(1, 3, 6, 6),))
    source = ProgramSource(program, "net.pt2", SourceOptions())
    book, _ = seek(source, {"input": normal(1, 3, 6, 6)}, limits(whole=True))
    assert book.unreached() == ()


class _Above(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.relu(x) + 1


def test_a_slope_that_nothing_reaches_is_not_found() -> None:
    source = _source(nn.Sequential(nn.Linear(3, 2), _Above(), nn.PReLU(2)), 1, 3)
    book, batches = seek(source, {"input": normal(4, 3)}, limits())
    assert (book.unreached(), batches) == (("2[0]", "2[1]"), [])


@pytest.mark.parametrize("first", [True, False])
def test_either_call_of_a_layer_will_do(first: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.act = nn.Linear(3, 2), nn.PReLU(2)

        def forward(self, input: Any) -> Any:  # noqa: A002
            free, above = self.fc(input) + 8, torch.relu(input[:, :2]) + 40
            before, after = (free, above) if first else (above, free)
            return self.act(before) + self.act(after)

    book, _ = seek(_source(Net(), 1, 3), {"input": normal(4, 3)}, limits())
    assert book.unreached() == ()


def test_gradients_leave_no_trace_on_the_module() -> None:
    net = _biased(nn.PReLU(4))
    before = [p.detach().clone() for p in net.parameters()]
    seek(_source(net, 1, 3, 6, 6), {"input": normal(2, 3, 6, 6)}, limits())
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_module_that_changes_its_input_in_place_is_searched() -> None:
    class InPlace(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mul_(0.5)

    source = _source(_biased(nn.PReLU(4), before=InPlace()), 1, 3, 6, 6)
    start = {"input": normal(4, 3, 6, 6)}
    before = start["input"].copy()
    book, _ = seek(source, start, limits())
    assert book.unreached() == ()
    assert np.array_equal(start["input"], before)


def test_a_module_without_gradients_is_searched_in_vain() -> None:
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(_Above(), nn.PReLU(3))

        def forward(self, input: Any) -> Any:  # noqa: A002
            with torch.no_grad():
                return self.inner(input)

    book, batches = seek(_source(Blind(), 1, 3), {"input": normal(2, 3)}, limits())
    assert (book.exercised, batches) == (0, [])


def test_integers_are_left_alone() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.act = nn.Embedding(5, 3), nn.PReLU(3)

        def forward(self, tokens: Any, shift: Any) -> Any:
            return self.act(self.table(tokens) + shift + 9)

        def example_inputs(self) -> Any:
            return torch.zeros(1, dtype=torch.int64), torch.zeros(1, 3)

    source = source_of(Net())
    start = {"tokens": np.array([0, 3, 4]), "shift": normal(3, 3)}
    book, batches = seek(source, start, limits())
    assert book.unreached() == ()
    assert {value for feeds in batches for value in feeds["tokens"].tolist()} <= {0, 3, 4}
