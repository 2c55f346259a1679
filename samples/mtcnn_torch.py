r"""PyTorch: the three nets of MTCNN, with the weights their authors trained.

MTCNN finds faces in three steps (Zhang et al., "Joint Face Detection and Alignment Using
Multitask Cascaded Convolutional Networks", 2016): PNet proposes boxes on a whole image, RNet
refines them on 24x24 crops, ONet decides on 48x48 crops and adds five landmarks. Of their 870
learned slopes, 535 are below 0 and 3 above 1. Images are RGB, [N, 3, H, W], ``(x - 127.5) / 128``.

The weights (MIT licence) are read from an installed package, of which nothing is imported::

    pip install --no-deps facenet-pytorch==2.5.3

To try::

    prelu-tools export samples/mtcnn_torch.py:ONet -o build/onet.onnx
    prelu-tools verify samples/mtcnn_torch.py:ONet build/onet.onnx
    prelu-tools inspect build/onet.onnx

The same nets in Keras are in ``mtcnn_keras.py``; NHWC there, NCHW here, so name the layouts::

    prelu-tools verify samples/mtcnn_torch.py:ONet samples/mtcnn_keras.py:ONet \
        --layout reference=nchw --layout candidate=nhwc
"""

from __future__ import annotations

from importlib import metadata

import torch
from torch import Tensor, nn


class PNet(nn.Module):
    """The proposal net: fully convolutional, for images of any size from 12x12 on."""

    def __init__(self) -> None:
        """Make the layers, named as in the weights file, and load it."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.prelu2 = nn.PReLU(16)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.prelu3 = nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)
        self.load_state_dict(_trained_weights("pnet"))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map [N, 3, H, W] to boxes [N, 4, h, w] and probabilities [N, 2, h, w].

        ``h`` is ``ceil((H - 2) / 2) - 4``, and ``w`` likewise.
        """
        x = self.pool1(self.prelu1(self.conv1(image)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_2(x), self.conv4_1(x).softmax(dim=1)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded image, [1, 3, 48, 64]."""
        return (_example(48, 64),)


class RNet(nn.Module):
    """The refinement net, for 24x24 crops."""

    def __init__(self) -> None:
        """Make the layers, named as in the weights file, and load it."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)
        self.load_state_dict(_trained_weights("rnet"))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map [N, 3, 24, 24] to boxes [N, 4] and probabilities [N, 2]."""
        x = self.pool1(self.prelu1(self.conv1(image)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.dense4(_flatten_whc(x)))
        return self.dense5_2(x), self.dense5_1(x).softmax(dim=1)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded crop, [1, 3, 24, 24]."""
        return (_example(24, 24),)


class ONet(nn.Module):
    """The output net, for 48x48 crops."""

    def __init__(self) -> None:
        """Make the layers, named as in the weights file, and load it."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.prelu1 = nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.prelu2 = nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.prelu3 = nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4 = nn.Conv2d(64, 128, 2)
        self.prelu4 = nn.PReLU(128)
        self.dense5 = nn.Linear(1152, 256)
        self.prelu5 = nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)
        self.load_state_dict(_trained_weights("onet"))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map [N, 3, 48, 48] to boxes [N, 4], landmarks [N, 10] and probabilities [N, 2]."""
        x = self.pool1(self.prelu1(self.conv1(image)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dense5(_flatten_whc(x)))
        return self.dense6_2(x), self.dense6_3(x), self.dense6_1(x).softmax(dim=1)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one seeded crop, [1, 3, 48, 48]."""
        return (_example(48, 48),)


def _flatten_whc(x: Tensor) -> Tensor:
    """Flatten [N, C, H, W] in the order W, H, C, in which the Dense weights were trained."""
    return x.permute(0, 3, 2, 1).flatten(1)


def _example(height: int, width: int) -> Tensor:
    """Return one image, [1, 3, height, width], drawn from N(0, 1)."""
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def _trained_weights(name: str) -> dict[str, Tensor]:
    """Read the state dict ``name`` out of the installed package.

    Raises:
        ModuleNotFoundError: the package is missing; the message is the pip line.
    """
    try:
        package = metadata.distribution("facenet-pytorch")
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            "The weights of MTCNN come with a package that is not installed: "
            "pip install --no-deps facenet-pytorch==2.5.3"
        ) from None
    path = package.locate_file(f"facenet_pytorch/data/{name}.pt")
    return torch.load(str(path), weights_only=True)
