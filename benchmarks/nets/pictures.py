"""Nets that enlarge a picture four times: [N, C, H, W] in, [N, C, 4 H, 4 W] out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SRVGG(nn.Module):
    """Real-ESRGAN's SRVGGNetCompact (Wang et al., 2021): 17 PReLU of 64 channels."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1), nn.PReLU(64)]
        for _ in range(16):
            layers += [nn.Conv2d(64, 64, 3, padding=1), nn.PReLU(64)]
        layers.append(nn.Conv2d(64, 3 * 4**2, 3, padding=1))
        self.body = nn.Sequential(*layers)
        self.shuffle = nn.PixelShuffle(4)

    def forward(self, picture: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, 3, 4 H, 4 W]."""
        enlarged: Tensor = functional.interpolate(picture, scale_factor=4.0, mode="nearest")
        detail: Tensor = self.shuffle(self.body(picture))
        return detail + enlarged


class FSRCNN(nn.Module):
    """Dong et al., "Accelerating the Super-Resolution CNN", 2016: d=56, s=12, m=4; 7 PReLU."""

    def __init__(self, d: int = 56, s: int = 12, m: int = 4) -> None:
        """Make the layers: features, shrinking, mapping, expanding, deconvolution."""
        super().__init__()
        layers = [nn.Conv2d(1, d, 5, padding=2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s)]
        for _ in range(m):
            layers += [nn.Conv2d(s, s, 3, padding=1), nn.PReLU(s)]
        layers += [nn.Conv2d(s, d, 1), nn.PReLU(d)]
        self.body = nn.Sequential(*layers)
        self.deconvolution = nn.ConvTranspose2d(d, 1, 9, 4, padding=4, output_padding=3)

    def forward(self, luminance: Tensor) -> Tensor:
        """Map [N, 1, H, W] to [N, 1, 4 H, 4 W]."""
        enlarged: Tensor = self.deconvolution(self.body(luminance))
        return enlarged


class Residual(nn.Module):
    """Convolution, BatchNorm, PReLU, convolution, BatchNorm; the input added."""

    def __init__(self, channels: int) -> None:
        """Make the layers."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the same shape."""
        added: Tensor = x + self.body(x)
        return added


class SRResNet(nn.Module):
    """Ledig et al., "Photo-Realistic Single Image Super-Resolution", 2017: 16 blocks.

    ``after_add`` puts one more PReLU behind the addition of each block, as in the residual nets
    of He et al. (2016) on which it builds.
    """

    def __init__(self, after_add: bool = False) -> None:
        """Make the layers."""
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, 64, 9, padding=4), nn.PReLU(64))
        blocks: list[nn.Module] = []
        for _ in range(16):
            blocks.append(Residual(64))
            if after_add:
                blocks.append(nn.PReLU(64))
        self.blocks = nn.Sequential(*blocks)
        self.merge = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64))
        enlarge: list[nn.Module] = []
        for _ in range(2):
            enlarge += [nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(64)]
        self.tail = nn.Sequential(*enlarge, nn.Conv2d(64, 3, 9, padding=4))

    def forward(self, picture: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, 3, 4 H, 4 W]."""
        x = self.head(picture)
        enlarged: Tensor = self.tail(x + self.merge(self.blocks(x)))
        return enlarged
