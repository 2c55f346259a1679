"""Restoration: noise, rain, light, and alignment without deformable convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import conv
from benchmarks.honest.registry import net, normal, uniform


@net(
    "DnCNN, Zhang et al. 2017, arXiv:1608.03981",
    task="restore",
    x=normal("batch", 1, "height", "width"),
    sizes={"height": 12, "width": 17},
)
class DnCNN(nn.Module):
    """The noise is estimated and taken off."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, 12, norm=False), *(conv(12, 12) for _ in range(5)), nn.Conv2d(12, 1, 3, 1, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.body(x)


@net(
    "PReNet, Ren et al. 2019, arXiv:1901.09221", task="restore", x=uniform(0, 1, "batch", 3, 12, 16)
)
class PReNet(nn.Module):
    """One stage with a convolutional LSTM, applied three times."""

    def __init__(self) -> None:
        super().__init__()
        self.head = conv(6, 8, norm=False)
        self.gates = nn.Conv2d(16, 32, 3, 1, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(8, 8, norm=False), conv(8, 8, norm=False)) for _ in range(2)
        )
        self.tail = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, h = x, torch.zeros_like(x[:, :1]).expand(-1, 8, -1, -1)
        c = h
        for _ in range(3):
            z = self.head(torch.cat([x, y], 1))
            i, f, g, o = self.gates(torch.cat([z, h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            z = h
            for block in self.blocks:
                z = z + block(z)
            y = x + self.tail(z)
        return y


@net(
    "Zero-DCE, Guo et al. 2020, arXiv:2001.06826",
    task="restore",
    x=uniform(0, 1, "batch", 3, "height", "width"),
    sizes={"height": 14, "width": 10},
    fast=True,
)
class ZeroDCE(nn.Module):
    """A curve for each pixel, applied four times; picture and curves are outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(3, 8, norm=False), conv(8, 8, norm=False)
        self.third, self.last = conv(16, 8, norm=False), nn.Conv2d(16, 12, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a = self.first(x)
        b = self.second(a)
        c = self.third(torch.cat([a, b], 1))
        curves = torch.tanh(self.last(torch.cat([a, c], 1)))
        for r in curves.split(3, 1):
            x = x + r * (x * x - x)
        return x, curves


@net("DBPN, Haris et al. 2018, arXiv:1803.02735", task="restore", x=normal("batch", 1, 9, 10))
class DBPN(nn.Module):
    """Up, down and up again; what the way down misses is corrected."""

    def __init__(self) -> None:
        super().__init__()
        self.head = conv(1, 8, norm=False)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(8, 8, 6, 2, 2), nn.PReLU()) for _ in range(2)
        )
        self.down = nn.Sequential(nn.Conv2d(8, 8, 6, 2, 2), nn.PReLU())
        self.tail = nn.Conv2d(8, 1, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.head(x)
        high = self.up[0](low)
        return self.tail(high + self.up[1](self.down(high) - low))


@net(
    "Alignment by attention over frames, TDAN without deformation, Tian et al. 2020, "
    "arXiv:1812.02898",
    frames=normal("batch", 3, 3, 12, 12),
)
class FrameAlign(nn.Module):
    """Neighbours are weighted by how well they agree with the middle frame, then fused."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 8, norm=False), conv(8, 8, norm=False))
        self.query, self.key = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.fuse = nn.Sequential(conv(24, 8, 1, norm=False), nn.Conv2d(8, 3, 3, 1, 1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        n, t, c, h, w = frames.shape
        found = self.features(frames.reshape(n * t, c, h, w)).reshape(n, t, 8, h, w)
        query = self.query(found[:, 1])
        parts = []
        for place in range(t):
            score = torch.sigmoid((query * self.key(found[:, place])).sum(1, keepdim=True))
            parts.append(found[:, place] * score)
        return frames[:, 1] + self.fuse(torch.cat(parts, 1))


@net(
    "RIFE's IFNet, Huang et al. 2022, arXiv:2011.06294",
    first=uniform(0, 1, "batch", 3, 16, 24),
    second=uniform(0, 1, "batch", 3, 16, 24),
)
class RIFE(nn.Module):
    """Flows between two frames, backward warping by `grid_sample`, a mask that blends."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                conv(i, 12, 3, 2, norm=False), conv(12, 12, norm=False),
                nn.ConvTranspose2d(12, 5, 4, 2, 1),
            )
            for i in (6, 17)
        )  # fmt: skip

    @staticmethod
    def _warp(frame: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        h, w = frame.shape[2:]
        y = torch.linspace(-1, 1, h, dtype=frame.dtype, device=frame.device)
        x = torch.linspace(-1, 1, w, dtype=frame.dtype, device=frame.device)
        grid = torch.stack([x.expand(h, w), y.unsqueeze(1).expand(h, w)], -1).unsqueeze(0)
        scale = torch.tensor([2 / (w - 1), 2 / (h - 1)], dtype=frame.dtype, device=frame.device)
        moved = grid + flow.permute(0, 2, 3, 1) * scale
        return F.grid_sample(frame, moved, "bilinear", "border", align_corners=True)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        flow = self.stages[0](torch.cat([first, second], 1))
        for stage in self.stages[1:]:
            a, b = self._warp(first, flow[:, :2]), self._warp(second, flow[:, 2:4])
            flow = flow + stage(torch.cat([first, second, a, b, flow], 1))
        a, b = self._warp(first, flow[:, :2]), self._warp(second, flow[:, 2:4])
        blend = torch.sigmoid(flow[:, 4:])
        return a * blend + b * (1 - blend), flow[:, :4]
