"""A net that tells two voices apart: encoded sound [N, 512, T] in, two masks of it out."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """A dilated depthwise block with one PReLU slope for all channels; residual and skip out."""

    def __init__(self, narrow: int, wide: int, kernel: int, dilation: int) -> None:
        """Make the layers."""
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.body = nn.Sequential(
            nn.Conv1d(narrow, wide, 1),
            nn.PReLU(),
            nn.GroupNorm(1, wide, eps=1e-8),
            nn.Conv1d(wide, wide, kernel, padding=padding, dilation=dilation, groups=wide),
            nn.PReLU(),
            nn.GroupNorm(1, wide, eps=1e-8),
        )
        self.residual = nn.Conv1d(wide, narrow, 1)
        self.skip = nn.Conv1d(wide, narrow, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map [N, narrow, T] to the input of the next block and the share of the sum."""
        y = self.body(x)
        return x + self.residual(y), self.skip(y)


class Separator(nn.Module):
    """The separator of Conv-TasNet (Luo and Mesgarani, 2019): N=512, B=128, H=512, P=3, X=8, R=3.

    Its 49 PReLU are channel-shared, its normalisation is global (gLN, a GroupNorm of one group).
    """

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.entry = nn.Sequential(nn.GroupNorm(1, 512, eps=1e-8), nn.Conv1d(512, 128, 1))
        self.blocks = nn.ModuleList(Block(128, 512, 3, 2**x) for _ in range(3) for x in range(8))
        self.exit = nn.Sequential(nn.PReLU(), nn.Conv1d(128, 2 * 512, 1), nn.Sigmoid())

    def forward(self, encoded: Tensor) -> Tensor:
        """Map [N, 512, T] to masks of two sources, [N, 2, 512, T]."""
        x = self.entry(encoded)
        total: Tensor | None = None
        for block in self.blocks:
            x, skip = block(x)
            total = skip if total is None else total + skip
        masks: Tensor = self.exit(total)
        return masks.reshape(masks.shape[0], 2, 512, -1)
