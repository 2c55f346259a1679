"""Sequences: transformers, recurrent nets, forecasts, text."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks.honest.nets.parts import conv
from benchmarks.honest.registry import ids, mask, net, normal


@net(
    "Transformer, Vaswani et al. 2017, arXiv:1706.03762, with PReLU in the feed-forward part",
    x=normal("batch", "time", 16),
    sizes={"time": 7},
)
class Encoder(nn.Module):
    """`nn.TransformerEncoder` with one slope in each layer."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, 0.1, nn.PReLU(), batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x).mean(1))


@net(
    "Multi-head attention, Vaswani et al. 2017, arXiv:1706.03762",
    query=normal("batch", 6, 16),
    memory=normal("batch", 9, 16),
)
class CrossAttention(nn.Module):
    """`nn.MultiheadAttention` over a memory; its weights are an output."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.PReLU(), nn.Linear(32, 16))

    def forward(self, query: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found, weights = self.attend(query, memory, memory)
        x = query + found
        return x + self.mlp(x), weights


@net(
    "ViT, Dosovitskiy et al. 2021, arXiv:2010.11929", x=normal("batch", 3, 16, 16), task="classify"
)
class ViT(nn.Module):
    """Patches, a class token, learned positions, pre-norm blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.place = nn.Parameter(0.02 * torch.randn(1, 17, 16))
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, 0.0, nn.PReLU(), batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.blocks(x)[:, 0])


@net(
    "Linear-bias-free attention by hand with a causal mask, as in GPT-2, Radford et al. 2019",
    tokens=ids(40, "batch", 12),
)
class CausalText(nn.Module):
    """Token ids, causal attention written out, weights tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(40, 16), nn.Embedding(12, 16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.PReLU(32), nn.Linear(32, 16))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        n, t = tokens.shape
        x = self.embed(tokens) + self.place(torch.arange(t, device=tokens.device))
        q, k, v = self.qkv(self.norms[0](x)).view(n, t, 3, 2, 8).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(8)
        past = torch.ones(t, t, dtype=torch.bool, device=tokens.device).tril()
        weights = scores.masked_fill(~past, float("-inf")).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, t, 16))
        # The feed-forward part's channels are the last axis; PReLU's are axis 1.
        y = self.norms[1](x).reshape(n * t, 16)
        x = x + self.mlp(y).reshape(n, t, 16)
        return self.norms[2](x) @ self.embed.weight.T


@net(
    "LSTM that streams, Hochreiter and Schmidhuber 1997",
    x=normal("batch", "time", 6),
    h=normal(1, "batch", 10),
    c=normal(1, "batch", 10),
    sizes={"time": 5},
)
class StreamingLSTM(nn.Module):
    """States come in and go out."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Linear(6, 10), nn.PReLU())
        self.rnn = nn.LSTM(10, 10, batch_first=True)
        self.head = nn.Sequential(nn.Linear(10, 8), nn.PReLU(), nn.Linear(8, 3))

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        y, (h, c) = self.rnn(self.front(x), (h, c))
        return self.head(y), h, c


@net("GRU, Cho et al. 2014, arXiv:1406.1078", x=normal("batch", 15, 5), task="classify", fast=True)
class GRUHead(nn.Module):
    """Two GRU layers in both directions; the last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 9, 2, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(18, 16), nn.PReLU(16), nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class _Beats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(20, 24), nn.PReLU()]
        for _ in range(2):
            layers += [nn.Linear(24, 24), nn.PReLU()]
        self.body = nn.Sequential(*layers)
        self.back, self.fore = nn.Linear(24, 4), nn.Linear(24, 4)
        powers = torch.arange(4).unsqueeze(1)
        self.register_buffer("past", (torch.arange(20) / 20) ** powers)
        self.register_buffer("future", (torch.arange(6) / 6) ** powers)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.body(x)
        return self.back(y) @ self.past, self.fore(y) @ self.future


@net("N-BEATS, Oreshkin et al. 2020, arXiv:1905.10437", x=normal("batch", 20))
class NBeats(nn.Module):
    """Blocks that explain the past away and add up a forecast; a polynomial basis."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Beats() for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        forecast = 0
        for block in self.blocks:
            back, fore = block(x)
            x, forecast = x - back, forecast + fore
        return forecast


@net(
    "Text CNN, Kim 2014, arXiv:1408.5882",
    tokens=ids(50, "batch", 14),
    keep=mask("batch", 14),
    task="classify",
)
class TextCNN(nn.Module):
    """Ids and a mask; three widths, a maximum over the words that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8, padding_idx=0)
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv1d(8, 6, k, padding=k // 2), nn.PReLU(6)) for k in (1, 3, 5)
        )
        self.head = nn.Linear(18, 3)

    def forward(self, tokens: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        x = (self.embed(tokens) * keep.unsqueeze(-1)).transpose(1, 2)
        hidden = (1 - keep).unsqueeze(1) * -1e4
        return self.head(torch.cat([(c(x) + hidden).amax(2) for c in self.convs], 1))


@net(
    "CRNN, Shi et al. 2015, arXiv:1507.05717",
    x=normal("batch", 1, 16, "width"),
    sizes={"width": 28},
)
class CRNN(nn.Module):
    """Text in pictures: convolutions down to one row, an LSTM along it, log-softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, 8, norm=False), nn.MaxPool2d(2), conv(8, 12), nn.MaxPool2d(2),
            conv(12, 16), nn.MaxPool2d((2, 1)), nn.Conv2d(16, 16, (2, 1)), nn.PReLU(16),
        )  # fmt: skip
        self.rnn = nn.LSTM(16, 12, bidirectional=True)
        self.head = nn.Linear(24, 11)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x).squeeze(2).permute(2, 0, 1)
        return self.head(self.rnn(x)[0]).log_softmax(2)
