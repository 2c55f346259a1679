"""Point clouds and graphs."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from benchmarks.honest.registry import mask, net, normal


def _mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(sizes):
        layers += [nn.Conv1d(i, o, 1), nn.BatchNorm1d(o), nn.PReLU(o)]
    return nn.Sequential(*layers)


@net(
    "PointNet, Qi et al. 2017, arXiv:1612.00593",
    points=normal("batch", 3, "points"),
    sizes={"points": 21},
    task="classify",
)
class PointNet(nn.Module):
    """A learned rotation, the same dense layers for each point, the maximum over points."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = _mlp(3, 12, 24)
        self.angles = nn.Sequential(nn.Linear(24, 12), nn.PReLU(), nn.Linear(12, 9))
        self.local, self.wide = _mlp(3, 16), _mlp(16, 32)
        self.head = nn.Sequential(
            nn.Linear(32, 16), nn.PReLU(16), nn.Dropout(0.3), nn.Linear(16, 6)
        )

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        turn = self.angles(self.turn(points).amax(2)).view(-1, 3, 3)
        turn = turn + torch.eye(3, dtype=points.dtype, device=points.device)
        x = self.local(torch.bmm(turn, points))
        return self.head(self.wide(x).amax(2)), turn


@net(
    "GCN, Kipf and Welling 2017, arXiv:1609.02907",
    x=normal("nodes", 7),
    adjacency=mask("nodes", "nodes"),
    sizes={"nodes": 11},
)
class GCN(nn.Module):
    """The adjacency is normalised by degrees inside; no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(7, 12, bias=False), nn.Linear(12, 4, bias=False)
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        linked = adjacency + torch.eye(x.shape[0], dtype=x.dtype, device=x.device)
        root = linked.sum(1).rsqrt()
        smooth = root.unsqueeze(1) * linked * root
        x = self.act(smooth @ self.first(x))
        return (smooth @ self.second(x)).log_softmax(1)


@net(
    "Deep Graph Infomax, Velickovic et al. 2019, arXiv:1809.10341",
    x=normal("batch", 9, 6),
    other=normal("batch", 9, 6),
    adjacency=mask("batch", 9, 9),
)
class DGI(nn.Module):
    """One encoder with PReLU for the graph and its corruption; a bilinear discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.bias = nn.Linear(6, 10, bias=False), nn.Parameter(torch.zeros(10))
        self.act, self.compare = nn.PReLU(), nn.Bilinear(10, 10, 1)

    def forward(
        self, x: torch.Tensor, other: torch.Tensor, adjacency: torch.Tensor
    ) -> torch.Tensor:
        real = self.act(adjacency @ self.line(x) / 9 + self.bias)
        fake = self.act(adjacency @ self.line(other) / 9 + self.bias)
        summary = torch.sigmoid(real.mean(1, keepdim=True)).expand_as(real).contiguous()
        return torch.cat([self.compare(real, summary), self.compare(fake, summary)], 2)


@net(
    "Deep Sets, Zaheer et al. 2017, arXiv:1703.06114",
    x=normal("batch", "count", 5),
    sizes={"count": 6},
)
class DeepSets(nn.Module):
    """A sum over the members of a set of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(5, 16), nn.PReLU(), nn.Linear(16, 16), nn.PReLU())
        self.all = nn.Sequential(nn.Linear(16, 12), nn.PReLU(12), nn.Linear(12, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.all(self.each(x).sum(1))


@net(
    "GAT, Velickovic et al. 2018, arXiv:1710.10903, with PReLU for LeakyReLU",
    x=normal("batch", 8, 5),
    adjacency=mask("batch", 8, 8),
)
class GAT(nn.Module):
    """Attention over neighbours by a masked softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.left, self.right = nn.Linear(5, 8), nn.Linear(8, 1), nn.Linear(8, 1)
        self.act, self.out, self.head = nn.PReLU(), nn.PReLU(), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        h = self.line(x)
        scores = self.act(self.left(h) + self.right(h).transpose(1, 2))
        weights = scores.masked_fill(adjacency <= 0, -1e9).softmax(-1)
        return self.head(self.out(weights @ h))
