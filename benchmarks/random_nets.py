"""Nets of every kind with PReLU, made at random from a seed: for the benchmarks that need many."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import nn


class Net(nn.Module):
    """Convolutions, PReLU of every kind, BatchNorm, residual adds, pooling and heads."""

    def __init__(self, seed: int) -> None:
        """Choose and initialise everything from the seed."""
        super().__init__()
        torch.manual_seed(seed)
        choose = random.Random(seed)
        self.residual = choose.random() < 0.4
        self.size = choose.choice([12, 16, 24])
        width, channels = choose.choice([4, 8, 12, 16]), 3
        blocks: list[nn.Module] = []
        for _ in range(choose.randint(1, 6)):
            layers: list[nn.Module] = [_convolution(choose, channels, width)]
            if choose.random() < 0.5:
                layers.append(_normalised(width))
            layers.append(_activation(choose, width))
            blocks.append(nn.Sequential(*layers))
            channels = width
        self.blocks = nn.ModuleList(blocks)
        self.head = choose.choice(["map", "vector", "classes"])
        self.dense = nn.Linear(width, 10)
        self.last = nn.PReLU(10, init=choose.uniform(-0.5, 1.5))

    def forward(self, x: torch.Tensor) -> Any:
        """Images in, a map, a vector or probabilities out."""
        for block in self.blocks:
            y = block(x)
            x = x + y if self.residual and x.shape == y.shape else y
        if self.head == "map":
            return x
        vector = self.last(self.dense(x.mean(dim=(2, 3))))
        return vector if self.head == "vector" else vector.softmax(dim=1)

    def example_inputs(self) -> tuple[torch.Tensor, ...]:
        """One image."""
        return (torch.zeros(1, 3, self.size, self.size),)


def _convolution(choose: random.Random, channels: int, width: int) -> nn.Module:
    groups = width if channels == width and choose.random() < 0.3 else 1
    kernel = choose.choice([1, 3])
    layer = nn.Conv2d(channels, width, kernel, padding=kernel // 2, groups=groups)
    nn.init.normal_(layer.weight, 0.0, choose.choice([0.1, 0.3, 1.0]))
    return layer


def _normalised(width: int) -> nn.Module:
    layer = nn.BatchNorm2d(width)
    nn.init.uniform_(layer.weight, 0.5, 2.0)
    nn.init.normal_(layer.bias, 0.0, 0.5)
    nn.init.normal_(layer.running_mean, 0.0, 0.5)
    nn.init.uniform_(layer.running_var, 0.2, 3.0)
    return layer


def _activation(choose: random.Random, width: int) -> nn.Module:
    layer = nn.PReLU(choose.choice([1, width, width]))
    nn.init.normal_(layer.weight, 0.25, choose.choice([0.0, 0.2, 0.6]))
    return layer
