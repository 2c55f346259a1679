"""Slopes that are left out of weight decay, and trainings in several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import environment

from prelu_tools.core.errors import UsageError
from prelu_tools.core.files.slope_log import read_log
from prelu_tools.training import slope_parameter_groups

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.torch


class Scaled(nn.Module):  # type: ignore[misc,name-defined]
    """A PReLU whose slope is the product of two parameters, beside a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.base = nn.Parameter(torch.full((3,), 0.5)), nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Any) -> Any:
        x = x + self.bias
        return x.clamp(min=0) + self.gain * self.base * x.clamp(max=0)

    def example_inputs(self) -> Any:
        return torch.zeros(2, 3)


def _slopes(model: Any, **options: Any) -> set[str]:
    others, slopes = slope_parameter_groups(model, 0.01, **options)
    assert (others["weight_decay"], slopes["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [names[id(parameter)] for parameter in (*others["params"], *slopes["params"])]
    assert sorted(found) == sorted(names.values())  # each once
    torch.optim.AdamW([others, slopes])
    return {names[id(parameter)] for parameter in slopes["params"]}


def test_all_that_a_slope_comes_from() -> None:
    assert _slopes(Scaled()) == {"gain", "base"}


def test_a_weight_that_is_parametrized() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.PReLU(3))
    nn.utils.parametrizations.weight_norm(model[1], dim=None)
    found = _slopes(model, example_inputs=torch.zeros(2, 3))
    assert found == {f"1.parametrizations.weight.original{n}" for n in (0, 1)}


def test_shared_slopes_are_one_parameter() -> None:
    act = nn.PReLU()
    model = nn.Sequential(nn.Linear(3, 3), act, nn.Linear(3, 3), act)
    assert _slopes(model, example_inputs=torch.zeros(2, 3)) == {"1.weight"}


def test_without_examples_names_and_classes_tell() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(3, 3), nn.LayerNorm(3, bias=False)
            self.act, self.alpha = nn.PReLU(3), nn.Parameter(torch.ones(3))

    assert _slopes(Net()) == {"act.weight", "alpha"}


def test_where_there_is_nothing_to_leave_out() -> None:
    with pytest.raises(UsageError, match="no slopes were found in Linear"):
        slope_parameter_groups(nn.Linear(3, 3), 0.01)
    with pytest.raises(UsageError, match="the example inputs do not fit Sequential"):
        slope_parameter_groups(
            nn.Sequential(nn.Linear(3, 3), nn.PReLU()), 0.01, example_inputs=torch.zeros(2, 5)
        )


def test_decay_moves_what_is_in_it_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.PReLU(3))
    optimizer = torch.optim.SGD(slope_parameter_groups(model, 0.5), lr=0.1)
    weight = model[0].weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert model[1].weight.tolist() == [0.25] * 3
    torch.testing.assert_close(model[0].weight, 0.95 * weight)


RANK = """
import sys
import torch
from torch import nn
from prelu_tools.training import TorchSlopeLogger
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
net = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(3, 3), nn.PReLU(3)))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
torch.manual_seed(rank)
with TorchSlopeLogger(net, optimizer, f"{folder}/rank-{rank}", every=2, tensorboard=False):
    for _ in range(4):
        optimizer.zero_grad()
        net(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_of_two_processes_the_first_writes(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path)],
            stderr=subprocess.PIPE, text=True, env=environment(OMP_NUM_THREADS="1"),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    records, _ = read_log(tmp_path / "rank-0" / "slopes.jsonl")
    assert [(record.step, record.layers[0].name) for record in records] == [
        (0, "1"), (2, "1"), (4, "1"),
    ]  # fmt: skip
    assert not (tmp_path / "rank-1").exists()
