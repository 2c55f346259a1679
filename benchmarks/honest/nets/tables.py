"""Recommendation, tables, distributions."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.registry import ids, mask, net, normal, uniform


@net(
    "DIN, Zhou et al. 2018, arXiv:1706.06978",
    item=ids(60, "batch"),
    history=ids(60, "batch", 8),
    keep=mask("batch", 8),
    profile=normal("batch", 4),
)
class DIN(nn.Module):
    """Attention of a candidate item over a masked history of ids; PReLU as in the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(60, 8)
        self.attend = nn.Sequential(nn.Linear(32, 16), nn.PReLU(), nn.Linear(16, 1))
        self.head = nn.Sequential(
            nn.Linear(20, 24), nn.PReLU(24), nn.Linear(24, 12), nn.PReLU(12), nn.Linear(12, 1)
        )

    def forward(self, item: torch.Tensor, history: torch.Tensor, keep: torch.Tensor,
                profile: torch.Tensor) -> torch.Tensor:  # fmt: skip
        query, past = self.items(item), self.items(history)
        wide = query.unsqueeze(1).expand_as(past)
        scores = self.attend(torch.cat([wide, past, wide - past, wide * past], -1)).squeeze(-1)
        weights = scores.masked_fill(keep == 0, -1e9).softmax(-1)
        interest = (weights.unsqueeze(-1) * past).sum(1)
        return torch.sigmoid(self.head(torch.cat([query, interest, profile], -1))).squeeze(-1)


@net(
    "Wide and deep, Cheng et al. 2016, arXiv:1606.07792",
    numbers=normal("batch", 6),
    country=ids(12, "batch"),
    device=ids(5, "batch"),
)
class WideDeep(nn.Module):
    """A linear part over crossed ids beside a deep one."""

    def __init__(self) -> None:
        super().__init__()
        self.country, self.device = nn.Embedding(12, 6), nn.Embedding(5, 3)
        self.wide = nn.Embedding(60, 1)
        self.deep = nn.Sequential(
            nn.Linear(15, 20), nn.BatchNorm1d(20), nn.PReLU(20), nn.Dropout(0.2),
            nn.Linear(20, 10), nn.PReLU(10), nn.Linear(10, 1),
        )  # fmt: skip

    def forward(
        self, numbers: torch.Tensor, country: torch.Tensor, device: torch.Tensor
    ) -> torch.Tensor:
        x = torch.cat([numbers, self.country(country), self.device(device)], 1)
        return torch.sigmoid(self.deep(x) + self.wide(country * 5 + device))


@net("DeepFM, Guo et al. 2017, arXiv:1703.04247", fields=ids(30, "batch", 5))
class DeepFM(nn.Module):
    """Second-order interactions and a deep part over one table with offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.table = nn.Embedding(150, 1), nn.Embedding(150, 6)
        self.register_buffer("offsets", 30 * torch.arange(5))
        self.deep = nn.Sequential(nn.Linear(30, 16), nn.PReLU(), nn.Linear(16, 1))

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        places = fields + self.offsets
        v = self.table(places)
        pairs = 0.5 * (v.sum(1).pow(2) - v.pow(2).sum(1)).sum(1, keepdim=True)
        return torch.sigmoid(self.first(places).sum(1) + pairs + self.deep(v.flatten(1)))


@net(
    "Two towers, Yi et al. 2019 (RecSys)",
    user=ids(40, "batch"),
    spent=uniform(0.01, 500, "batch", 2),
    item=ids(70, "batch"),
)
class TwoTowers(nn.Module):
    """Money under a logarithm; a dict of embeddings and their cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(40, 8), nn.Embedding(70, 8)
        self.left = nn.Sequential(nn.Linear(10, 16), nn.PReLU(16), nn.Linear(16, 8))
        self.right = nn.Sequential(nn.Linear(8, 16), nn.PReLU(16), nn.Linear(16, 8))

    def forward(
        self, user: torch.Tensor, spent: torch.Tensor, item: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        left = self.left(torch.cat([self.users(user), torch.log(spent)], 1))
        left, right = F.normalize(left), F.normalize(self.right(self.items(item)))
        return {"score": (left * right).sum(1), "user": left, "item": right}


@net("DeepAR's heads, Salinas et al. 2020, arXiv:1704.04110", x=normal("batch", 12))
class Gaussian(nn.Module):
    """A mean and a deviation by softplus; the log-likelihood of a value at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 24), nn.PReLU(24), nn.Linear(24, 24), nn.PReLU())
        self.mean, self.spread = nn.Linear(24, 3), nn.Linear(24, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.body(x)
        spread = F.softplus(self.spread(x)) + 1e-6
        return self.mean(x), spread, -torch.log(spread)


@net(
    "Poisson regression, as in scikit-learn's and statsmodels' guides",
    x=normal("batch", 8),
    fast=True,
)
class Counts(nn.Module):
    """A rate by exp: from tiny to large in one column."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.PReLU(), nn.Linear(16, 16), nn.PReLU(16),
                                  nn.Linear(16, 2))  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(3 * self.body(x))


@net("MMoE, Ma et al. 2018 (KDD)", x=normal("batch", 10))
class Experts(nn.Module):
    """Four experts, a softmax gate for each of two tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(10, 12), nn.PReLU(12)) for _ in range(4)
        )
        self.gates = nn.ModuleList(nn.Linear(10, 4) for _ in range(2))
        self.heads = nn.ModuleList(nn.Linear(12, 1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = torch.stack([expert(x) for expert in self.experts], 1)
        return tuple(
            head((gate(x).softmax(1).unsqueeze(2) * found).sum(1))
            for gate, head in zip(self.gates, self.heads, strict=True)
        )
