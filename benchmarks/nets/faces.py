"""Nets that turn a face into a vector: [N, 3, 112, 112] in, [N, 128] or [N, 512] out."""

from __future__ import annotations

from torch import Tensor, nn


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, padding: int = 0
) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def _active(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, BatchNorm and PReLU."""
    return nn.Sequential(
        _convolution(inputs, outputs, kernel, stride, groups, kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.PReLU(outputs),
    )


class Bottleneck(nn.Module):
    """Widen, filter each channel, narrow without an activation; the input added where it fits."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        """Make the layers."""
        super().__init__()
        wide = inputs * expansion
        self.expand = _active(inputs, wide, 1)
        self.depthwise = _active(wide, wide, 3, stride, groups=wide)
        self.project = nn.Sequential(_convolution(wide, outputs, 1), nn.BatchNorm2d(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Chen et al., "MobileFaceNets", 2018, table 1: 33 PReLU, a million parameters."""

    STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
    """Expansion, channels, repeats and the first one's stride, as in the table."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.stem = nn.Sequential(_active(3, 64, 3, 2), _active(64, 64, 3, groups=64))
        blocks, inputs = [], 64
        for expansion, outputs, repeats, stride in self.STAGES:
            for number in range(repeats):
                blocks.append(Bottleneck(inputs, outputs, expansion, 1 if number else stride))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            _active(128, 512, 1),
            _convolution(512, 512, 7, groups=512),
            nn.BatchNorm2d(512),
            _convolution(512, 128, 1),
            nn.BatchNorm2d(128),
            nn.Flatten(),
        )

    def forward(self, face: Tensor) -> Tensor:
        """Map [N, 3, 112, 112] to [N, 128]."""
        vector: Tensor = self.head(self.blocks(self.stem(face)))
        return vector


class IResidual(nn.Module):
    """BatchNorm, convolution, BatchNorm, PReLU, convolution, BatchNorm; the input added."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Make the layers."""
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, eps=1e-5)
        self.conv1 = _convolution(inputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=1e-5)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = _convolution(outputs, outputs, 3, stride, padding=1)
        self.bn3 = nn.BatchNorm2d(outputs, eps=1e-5)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                _convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs, eps=1e-5)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        added: Tensor = self.bn3(self.conv2(y)) + self.downsample(x)
        return added


class IResNet50(nn.Module):
    """The backbone of ArcFace (Deng et al., 2019) as insightface's ``iresnet50``: 25 PReLU."""

    STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
    """Channels and blocks of the four stages, each of which halves the map."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1 = _convolution(3, 64, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(64, eps=1e-5)
        self.prelu = nn.PReLU(64)
        blocks, inputs = [], 64
        for outputs, repeats in self.STAGES:
            for number in range(repeats):
                blocks.append(IResidual(inputs, outputs, 1 if number else 2))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.bn2 = nn.BatchNorm2d(512, eps=1e-5)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512, eps=1e-5)

    def forward(self, face: Tensor) -> Tensor:
        """Map [N, 3, 112, 112] to [N, 512]."""
        x = self.blocks(self.prelu(self.bn1(self.conv1(face))))
        vector: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return vector
