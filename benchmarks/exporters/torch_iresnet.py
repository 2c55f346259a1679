"""IResNet-50 in PyTorch, with seeded weights that take no calibration."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.nets.faces import IResNet50
from benchmarks.nets.start import draw_slopes


class Net(IResNet50):
    """The net with an input to be exported with."""

    def example_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return one face."""
        return (torch.zeros(1, 3, 112, 112),)


def iresnet50() -> nn.Module:
    """Build the net."""
    torch.manual_seed(0)
    net = Net()
    draw_slopes(net)
    return net.eval()
