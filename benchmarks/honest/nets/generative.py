"""Style, autoencoders, decoders; no sampling."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.honest.nets.parts import conv
from benchmarks.honest.registry import net, normal, uniform


class _StyleBlock(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c, affine=True),
            nn.PReLU(), nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3),
            nn.InstanceNorm2d(c, affine=True),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


@net(
    "Fast style transfer, Johnson et al. 2016, arXiv:1603.08155, with InstanceNorm",
    x=uniform(0, 255, "batch", 3, 24, 24),
)
class StyleNet(nn.Module):
    """Reflection pads, InstanceNorm, nearest upsampling; 0 to 255 in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.ReflectionPad2d(4), nn.Conv2d(3, 8, 9), nn.InstanceNorm2d(8, affine=True),
            nn.PReLU(8),
            nn.Conv2d(8, 12, 3, 2, 1), nn.InstanceNorm2d(12, affine=True), nn.PReLU(12),
        )  # fmt: skip
        self.body = nn.Sequential(_StyleBlock(12), _StyleBlock(12))
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2.0), nn.Conv2d(12, 8, 3, 1, 1),
            nn.InstanceNorm2d(8, affine=True), nn.PReLU(8), nn.Conv2d(8, 3, 9, 1, 4),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 150 * torch.tanh(self.up(self.body(self.head(x)))) + 127.5


@net(
    "AdaIN, Huang and Belongie 2017, arXiv:1703.06868",
    content=normal("batch", 3, 16, 16),
    style=normal("batch", 3, 16, 16),
)
class AdaIN(nn.Module):
    """The statistics of one picture are put on the features of another."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            conv(3, 8, norm=False), nn.AvgPool2d(2), conv(8, 12, norm=False)
        )
        self.decode = nn.Sequential(conv(12, 8, norm=False), nn.Upsample(scale_factor=2.0),
                                    nn.Conv2d(8, 3, 3, 1, 1))  # fmt: skip

    def forward(self, content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        a, b = self.encode(content), self.encode(style)
        spread = b.var((2, 3), keepdim=True).add(1e-5).sqrt()
        unit = (a - a.mean((2, 3), keepdim=True)) / a.var((2, 3), keepdim=True).add(1e-5).sqrt()
        return self.decode(unit * spread + b.mean((2, 3), keepdim=True))


@net("VAE's decoder, Kingma and Welling 2014, arXiv:1312.6114", z=normal("batch", 8), fast=True)
class VAEDecoder(nn.Module):
    """From a code to a picture and its log-variance."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(8, 16 * 9), nn.PReLU())
        self.body = nn.Sequential(
            nn.ConvTranspose2d(16, 12, 3, 2, 1, 1), nn.BatchNorm2d(12), nn.PReLU(12),
            nn.ConvTranspose2d(12, 8, 4, 2, 1), nn.PReLU(8), nn.Conv2d(8, 2, 3, 1, 1),
        )  # fmt: skip

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body(self.dense(z).view(-1, 16, 3, 3))
        return torch.sigmoid(x[:, :1]), x[:, 1:].clamp(-10, 10)


@net(
    "Convolutional autoencoder, Masci et al. 2011 (ICANN)",
    task="restore",
    x=uniform(0, 1, "batch", 1, 20, 28),
)
class Autoencoder(nn.Module):
    """Down by strides, up by transposed convolutions; the code is an output too."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(conv(1, 8, 3, 2), conv(8, 12, 3, 2), nn.Conv2d(12, 4, 1))
        self.up = nn.Sequential(
            nn.ConvTranspose2d(4, 12, 2, 2), nn.PReLU(12), nn.ConvTranspose2d(12, 8, 2, 2),
            nn.PReLU(8), nn.Conv2d(8, 1, 3, 1, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code = self.down(x)
        return self.up(code), code


@net(
    "DCGAN's generator, Radford et al. 2016, arXiv:1511.06434, with SPADE-like scales, Park et al. "
    "2019",
    z=normal("batch", 6, 1, 1),
    labels=normal("batch", 3, 12, 12),
)
class Generator(nn.Module):
    """A label map is resized to each level and scales what GroupNorm left."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.ConvTranspose2d(6, 12, 3), nn.ConvTranspose2d(12, 8, 4, 2, 1)
        self.norms = nn.ModuleList(
            [nn.GroupNorm(3, 12, affine=False), nn.GroupNorm(2, 8, affine=False)]
        )
        self.scales = nn.ModuleList([nn.Conv2d(3, 24, 3, 1, 1), nn.Conv2d(3, 16, 3, 1, 1)])
        self.acts = nn.ModuleList([nn.PReLU(12), nn.PReLU(8)])
        self.out = nn.Sequential(nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        for layer, norm, scale, act in zip(
            (self.first, self.second), self.norms, self.scales, self.acts, strict=True
        ):
            z = norm(layer(z))
            small = F.interpolate(labels, size=z.shape[2:], mode="bilinear", align_corners=False)
            gain, bias = scale(small).chunk(2, 1)
            z = act(z * (1 + gain) + bias)
        return self.out(z)


@net(
    "Group normalisation, Wu and He 2018, arXiv:1803.08494",
    x=normal("batch", 3, 18, 18),
    task="classify",
)
class GroupNormNet(nn.Module):
    """GroupNorm and LayerNorm over maps, PReLU between."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 3, 2, 1), nn.GroupNorm(4, 12), nn.PReLU(12),
            nn.Conv2d(12, 12, 3, 1, 1), nn.LayerNorm((12, 9, 9)), nn.PReLU(),
            nn.Conv2d(12, 16, 3, 2, 1), nn.GroupNorm(1, 16),
            nn.PReLU(16), nn.Flatten(), nn.Linear(16 * 25, 7),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)
