"""The picture of docs/howto/training.md: the slopes of a small net while it learns digits.

    python -m benchmarks.training_picture docs/howto/training.png

Trains on scikit-learn's digits for 600 steps on one thread, with seeds: about ten seconds.
"""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.inspect.series import inspect_series
from prelu_tools.reports.writers.charts.plot import draw
from prelu_tools.training import TorchSlopeLogger, slope_parameter_groups

STEPS, BATCH = 600, 64


class Digits(nn.Module):
    """Two convolutions and a hidden layer, each with PReLU."""

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(1, 12, 3, padding=1), nn.PReLU(12)
        self.conv2, self.act2 = nn.Conv2d(12, 24, 3, 2, padding=1), nn.PReLU(24)
        self.hidden, self.act3 = nn.Linear(24 * 16, 32), nn.PReLU(32)
        self.last = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of ten digits."""
        x = self.act2(self.conv2(self.act1(self.conv1(x))))
        return self.last(self.act3(self.hidden(x.flatten(1))))


def train(folder: Path) -> None:
    """Train, and log the slopes."""
    images, digits = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(digits)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Digits()
    groups = slope_parameter_groups(model, weight_decay=0.01)
    optimizer = torch.optim.AdamW(groups, lr=3e-3)
    with TorchSlopeLogger(model, optimizer, folder, every=10, tensorboard=False):
        for _ in range(STEPS):
            rows = torch.randint(0, len(x), (BATCH,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def main(path: Path) -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        result = inspect_series([f"{folder}/slopes.jsonl"], InspectRequest())
    picture = Image.open(io.BytesIO(draw(replace(result, path="digits"), path.suffix)))
    picture.convert("RGB").quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
