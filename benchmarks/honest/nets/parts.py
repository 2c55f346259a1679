"""What the torch nets have in common."""

from __future__ import annotations

import torch
from torch import nn


def conv(i: int, o: int, k: int = 3, s: int = 1, *, groups: int = 1, norm: bool = True,
         act: bool = True, dilation: int = 1, shared: bool = False) -> nn.Sequential:  # fmt: skip
    """Convolution of odd kernels with its sizes kept, then BatchNorm and PReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(i, o, k, s, dilation * (k // 2), dilation, groups, bias=not norm)
    ]
    if norm:
        layers.append(nn.BatchNorm2d(o))
    if act:
        layers.append(nn.PReLU(1 if shared else o))
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions and what came in (He et al. 2016)."""

    def __init__(self, c: int, *, norm: bool = True, last: bool = False, scale: float = 1.0):
        super().__init__()
        self.body = nn.Sequential(conv(c, c, norm=norm), conv(c, c, norm=norm, act=False))
        self.last = nn.PReLU(c) if last else nn.Identity()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x + self.scale * self.body(x))


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, c: int, r: int = 2):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c // r, 1), nn.PReLU(), nn.Conv2d(c // r, c, 1),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(x)
