"""Three nets, as a user has them."""

import torch
from torch import nn


class FaceNet(nn.Module):
    """Convolutions, a PReLU a channel."""

    def __init__(self, width=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride=2), nn.BatchNorm2d(width), nn.PReLU(width),
        )  # fmt: skip
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))

    def example_inputs(self):
        return (torch.zeros(1, 3, 32, 32),)


class Deep(nn.Module):
    """So many layers of 16."""

    def __init__(self, depth):
        super().__init__()
        parts = [part for _ in range(depth) for part in (nn.Linear(16, 16), nn.PReLU())]
        self.layers = nn.Sequential(*parts)

    def forward(self, x):
        return self.layers(x)


def upscaler() -> nn.Module:
    """Twice the size."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.PReLU(8),
        nn.Conv2d(8, 4, 3, padding=1),
        nn.PixelShuffle(2),
    )
