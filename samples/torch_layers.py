"""PyTorch: the ways in which people put a PReLU into a net, from one slope to one per channel.

* ``OneSlopeNet``: ``OneSlope``, written by hand with ``nn.Parameter`` and ``torch.where``;
* ``BlockNet``: three Conv-BatchNorm-PReLU blocks;
* ``PerChannel``: ``nn.PReLU(C)`` after convolutions;
* ``Mlp``: 784-256-256-10 with one slope per feature;
* ``ConvNet32``: 32x32 images, PReLU before BatchNorm, and a PReLU in the classifier head.

The slopes scatter around ``init``, as they do after training; with ``spread=0`` they are all
equal to it, as before training. ``usual_loop`` is the loop with which people usually look at them.

To try::

    prelu-tools export samples/torch_layers.py:Mlp -o build/mlp.onnx
    prelu-tools verify samples/torch_layers.py:Mlp build/mlp.onnx
    prelu-tools inspect samples/torch_layers.py:Mlp
    prelu-tools export samples/torch_layers.py:OneSlopeNet -o build/one_slope.onnx
    prelu-tools export samples/torch_layers.py:BlockNet -o build/blocks.onnx
    prelu-tools export samples/torch_layers.py:PerChannel -o build/per_channel.onnx
    prelu-tools export 'samples/torch_layers.py:ConvNet32(shared=True)' -o build/convnet32.onnx
    prelu-tools inspect 'samples/torch_layers.py:ConvNet32(init=0.1, spread=0.0)'
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class OneSlope(nn.Module):
    """PReLU with one slope, by hand: ``x`` where ``x >= 0``, else ``alpha * x``; any shape.

    Formula: He et al., "Delving Deep into Rectifiers" (2015), equation 1, channel-shared.
    """

    def __init__(self, init: float = 0.25) -> None:
        """Start the slope at ``init``."""
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(init))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation; the shape stays."""
        return torch.where(x >= 0, x, self.alpha * x)


class OneSlopeNet(nn.Module):
    """Two convolutions and a Linear layer, each followed by ``OneSlope``; 1x16x16 to 10."""

    def __init__(self, slopes: Sequence[float] = (-0.31, 0.17, 1.23), seed: int = 0) -> None:
        """Take the three slopes as they are; ``seed`` draws the other weights."""
        super().__init__()
        first, second, third = slopes
        with _seeded(seed):
            self.conv1 = nn.Conv2d(1, 8, 3)
            self.prelu1 = OneSlope(first)
            self.conv2 = nn.Conv2d(8, 16, 3, stride=2)
            self.prelu2 = OneSlope(second)
            self.linear3 = nn.Linear(16 * 6 * 6, 32)
            self.prelu3 = OneSlope(third)
            self.scores = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 1, 16, 16] to [N, 10]."""
        x = self.prelu2(self.conv2(self.prelu1(self.conv1(x))))
        return self.scores(self.prelu3(self.linear3(x.flatten(1))))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded image, [1, 1, 16, 16]."""
        return (_example(1, 16, 16),)


class ConvBnPReLU(nn.Module):
    """Convolution 3x3, BatchNorm, PReLU with one slope per channel."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        """Make the three layers; the convolution leaves its bias to BatchNorm."""
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)
        self.prelu = nn.PReLU(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, channels_in, H, W] to [N, channels_out, H / stride, W / stride]."""
        return self.prelu(self.bn(self.conv(x)))


class BlockNet(nn.Module):
    """Three ``ConvBnPReLU`` blocks for 3x32x32 images, with a Linear layer on their mean."""

    def __init__(self, init: float = 0.25, spread: float = 0.5, seed: int = 0) -> None:
        """Draw weights, BatchNorm statistics and slopes from ``seed``."""
        super().__init__()
        with _seeded(seed):
            self.features = nn.Sequential(
                ConvBnPReLU(3, 16), ConvBnPReLU(16, 24, stride=2), ConvBnPReLU(24, 32, stride=2)
            )
            self.scores = nn.Linear(32, 10)
            _look_trained(self, init, spread)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 3, 32, 32] to [N, 10]."""
        return self.scores(self.features(x).mean(dim=(2, 3)))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded image, [1, 3, 32, 32]."""
        return (_example(3, 32, 32),)


