"""Faces: recognition, detection, comparison."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import conv
from benchmarks.honest.registry import net, normal, uniform


class _Bottleneck(nn.Module):
    def __init__(self, i: int, o: int, s: int, wide: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(i, wide, 1), conv(wide, wide, 3, s, groups=wide), conv(wide, o, 1, act=False)
        )
        self.connect = s == 1 and i == o

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.connect else self.body(x)


@net("MobileFaceNets, Chen et al. 2018, arXiv:1804.07573", x=normal("batch", 3, 48, 48), fast=True)
class MobileFaceNet(nn.Module):
    """Inverted bottlenecks, a global depthwise convolution, an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 16, groups=16))
        self.body = nn.Sequential(
            _Bottleneck(16, 16, 2, 32), _Bottleneck(16, 16, 1, 32), _Bottleneck(16, 24, 2, 48),
            _Bottleneck(24, 24, 1, 48),
        )  # fmt: skip
        self.wide = conv(24, 64, 1)
        self.pool = nn.Sequential(nn.Conv2d(64, 64, 6, groups=64, bias=False), nn.BatchNorm2d(64))
        self.embed = nn.Sequential(nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.wide(self.body(self.stem(x))))
        return F.normalize(self.embed(x.flatten(1)))


class _IBlock(nn.Module):
    def __init__(self, i: int, o: int, s: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o),
            nn.PReLU(o), nn.Conv2d(o, o, 3, s, 1, bias=False), nn.BatchNorm2d(o),
        )  # fmt: skip
        self.short = nn.Identity() if s == 1 and i == o else conv(i, o, 1, s, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.short(x)


class _Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 16), _IBlock(16, 16, 2), _IBlock(16, 16, 1), _IBlock(16, 32, 2),
            _IBlock(32, 32, 1), nn.BatchNorm2d(32), nn.Dropout(0.4), nn.Flatten(),
        )  # fmt: skip
        self.embed = nn.Sequential(nn.Linear(32 * 8 * 8, 32), nn.BatchNorm1d(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.embed(self.body(x))


@net("IResNet as in ArcFace, Deng et al. 2019, arXiv:1801.07698", x=normal("batch", 3, 32, 32))
class IResNet(_Trunk):
    """BatchNorm first, PReLU in the middle, Dropout before the embedding."""


@net(
    "ArcFace's head, Deng et al. 2019, arXiv:1801.07698",
    x=uniform(-1, 1, "batch", 3, 32, 32),
    task="classify",
)
class ArcFace(nn.Module):
    """Cosines between an embedding and the classes, times 64."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.classes = nn.Parameter(torch.randn(20, 32))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = F.normalize(self.trunk(x))
        return 64 * F.linear(embedding, F.normalize(self.classes)), embedding


@net("SphereFace-20, Liu et al. 2017, arXiv:1704.08063", x=uniform(-1, 1, "batch", 3, 32, 28))
class SphereFace(nn.Module):
    """Convolutions with biases, PReLU and sums, no normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(3, 8, 3, 2, norm=False), conv(8, 16, 3, 2, norm=False)])
        self.pairs = nn.ModuleList(
            nn.Sequential(conv(c, c, norm=False), conv(c, c, norm=False)) for c in (8, 16, 16)
        )
        self.embed = nn.Linear(16 * 8 * 7, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down[0](x)
        x = x + self.pairs[0](x)
        x = self.down[1](x)
        for pair in self.pairs[1:]:
            x = x + pair(x)
        return self.embed(x.flatten(1))


@net(
    "MTCNN's PNet, Zhang et al. 2016, arXiv:1604.02878",
    x=uniform(-1, 1, "batch", 3, "height", "width"),
    sizes={"height": 24, "width": 31},
    fast=True,
)
class PNet(nn.Module):
    """Fully convolutional, at any size."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 10, 3), nn.PReLU(10), nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Conv2d(10, 16, 3), nn.PReLU(16), nn.Conv2d(16, 32, 3), nn.PReLU(32),
        )  # fmt: skip
        self.face, self.box = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body(x)
        return self.box(x), self.face(x).softmax(1)


class _Crop(nn.Module):
    def __init__(self, *layers: nn.Module, flat: int):
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.dense = nn.Linear(flat, 48)
        self.act = nn.PReLU(48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x).permute(0, 3, 2, 1).contiguous()
        return self.act(self.dense(x.flatten(1)))


@net("MTCNN's RNet, Zhang et al. 2016, arXiv:1604.02878", x=uniform(-1, 1, "batch", 3, 24, 24))
class RNet(nn.Module):
    """Flattened width first, as Caffe's users did in MATLAB."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Crop(
            nn.Conv2d(3, 14, 3), nn.PReLU(14), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(14, 24, 3), nn.PReLU(24), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(24, 32, 2), nn.PReLU(32), flat=32 * 9,
        )  # fmt: skip
        self.face, self.box = nn.Linear(48, 2), nn.Linear(48, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.trunk(x)
        return self.box(x), self.face(x).softmax(1)


@net("MTCNN's ONet, Zhang et al. 2016, arXiv:1604.02878", x=uniform(-1, 1, "batch", 3, 48, 48))
class ONet(nn.Module):
    """Boxes, landmarks and a probability, in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Crop(
            nn.Conv2d(3, 16, 3), nn.PReLU(16), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(16, 24, 3), nn.PReLU(24), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(24, 24, 3), nn.PReLU(24), nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Conv2d(24, 32, 2), nn.PReLU(32), flat=32 * 9,
        )  # fmt: skip
        self.face, self.box, self.marks = nn.Linear(48, 2), nn.Linear(48, 4), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.trunk(x)
        return {"box": self.box(x), "landmarks": self.marks(x), "face": self.face(x).softmax(1)}


@net(
    "Siamese nets, Koch et al. 2015 (ICML workshop)",
    left=normal("batch", 1, 28, 28),
    right=normal("batch", 1, 28, 28),
)
class Siamese(nn.Module):
    """One trunk called twice, the distance of both, one shared slope."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.PReLU()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 5), act, nn.MaxPool2d(2), nn.Conv2d(8, 12, 3), act, nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(12 * 25, 24), act,
        )  # fmt: skip
        self.head = nn.Linear(24, 1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        distance = (self.trunk(left) - self.trunk(right)).abs()
        return torch.sigmoid(self.head(distance))
