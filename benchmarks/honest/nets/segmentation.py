"""Segmentation of pictures and volumes."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import conv
from benchmarks.honest.registry import net, normal, uniform


class _EBlock(nn.Module):
    """ENet's bottleneck: 1x1, a convolution of some kind, 1x1, and PReLU after the sum."""

    def __init__(self, c: int, middle: nn.Module):
        super().__init__()
        self.body = nn.Sequential(
            conv(c, c // 2, 1), middle, nn.BatchNorm2d(c // 2), nn.PReLU(c // 2),
            conv(c // 2, c, 1), nn.Dropout2d(0.1),
        )  # fmt: skip
        self.out = nn.PReLU(c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x + self.body(x))


def _asymmetric(c: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c, c, (5, 1), padding=(2, 0)),
                         nn.Conv2d(c, c, (1, 5), padding=(0, 2)))  # fmt: skip


@net("ENet, Paszke et al. 2016, arXiv:1606.02147", x=uniform(0, 1, "batch", 3, 32, 40))
class ENet(nn.Module):
    """Dilated and asymmetric bottlenecks between a pool and transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 13, 3, 2, 1)
        self.norm = nn.Sequential(nn.BatchNorm2d(16), nn.PReLU(16))
        self.body = nn.Sequential(
            conv(16, 24, 3, 2), _EBlock(24, nn.Conv2d(12, 12, 3, 1, 1)),
            _EBlock(24, nn.Conv2d(12, 12, 3, 1, 2, 2)), _EBlock(24, _asymmetric(12)),
            _EBlock(24, nn.Conv2d(12, 12, 3, 1, 4, 4)),
        )  # fmt: skip
        self.up = nn.Sequential(
            nn.ConvTranspose2d(24, 16, 3, 2, 1, 1), nn.BatchNorm2d(16), nn.PReLU(16),
            nn.ConvTranspose2d(16, 5, 3, 2, 1, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(torch.cat([self.first(x), F.max_pool2d(x, 2)], 1))
        return self.up(self.body(x))


class _VBlock(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(c, c, 3, padding=1), nn.BatchNorm3d(c))
        self.act = nn.PReLU(c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.body(x))


@net("V-Net, Milletari et al. 2016, arXiv:1606.04797", x=normal("batch", 1, 8, 10, 12))
class VNet(nn.Module):
    """Volumes: strided and transposed 3-D convolutions, softmax over voxels."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv3d(1, 6, 5, padding=2), nn.PReLU(6))
        self.down = nn.Sequential(nn.Conv3d(6, 10, 2, 2), nn.PReLU(10), _VBlock(10), _VBlock(10))
        self.up = nn.Sequential(nn.ConvTranspose3d(10, 6, 2, 2), nn.PReLU(6))
        self.tail = nn.Sequential(nn.Conv3d(12, 6, 3, padding=1), nn.PReLU(6), nn.Conv3d(6, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        return self.tail(torch.cat([x, self.up(self.down(x))], 1)).softmax(1)


class _Gate(nn.Module):
    def __init__(self, c: int, g: int):
        super().__init__()
        self.x, self.g = conv(c, 6, 1, act=False), conv(g, 6, 1, act=False)
        self.act = nn.PReLU(6)
        self.psi = nn.Sequential(nn.Conv2d(6, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return x * self.psi(self.act(self.x(x) + self.g(g)))


@net(
    "Attention U-Net, Oktay et al. 2018, arXiv:1804.03999",
    x=normal("batch", 1, "height", "width"),
    sizes={"height": 16, "width": 22},
)
class AttentionUNet(nn.Module):
    """Skips that are gated; the decoder takes its sizes from the skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(1, 8), conv(8, 12), conv(12, 16)])
        self.up = nn.ModuleList([conv(28, 12), conv(20, 8)])
        self.gates = nn.ModuleList([_Gate(12, 16), _Gate(8, 12)])
        self.out = nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down[0](x)
        second = self.down[1](F.max_pool2d(first, 2))
        x = self.down[2](F.max_pool2d(second, 2))
        for layer, gate, skip in zip(self.up, self.gates, (second, first), strict=True):
            x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = layer(torch.cat([gate(skip, x), x], 1))
        return self.out(x)


class _Pyramid(nn.Module):
    def __init__(self, i: int, o: int, s: int):
        super().__init__()
        part = o // 4
        self.reduce = nn.Conv2d(i, part, 3, s, 1, bias=False)
        self.spread = nn.ModuleList(
            nn.Conv2d(part, part, 3, 1, d, d, bias=False) for d in (1, 2, 4, 8)
        )
        self.norm = nn.Sequential(nn.BatchNorm2d(o), nn.PReLU(o))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.reduce(x)
        sums = [self.spread[0](x)]
        for layer in self.spread[1:]:
            sums.append(layer(x) + sums[-1])
        return self.norm(torch.cat(sums, 1))


@net("ESPNet, Mehta et al. 2018, arXiv:1803.06815", x=normal("batch", 3, 24, 24))
class ESPNet(nn.Module):
    """Dilated pyramids; the answer is the class of each pixel, and its score."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), _Pyramid(8, 16, 2), _Pyramid(16, 16, 1))
        self.classify = nn.Conv2d(16, 6, 1)

    def raw(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.classify(self.body(x))
        return F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.raw(x).softmax(1)
        return scores.argmax(1), scores.max(1).values


@net("PSPNet, Zhao et al. 2017, arXiv:1612.01105", x=normal("batch", 3, 24, 36))
class PSPNet(nn.Module):
    """Pools of several grids, enlarged and joined."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), conv(8, 12))
        self.grids = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), conv(12, 4, 1)) for n in (1, 2, 3, 6)
        )
        self.out = nn.Sequential(conv(28, 12), nn.Dropout2d(0.1), nn.Conv2d(12, 4, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, x = x.shape[2:], self.body(x)
        parts = [
            F.interpolate(grid(x), size=x.shape[2:], mode="bilinear", align_corners=False)
            for grid in self.grids
        ]
        y = self.out(torch.cat([x, *parts], 1))
        return F.interpolate(y, size=size, mode="bilinear", align_corners=False)
