"""Detectors with decoded boxes, heatmaps, keypoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import Residual, conv
from benchmarks.honest.registry import net, normal, uniform


@net("YOLOv3, Redmon and Farhadi 2018, arXiv:1804.02767", x=uniform(0, 1, "batch", 3, 64, 64))
class YOLO(nn.Module):
    """Two scales; boxes in pixels beside objectness and classes in one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 8, 3, 2), conv(8, 12, 3, 2), Residual(12), conv(12, 16, 3, 2)
        )
        self.deep = nn.Sequential(conv(16, 24, 3, 2), Residual(24))
        self.side = conv(24, 8, 1)
        self.heads = nn.ModuleList([nn.Conv2d(24, 18, 1), nn.Conv2d(24, 18, 1)])
        anchors = torch.tensor([[[30.0, 40], [60, 50]], [[8, 12], [16, 14]]])
        self.register_buffer("anchors", anchors.view(2, 1, 2, 1, 1, 2))
        for n in (4, 8):
            y, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
            self.register_buffer(f"grid{n}", torch.stack([x, y], -1).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.stem(x)
        coarse = self.deep(fine)
        up = F.interpolate(self.side(coarse), scale_factor=2, mode="nearest")
        found = []
        for level, features in enumerate((coarse, torch.cat([up, fine], 1))):
            raw = self.heads[level](features)
            n, size = raw.shape[0], raw.shape[-1]
            raw = raw.view(n, 2, 9, size, size).permute(0, 1, 3, 4, 2)
            grid = self.grid4 if size == 4 else self.grid8
            centre = (raw[..., :2].sigmoid() + grid) * (64 / size)
            extent = raw[..., 2:4].exp() * self.anchors[level]
            rest = raw[..., 4:].sigmoid()
            found.append(torch.cat([centre, extent, rest], -1).reshape(n, -1, 9))
        return torch.cat(found, 1)


@net("SSD, Liu et al. 2016, arXiv:1512.02325", x=normal("batch", 3, 32, 32))
class SSD(nn.Module):
    """Offsets to priors, decoded to corners; softmax scores; a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([
            nn.Sequential(conv(3, 8, 3, 2), conv(8, 12, 3, 2)), conv(12, 16, 3, 2),
        ])  # fmt: skip
        self.boxes = nn.ModuleList(nn.Conv2d(c, 8, 3, 1, 1) for c in (12, 16))
        self.scores = nn.ModuleList(nn.Conv2d(c, 8, 3, 1, 1) for c in (12, 16))
        priors = []
        for n in (8, 4):
            for place in range(n * n):
                y, x = divmod(place, n)
                sides = (0.2 * 8 / n, 0.35 * 8 / n)
                priors.extend([(x + 0.5) / n, (y + 0.5) / n, side, side] for side in sides)
        self.register_buffer("priors", torch.tensor(priors))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        boxes, scores = [], []
        for level, box, score in zip(self.levels, self.boxes, self.scores, strict=True):
            x = level(x)
            boxes.append(box(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4))
            scores.append(score(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4))
        offsets = torch.cat(boxes, 1)
        centre = self.priors[:, :2] + offsets[..., :2] * 0.1 * self.priors[:, 2:]
        extent = self.priors[:, 2:] * torch.exp(offsets[..., 2:] * 0.2)
        corners = torch.cat([centre - extent / 2, centre + extent / 2], -1)
        return {"boxes": corners, "scores": torch.cat(scores, 1).softmax(-1)}


@net("CenterNet, Zhou et al. 2019, arXiv:1904.07850", x=normal("batch", 3, 32, 32))
class CenterNet(nn.Module):
    """Peaks of a heatmap by max pooling, the top ten of them with sizes gathered there."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), Residual(8), conv(8, 12, 3, 2), Residual(12))
        self.heat, self.size = nn.Conv2d(12, 3, 1), nn.Conv2d(12, 2, 1)

    def raw(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body(x)
        return self.heat(x).sigmoid(), self.size(x)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heat, size = self.raw(x)
        heat = heat * (F.max_pool2d(heat, 3, 1, 1) == heat).to(heat.dtype)
        scores, places = torch.topk(heat.flatten(1), 10)
        cells = places % 64
        sizes = size.flatten(2).gather(2, cells.unsqueeze(1).expand(-1, 2, -1))
        return scores, places // 64, sizes.transpose(1, 2)


@net("RetinaFace, Deng et al. 2020, arXiv:1905.00641", x=uniform(0, 255, "batch", 3, 32, 32))
class RetinaFace(nn.Module):
    """Raw bytes in; a feature pyramid; boxes, scores and landmarks out."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([104.0, 117, 123]).view(1, 3, 1, 1))
        self.low = nn.Sequential(conv(3, 8, 3, 2), conv(8, 12, 3, 2))
        self.high = conv(12, 16, 3, 2)
        self.sides = nn.ModuleList([conv(12, 12, 1), conv(16, 12, 1)])
        self.merge = conv(12, 12)
        self.box, self.face = nn.Conv2d(12, 8, 1), nn.Conv2d(12, 4, 1)
        self.marks = nn.Conv2d(12, 20, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        low = self.low((x - self.mean) / 128)
        high = self.sides[1](self.high(low))
        low = self.merge(self.sides[0](low) + F.interpolate(high, scale_factor=2.0))
        parts = []
        for head, width in ((self.box, 4), (self.face, 2), (self.marks, 10)):
            rows = [head(f).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, width))
                    for f in (low, high)]  # fmt: skip
            parts.append(torch.cat(rows, 1))
        return parts[0], parts[1].softmax(-1), parts[2]


class _Hourglass(nn.Module):
    def __init__(self, depth: int, c: int):
        super().__init__()
        self.skip, self.down, self.up = Residual(c), Residual(c), Residual(c)
        self.inner = _Hourglass(depth - 1, c) if depth > 1 else Residual(c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(y, scale_factor=2, mode="nearest")


@net("Stacked hourglass, Newell et al. 2016, arXiv:1603.06937", x=normal("batch", 3, 32, 32))
class Hourglass(nn.Module):
    """Two hourglasses; keypoints by a soft argmax of the second heatmap."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 5, 2)
        self.glasses = nn.ModuleList(_Hourglass(2, 8) for _ in range(2))
        self.heads = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in range(2))
        self.back = nn.Conv2d(4, 8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)
        first = self.glasses[0](x)
        heat = self.heads[0](first)
        heat = self.heads[1](self.glasses[1](x + first + self.back(heat)))
        weights = (10 * heat.flatten(2)).softmax(-1)
        line = torch.linspace(0, 1, 16, dtype=heat.dtype, device=heat.device)
        grid = torch.stack([line.repeat(16), line.repeat_interleave(16)], 1)
        return weights @ grid, heat


@net("PFLD, Guo et al. 2019, arXiv:1902.10859", x=normal("batch", 3, 32, 32))
class PFLD(nn.Module):
    """Landmarks from three scales joined."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(conv(3, 8, 3, 2), conv(8, 8, groups=8), conv(8, 12, 3, 2))
        self.second, self.third = conv(12, 16, 3, 2), conv(16, 24, 4, 1)
        self.out = nn.Linear(12 + 16 + 24 * 25, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(first)
        third = self.third(second)
        parts = [first.mean((2, 3)), second.mean((2, 3)), third.flatten(1)]
        return self.out(torch.cat(parts, 1))