class PerChannel(nn.Module):
    """Two convolutions, each with ``nn.PReLU(C)``; no layer behind the last activation.

    The second, 64 to 128 channels, weighs 73,856 parameters to 128 slopes: 0.17 % on top.
    """

    def __init__(self, init: float = 0.25, spread: float = 0.5, seed: int = 0) -> None:
        """Draw weights and slopes from ``seed``."""
        super().__init__()
        with _seeded(seed):
            self.conv1 = nn.Conv2d(3, 64, 3)
            self.prelu1 = nn.PReLU(64)
            self.conv2 = nn.Conv2d(64, 128, 3)
            self.prelu2 = nn.PReLU(128)
            _look_trained(self, init, spread)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, 128, H - 4, W - 4]."""
        return self.prelu2(self.conv2(self.prelu1(self.conv1(x))))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded image, [1, 3, 14, 18]."""
        return (_example(3, 14, 18),)


class Mlp(nn.Module):
    """784-256-256-10 with one slope per feature.

    The first layer weighs 200,960 parameters to 256 slopes: 0.13 % on top.
    """

    def __init__(self, init: float = 0.25, spread: float = 0.5, seed: int = 0) -> None:
        """Draw weights and slopes from ``seed``."""
        super().__init__()
        with _seeded(seed):
            self.linear1 = nn.Linear(784, 256)
            self.prelu1 = nn.PReLU(256)
            self.linear2 = nn.Linear(256, 256)
            self.prelu2 = nn.PReLU(256)
            self.scores = nn.Linear(256, 10)
            _look_trained(self, init, spread)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 784] to [N, 10]."""
        x = self.prelu1(self.linear1(x))
        return self.scores(self.prelu2(self.linear2(x)))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded vector, [1, 784]."""
        return (_example(784),)


class ConvNet32(nn.Module):
    """Three times Conv-PReLU-BatchNorm-pool for 3x32x32 images, and a Linear-PReLU-Linear head.

    The slope is used *before* BatchNorm here, which therefore must not be folded into the
    convolution ahead of it.
    """

    def __init__(
        self, shared: bool = False, init: float = 0.1, spread: float = 0.5, seed: int = 0
    ) -> None:
        """Make the layers.

        Args:
            shared: one slope per layer rather than one per channel (in the head: per feature).
            init: the slope to start from, the middle of the scatter.
            spread: standard deviation of the scatter; 0 leaves every slope at ``init``.
            seed: of weights, BatchNorm statistics and slopes.
        """
        super().__init__()
        layers: list[nn.Module] = []
        with _seeded(seed):
            for channels_in, channels_out in ((3, 32), (32, 64), (64, 128)):
                layers += [
                    nn.Conv2d(channels_in, channels_out, 3, padding=1),
                    nn.PReLU(1 if shared else channels_out),
                    nn.BatchNorm2d(channels_out),
                    nn.MaxPool2d(2),
                ]
            self.features = nn.Sequential(*layers)
            self.classifier = nn.Sequential(
                nn.Linear(128 * 4 * 4, 128), nn.PReLU(1 if shared else 128), nn.Linear(128, 10)
            )
            _look_trained(self, init, spread)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 3, 32, 32] to [N, 10]."""
        return self.classifier(self.features(x).flatten(1))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded image, [1, 3, 32, 32]."""
        return (_example(3, 32, 32),)


def usual_loop(model: nn.Module) -> None:
    """Print mean, standard deviation (n - 1), minimum and maximum of every ``nn.PReLU``."""
    for name, module in model.named_modules():
        if isinstance(module, nn.PReLU):
            slope = module.weight.detach()
            std = slope.std().item() if slope.numel() > 1 else float("nan")
            print(
                f"{name}: mean={slope.mean().item():.4f} std={std:.4f} "
                f"min={slope.min().item():.4f} max={slope.max().item():.4f}"
            )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from ``seed`` within the block; torch's own generator goes on as if it never ran."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def _look_trained(model: nn.Module, init: float, spread: float) -> None:
    """Scatter the slopes around ``init``, and give every BatchNorm statistics of its own."""
    for module in model.modules():
        if isinstance(module, nn.PReLU):
            module.weight.normal_(init, spread)
        elif isinstance(module, nn.BatchNorm2d):
            statistics = dict(module.named_buffers())
            statistics["running_mean"].normal_(0.0, 0.3)
            statistics["running_var"].uniform_(0.5, 2.0)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0.0, 0.3)


def _example(*shape: int) -> Tensor:
    """Return one example of the given shape, batch axis in front, drawn from N(0, 1)."""
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


if __name__ == "__main__":
    usual_loop(Mlp())
