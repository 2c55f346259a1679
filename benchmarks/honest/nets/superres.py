"""Super-resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import ChannelAttention, Residual, conv
from benchmarks.honest.registry import net, normal, uniform

FREE = {"height": 10, "width": 13}


def _shuffle(c: int, o: int, r: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c, o * r * r, 3, 1, 1), nn.PixelShuffle(r))


@net(
    "SRResNet, Ledig et al. 2017, arXiv:1609.04802",
    task="restore",
    sizes=FREE,
    fast=True,
    x=uniform(0, 1, "batch", 3, "height", "width"),
)
class SRResNet(nn.Module):
    """Residual blocks with BatchNorm and one slope each, two sub-pixel steps."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, 12, 9, 1, 4), nn.PReLU())
        self.body = nn.Sequential(*(Residual(12) for _ in range(4)), conv(12, 12, act=False))
        self.up = nn.Sequential(_shuffle(12, 12, 2), nn.PReLU(), _shuffle(12, 12, 2), nn.PReLU())
        self.tail = nn.Conv2d(12, 3, 9, 1, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        return (torch.tanh(self.tail(self.up(x + self.body(x)))) + 1) / 2


@net(
    "FSRCNN, Dong et al. 2016, arXiv:1608.00367",
    task="restore",
    sizes=FREE,
    fast=True,
    x=uniform(0, 1, "batch", 1, "height", "width"),
)
class FSRCNN(nn.Module):
    """Shrink, map, expand, and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        maps = [layer for _ in range(3) for layer in (nn.Conv2d(6, 6, 3, 1, 1), nn.PReLU(6))]
        self.body = nn.Sequential(
            nn.Conv2d(1, 20, 5, 1, 2), nn.PReLU(20), nn.Conv2d(20, 6, 1), nn.PReLU(6), *maps,
            nn.Conv2d(6, 20, 1), nn.PReLU(20), nn.ConvTranspose2d(20, 1, 9, 3, 4, 2),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


@net(
    "SRVGGNetCompact, Real-ESRGAN, Wang et al. 2021, arXiv:2107.10833",
    task="restore",
    x=uniform(0, 1, "batch", 3, 16, 16),
)
class SRVGG(nn.Module):
    """Plain convolutions; the input, enlarged, is added. As many channels as rows."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1), nn.PReLU(16)]
        for _ in range(6):
            layers += [nn.Conv2d(16, 16, 3, 1, 1), nn.PReLU(16)]
        self.body = nn.Sequential(*layers, nn.Conv2d(16, 48, 3, 1, 1), nn.PixelShuffle(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + F.interpolate(x, scale_factor=4, mode="nearest")


@net(
    "ESPCN, Shi et al. 2016, arXiv:1609.05158",
    task="restore",
    x=uniform(0, 1, "batch", 1, "height", "width"),
    sizes=FREE,
)
class ESPCN(nn.Module):
    """Three convolutions, sub-pixel shuffle, clipped to the range of images."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, 1, 2), nn.PReLU(16), nn.Conv2d(16, 8, 3, 1, 1), nn.PReLU(),
            _shuffle(8, 1, 3),
        )  # fmt: skip

    def raw(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.raw(x).clamp(0, 1)


@net(
    "EDSR, Lim et al. 2017, arXiv:1707.02921", task="restore", x=uniform(0, 255, "batch", 3, 12, 12)
)
class EDSR(nn.Module):
    """No norms, scaled residuals, the mean of the colours taken off and put back."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([114.4, 111.5, 103.0]).view(1, 3, 1, 1))
        self.head = nn.Conv2d(3, 12, 3, 1, 1)
        self.body = nn.Sequential(*(Residual(12, norm=False, scale=0.1) for _ in range(5)))
        self.tail = nn.Sequential(_shuffle(12, 12, 2), nn.Conv2d(12, 3, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head((x - self.mean) / 127.5)
        return self.tail(x + self.body(x)) * 127.5 + self.mean


class _Group(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(c, c, norm=False), nn.Conv2d(c, c, 3, 1, 1), ChannelAttention(c))
            for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for block in self.blocks:
            y = y + block(y)
        return x + y


@net(
    "RCAN, Zhang et al. 2018, arXiv:1807.02758",
    task="restore",
    sizes=FREE,
    x=normal("batch", 3, "height", "width"),
)
class RCAN(nn.Module):
    """Residual in residual, with attention over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 12, 3, 1, 1)
        self.groups = nn.Sequential(_Group(12), _Group(12))
        self.tail = nn.Sequential(_shuffle(12, 12, 2), nn.PReLU(12), nn.Conv2d(12, 3, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        return self.tail(x + self.groups(x))


@net("CARN-M, Ahn et al. 2018, arXiv:1803.08664", task="restore", x=normal("batch", 3, 14, 14))
class CARN(nn.Module):
    """Cascading blocks of grouped convolutions that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 16, 3, 1, 1)
        self.unit = nn.Sequential(
            conv(16, 16, groups=4, norm=False), conv(16, 16, groups=4, norm=False),
            nn.Conv2d(16, 16, 1),
        )  # fmt: skip
        self.act = nn.PReLU(16)
        self.fuse = nn.ModuleList(conv(16 * n, 16, 1, norm=False) for n in (2, 3, 4))
        self.tail = nn.Sequential(_shuffle(16, 16, 2), nn.PReLU(), nn.Conv2d(16, 3, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        kept = [x]
        for fuse in self.fuse:
            kept.append(self.act(x + self.unit(x)))
            x = fuse(torch.cat(kept, 1))
        return self.tail(x)


class _Distill(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.first = conv(c, c, norm=False)
        self.second = conv(c - c // 4, c, norm=False)
        self.third = conv(c - c // 4, c // 4, norm=False)
        self.fuse = nn.Conv2d(3 * (c // 4), c, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        part = x.shape[1] // 4
        kept, rest = torch.split(self.first(x), (part, x.shape[1] - part), 1)
        also, rest = torch.split(self.second(rest), (part, x.shape[1] - part), 1)
        return x + self.fuse(torch.cat([kept, also, self.third(rest)], 1))


@net("IMDN, Hui et al. 2019, arXiv:1909.11856", task="restore", x=normal("batch", 3, 11, 16))
class IMDN(nn.Module):
    """Channels are split off step by step, and the contrast of each gates it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 16, 3, 1, 1)
        self.blocks = nn.ModuleList(_Distill(16) for _ in range(3))
        self.gate = nn.Conv2d(16, 16, 1)
        self.tail = _shuffle(16, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = y = self.head(x)
        for block in self.blocks:
            y = block(y)
        mean = y.mean((2, 3), keepdim=True)
        contrast = (y - mean).pow(2).mean((2, 3), keepdim=True).sqrt() + mean
        return self.tail(x + y * torch.sigmoid(self.gate(contrast)))


@net("LapSRN, Lai et al. 2017, arXiv:1704.03915", task="restore", x=normal("batch", 1, 8, 9))
class LapSRN(nn.Module):
    """A pyramid: both sizes are outputs, and each level is the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(1, 10, 3, 1, 1), nn.PReLU())
        self.level = nn.Sequential(
            *(conv(10, 10, norm=False) for _ in range(3)),
            nn.ConvTranspose2d(10, 10, 4, 2, 1), nn.PReLU(10),
        )  # fmt: skip
        self.residual = nn.Conv2d(10, 1, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features, results = self.head(x), []
        for _ in range(2):
            features = self.level(features)
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = x + self.residual(features)
            results.append(x)
        return results
