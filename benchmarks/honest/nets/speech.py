"""Speech: separation, enhancement, recognition of words."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.registry import net, normal


class GlobalNorm(nn.Module):
    """Over channels and time (Luo and Mesgarani 2019, equation 4)."""

    def __init__(self, c: int):
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(c, 1)), nn.Parameter(torch.zeros(c, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2), keepdim=True)
        variance = (x - mean).pow(2).mean((1, 2), keepdim=True)
        return self.gain * (x - mean) / torch.sqrt(variance + 1e-8) + self.bias


class CumulativeNorm(nn.Module):
    """Over channels and the past (the same paper, equation 5)."""

    def __init__(self, c: int):
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(c, 1)), nn.Parameter(torch.zeros(c, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = x.shape[1] * torch.arange(1, x.shape[2] + 1, device=x.device, dtype=x.dtype)
        mean = x.sum(1).cumsum(1) / count
        power = x.pow(2).sum(1).cumsum(1) / count
        variance = power - mean.pow(2)
        mean, variance = mean.unsqueeze(1), variance.unsqueeze(1)
        return self.gain * (x - mean) / torch.sqrt(variance + 1e-5) + self.bias


class _Block(nn.Module):
    def __init__(self, c: int, h: int, dilation: int, norm: type[nn.Module], causal: bool):
        super().__init__()
        self.cut = 2 * dilation if causal else 0
        padding = 2 * dilation if causal else dilation
        self.body = nn.ModuleList([
            nn.Conv1d(c, h, 1), nn.PReLU(), norm(h),
            nn.Conv1d(h, h, 3, padding=padding, dilation=dilation, groups=h), nn.PReLU(), norm(h),
        ])  # fmt: skip
        self.residual, self.skip = nn.Conv1d(h, c, 1), nn.Conv1d(h, c, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = x
        for place, layer in enumerate(self.body):
            y = layer(y)
            if self.cut and place == 3:
                y = y[..., : -self.cut]
        return x + self.residual(y), self.skip(y)


class _TasNet(nn.Module):
    def __init__(self, norm: type[nn.Module], causal: bool):
        super().__init__()
        self.encode = nn.Conv1d(1, 24, 16, 8, bias=False)
        self.norm, self.narrow = norm(24), nn.Conv1d(24, 12, 1)
        self.blocks = nn.ModuleList(
            _Block(12, 20, 2**i, norm, causal) for _ in range(2) for i in range(3)
        )
        self.mask = nn.Sequential(nn.PReLU(), nn.Conv1d(12, 48, 1), nn.Sigmoid())
        self.decode = nn.ConvTranspose1d(24, 1, 16, 8, bias=False)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        latent = torch.relu(self.encode(mixture))
        x, total = self.narrow(self.norm(latent)), 0
        for block in self.blocks:
            x, skip = block(x)
            total = total + skip
        masks = self.mask(total).unflatten(1, (2, 24))
        parts = (masks * latent.unsqueeze(1)).flatten(0, 1)
        return self.decode(parts).unflatten(0, (-1, 2)).squeeze(2)


@net(
    "Conv-TasNet, Luo and Mesgarani 2019, arXiv:1809.07454",
    mixture=normal("batch", 1, "time"),
    sizes={"time": 320},
)
class ConvTasNet(_TasNet):
    """Separates two speakers; global norms."""

    def __init__(self) -> None:
        super().__init__(GlobalNorm, causal=False)


@net(
    "Conv-TasNet, causal, Luo and Mesgarani 2019, arXiv:1809.07454", mixture=normal("batch", 1, 400)
)
class CausalTasNet(_TasNet):
    """Sees the past only; norms over running sums."""

    def __init__(self) -> None:
        super().__init__(CumulativeNorm, causal=True)


@net("DPRNN, Luo et al. 2020, arXiv:1910.06379", mixture=normal("batch", 1, 264))
class DPRNN(nn.Module):
    """An LSTM inside chunks and one across them, GroupNorm after each."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Conv1d(1, 16, 8, 8, bias=False)
        self.inner = nn.LSTM(16, 10, batch_first=True, bidirectional=True)
        self.outer = nn.LSTM(16, 10, batch_first=True, bidirectional=True)
        self.lines = nn.ModuleList(nn.Linear(20, 16) for _ in range(2))
        self.norms = nn.ModuleList(nn.GroupNorm(1, 16, eps=1e-8) for _ in range(2))
        self.act, self.mask = nn.PReLU(), nn.Conv2d(16, 32, 1)
        self.decode = nn.ConvTranspose1d(16, 1, 8, 8, bias=False)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        latent = self.encode(mixture)
        n, c, t = latent.shape
        x = latent.reshape(n, c, t // 11, 11)
        rows = x.permute(0, 2, 3, 1).reshape(n * (t // 11), 11, c)
        y = self.lines[0](self.inner(rows)[0]).reshape(n, t // 11, 11, c).permute(0, 3, 1, 2)
        x = x + self.norms[0](y)
        rows = x.permute(0, 3, 2, 1).reshape(n * 11, t // 11, c)
        y = self.lines[1](self.outer(rows)[0]).reshape(n, 11, t // 11, c).permute(0, 3, 2, 1)
        x = x + self.norms[1](y)
        masks = torch.relu(self.mask(self.act(x))).reshape(n, 2, c, t)
        return self.decode((masks * latent.unsqueeze(1)).reshape(n * 2, c, t)).reshape(n, 2, -1)


def _fourier(window: int) -> torch.Tensor:
    """Kernels of a short-time Fourier transform, as many people export it: cosines, -sines."""
    time = torch.arange(window)
    angles = 2 * math.pi * torch.arange(window // 2 + 1).unsqueeze(1) * time / window
    hann = torch.hann_window(window)
    return torch.cat([angles.cos() * hann, -angles.sin() * hann]).unsqueeze(1)


@net("GTCRN, Rong et al. 2024 (ICASSP), shortened", wave=normal("batch", 512))
class GTCRN(nn.Module):
    """A spectrum by fixed kernels, grouped temporal convolutions, a GRU, a complex mask."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", _fourier(32))
        self.encode = nn.Sequential(
            nn.Conv2d(3, 8, (1, 5), (1, 2), (0, 2)), nn.BatchNorm2d(8), nn.PReLU(),
            nn.Conv2d(8, 8, (3, 3), 1, (1, 1), groups=2), nn.BatchNorm2d(8), nn.PReLU(),
        )  # fmt: skip
        self.rnn = nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.line, self.norm = nn.Linear(16, 8), nn.LayerNorm((9, 8), eps=1e-8)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(8, 2, (1, 5), (1, 2), (0, 2)), nn.BatchNorm2d(2), nn.Tanh()
        )

    def forward(self, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        spectrum = F.conv1d(wave.unsqueeze(1), self.kernels, stride=16)
        real, imag = spectrum.chunk(2, 1)
        size = torch.sqrt(real**2 + imag**2 + 1e-12)
        x = self.encode(torch.stack([size, real, imag], 1).transpose(2, 3))
        n, c, t, f = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(n * t, f, c)
        y = self.norm(self.line(self.rnn(rows)[0]).reshape(n, t, f, c))
        mask = self.decode(x + y.permute(0, 3, 1, 2)).transpose(2, 3)
        return real * mask[:, 0] - imag * mask[:, 1], real * mask[:, 1] + imag * mask[:, 0]


@net(
    "torch.stft before a mask net, Williamson et al. 2016 (complex ratio masks)",
    wave=normal("batch", 480),
)
class StftMask(nn.Module):
    """The spectrum by `torch.stft`, compressed by a root, masked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.body = nn.Sequential(
            nn.Conv1d(33, 24, 3, padding=1), nn.PReLU(24), nn.Conv1d(24, 24, 3, padding=1),
            nn.PReLU(24), nn.Conv1d(24, 33, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(wave, 64, 32, window=self.window, center=False, return_complex=True)
        parts = torch.view_as_real(spectrum)
        size = (parts.pow(2).sum(-1) + 1e-9).pow(0.15)
        return parts * self.body(size).unsqueeze(-1)


@net(
    "Key words from log-mel, Sainath and Parada 2015 (Interspeech)",
    task="classify",
    wave=normal("batch", 400),
)
class LogMel(nn.Module):
    """Power of a spectrum, a mel filter bank, a logarithm, a small CNN."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", _fourier(40))
        places = torch.linspace(0, 20, 14)
        bins = torch.arange(21).unsqueeze(1)
        rise = (bins - places[:-2]) / (places[1:-1] - places[:-2])
        fall = (places[2:] - bins) / (places[2:] - places[1:-1])
        self.register_buffer("mel", torch.minimum(rise, fall).clamp(min=0).T.contiguous())
        self.body = nn.Sequential(
            nn.BatchNorm2d(1), nn.Conv2d(1, 8, 3, 1, 1), nn.PReLU(8), nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, 1, 1), nn.PReLU(12), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(12, 10),
        )  # fmt: skip

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        real, imag = F.conv1d(wave.unsqueeze(1), self.kernels, stride=10).chunk(2, 1)
        mel = torch.matmul(self.mel, real**2 + imag**2)
        return self.body(torch.log(mel + 1e-6).unsqueeze(1)).log_softmax(1)


@net(
    "WaveNet, van den Oord et al. 2016, arXiv:1609.03499",
    x=normal("batch", 4, "time"),
    sizes={"time": 50},
    fast=True,
)
class WaveNet(nn.Module):
    """Gated, dilated, causal convolutions with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv1d(4, 12, 1)
        self.gates = nn.ModuleList(nn.Conv1d(12, 24, 2, dilation=2**i) for i in range(4))
        self.outs = nn.ModuleList(nn.Conv1d(12, 24, 1) for _ in range(4))
        self.tail = nn.Sequential(nn.PReLU(12), nn.Conv1d(12, 12, 1), nn.PReLU(12),
                                  nn.Conv1d(12, 8, 1))  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, total = self.head(x), 0
        for level, (gate, out) in enumerate(zip(self.gates, self.outs, strict=True)):
            a, b = gate(F.pad(x, (2**level, 0))).chunk(2, 1)
            residual, skip = out(torch.tanh(a) * torch.sigmoid(b)).chunk(2, 1)
            x, total = x + residual, total + skip
        return self.tail(total)


@net(
    "CRN for enhancement, Tan and Wang 2018 (Interspeech)",
    x=normal("batch", 1, "time", 17),
    sizes={"time": 9},
)
class CRN(nn.Module):
    """A convolutional encoder, an LSTM over time, a decoder with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(i, o, (1, 3), (1, 2)) for i, o in ((1, 6), (6, 8)))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, (1, 3), (1, 2), output_padding=(0, extra))
            for i, o, extra in ((16, 6, 1), (12, 1, 0))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (6, 8, 6))
        self.acts = nn.ModuleList(nn.PReLU(c) for c in (6, 8, 6))
        self.rnn = nn.LSTM(8 * 3, 8 * 3, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level, layer in enumerate(self.down):
            x = self.acts[level](self.norms[level](layer(x)))
            skips.append(x)
        n, c, t, f = x.shape
        y = self.rnn(x.transpose(1, 2).reshape(n, t, c * f))[0]
        x = y.reshape(n, t, c, f).transpose(1, 2)
        x = self.acts[2](self.norms[2](self.up[0](torch.cat([x, skips[1]], 1))))
        return F.softplus(self.up[1](torch.cat([x, skips[0]], 1)))
