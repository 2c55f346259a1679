"""Classification: what other nets are built on."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import ChannelAttention, Residual, conv
from benchmarks.honest.registry import net, normal, uniform


def _head(c: int, classes: int = 10) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes))


class _Dense(nn.Module):
    def __init__(self, i: int, grow: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(i), nn.PReLU(i), nn.Conv2d(i, 2 * grow, 1, bias=False),
            nn.BatchNorm2d(2 * grow), nn.PReLU(2 * grow),
            nn.Conv2d(2 * grow, grow, 3, 1, 1, bias=False),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], 1)


@net(
    "DenseNet-BC, Huang et al. 2017, arXiv:1608.06993",
    x=normal("batch", 3, 20, 20),
    task="classify",
)
class DenseNet(nn.Module):
    """Norm and PReLU before each convolution; everything is joined."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1), *(_Dense(8 + 6 * n, 6) for n in range(3)),
            conv(26, 13, 1), nn.AvgPool2d(2), *(_Dense(13 + 6 * n, 6) for n in range(3)),
        )  # fmt: skip
        self.head = _head(31)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class _Shuffle(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.body = nn.Sequential(conv(c, c, 1), conv(c, c, groups=c, act=False), conv(c, c, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, 1)
        x = torch.cat([left, self.body(right)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


@net(
    "ShuffleNet V2, Ma et al. 2018, arXiv:1807.11164",
    x=normal("batch", 3, 32, 32),
    task="classify",
    fast=True,
)
class ShuffleNet(nn.Module):
    """Half of the channels pass, then they are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 12, 3, 2), nn.MaxPool2d(3, 2, 1), _Shuffle(6), _Shuffle(6), conv(12, 24, 3, 2),
            _Shuffle(12), conv(24, 32, 1),
        )  # fmt: skip
        self.head = _head(32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class _Ghost(nn.Module):
    def __init__(self, i: int, o: int):
        super().__init__()
        self.main, self.cheap = conv(i, o // 2, 1), conv(o // 2, o // 2, groups=o // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.main(x)
        return torch.cat([x, self.cheap(x)], 1)


@net("GhostNet, Han et al. 2020, arXiv:1911.11907", x=normal("batch", 3, 24, 24), task="classify")
class GhostNet(nn.Module):
    """Half of the maps are made from the other half; squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 12, 3, 2)
        self.parts = nn.ModuleList(
            nn.Sequential(_Ghost(12, 20), ChannelAttention(20), _Ghost(20, 12)) for _ in range(2)
        )
        self.head = _head(12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for part in self.parts:
            x = x + part(x)
        return self.head(x)


@net("SE-ResNet, Hu et al. 2018, arXiv:1709.01507", x=normal("batch", 3, 21, 21), task="classify")
class SEResNet(nn.Module):
    """Odd sizes; PReLU after each sum."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 12), Residual(12, last=True), ChannelAttention(12), conv(12, 20, 3, 2),
            Residual(20, last=True), ChannelAttention(20), Residual(20, last=True),
        )  # fmt: skip
        self.head = _head(20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class _Cardinal(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.body = nn.Sequential(conv(c, c, 1), conv(c, c, groups=4), conv(c, c, 1, act=False))
        self.act = nn.PReLU(c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.body(x))


@net("ResNeXt, Xie et al. 2017, arXiv:1611.05431", x=normal("batch", 3, 16, 16), task="classify")
class ResNeXt(nn.Module):
    """Grouped convolutions; as many channels as rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16), _Cardinal(16), _Cardinal(16), _Cardinal(16))
        self.head = _head(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@net(
    "PReLU-net, He et al. 2015, arXiv:1502.01852",
    x=uniform(-2, 2, "batch", 3, 30, 30),
    task="classify",
)
class PReLUNet(nn.Module):
    """Spatial pyramid pooling, two dense layers with Dropout, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 7, 2, 2), nn.PReLU(12), nn.MaxPool2d(2, 2),
            nn.Conv2d(12, 16, 2), nn.PReLU(16), nn.Conv2d(16, 16, 2, padding=1), nn.PReLU(16),
        )  # fmt: skip
        self.dense = nn.Sequential(
            nn.Linear(16 * 14, 32), nn.PReLU(32), nn.Dropout(), nn.Linear(32, 10), nn.Softmax(1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        # Windows and strides for maps of 7 by 7, as in the paper that this pooling is from.
        parts = [F.max_pool2d(x, k, s).flatten(1) for k, s in ((7, 7), (4, 3), (3, 2))]
        return self.dense(torch.cat(parts, 1))


@net(
    "Plain and residual nets of 80 layers, He et al. 2016, arXiv:1512.03385",
    x=normal("batch", 3, 8, 8),
)
class Deep80(nn.Module):
    """Forty residual blocks of two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8), *(Residual(8, last=True) for _ in range(40)))
        self.head = _head(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@net("HRNet, Sun et al. 2019, arXiv:1902.09212", x=normal("batch", 3, 24, 16))
class HRNet(nn.Module):
    """Two resolutions side by side that exchange what they have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, 2)
        self.fine, self.coarse = Residual(8), nn.Sequential(conv(8, 12, 3, 2), Residual(12))
        self.up, self.down = conv(12, 8, 1, act=False), conv(8, 12, 3, 2, act=False)
        self.acts = nn.ModuleList([nn.PReLU(8), nn.PReLU(12)])
        self.out = nn.Conv2d(20, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        fine, coarse = self.fine(x), self.coarse(x)
        up = F.interpolate(self.up(coarse), size=fine.shape[2:], mode="nearest")
        fine, coarse = self.acts[0](fine + up), self.acts[1](coarse + self.down(fine))
        coarse = F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True)
        return self.out(torch.cat([fine, coarse], 1))


@net(
    "MobileNetV3's blocks, Howard et al. 2019, arXiv:1905.02244",
    x=uniform(0, 1, "batch", 3, 32, 32),
    task="classify",
)
class MobileNetV3(nn.Module):
    """Inverted residuals with hard sigmoid gates and hard swish beside PReLU; the mean inside."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.stem = nn.Sequential(conv(3, 8, 3, 2, act=False), nn.Hardswish())
        self.wide = nn.Sequential(conv(8, 24, 1), conv(24, 24, 5, 1, groups=24))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 6, 1), nn.PReLU(6),
                                  nn.Conv2d(6, 24, 1), nn.Hardsigmoid())  # fmt: skip
        self.narrow, self.head = conv(24, 8, 1, act=False), _head(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem((x - self.mean) / self.deviation)
        y = self.wide(x)
        return self.head(x + self.narrow(y * self.gate(y)))
