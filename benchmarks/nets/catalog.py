"""Which nets there are, and the shape of their input."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from benchmarks.nets import faces, pictures, sound, start
from benchmarks.nets.inputs import natural

SAMPLES = Path(__file__).parents[2] / "samples"

Calibration = Callable[[nn.Module, torch.Tensor], None]


@dataclass(frozen=True)
class Net:
    """One net of the benchmark, with PReLU or with ReLU in their place."""

    name: str
    """Its file's name without a suffix."""
    title: str
    """Its name in tables."""
    shape: tuple[int, ...]
    """The shape of its only input, without the batch."""
    layers: int
    """How many PReLU it has."""
    build: Callable[[], nn.Module] | None
    """Makes the torch module as trained, in evaluation mode; None for the one of Keras."""


def _made(
    build: Callable[[], nn.Module], calibrate: Calibration, shape: tuple[int, ...], batch: int = 8
) -> Callable[[], nn.Module]:
    """A builder that draws all weights from one seed and calibrates them on random inputs."""

    def make() -> nn.Module:
        start.seeded(0)
        net = build()
        start.draw_slopes(net)
        calibrate(net, torch.from_numpy(natural((batch, *shape), 1)))
        return net.eval()

    return make


def sample(name: str) -> ModuleType:
    """Import ``samples/NAME.py``."""
    if str(SAMPLES) not in sys.path:
        sys.path.append(str(SAMPLES))
    return importlib.import_module(name)


def _trained(name: str) -> Callable[[], nn.Module]:
    """A builder of one of MTCNN's nets, with the weights of its authors."""

    def make() -> nn.Module:
        net: nn.Module = getattr(sample("mtcnn_torch"), name)()
        return net.eval()

    return make


def keras_digits(activation: str) -> Any:
    """The ConvNet on digits, in Keras: slopes element-wise, around 0.25."""
    return sample("keras_digits").convnet(activation=activation)


_FACE, _PICTURE, _LUMINANCE = (3, 112, 112), (3, 128, 128), (1, 180, 320)
_SMALL, _SOUND = (3, 24, 24), (512, 500)
_NORMS, _CONVOLUTIONS = start.calibrate_norms, start.calibrate_convolutions

NETS = (
    Net(
        "mobilefacenet",
        "MobileFaceNet",
        _FACE,
        33,
        _made(faces.MobileFaceNet, _NORMS, _FACE),
    ),
    Net("pnet", "PNet 320x240", (3, 240, 320), 3, _trained("PNet")),
    Net("onet", "ONet", (3, 48, 48), 5, _trained("ONet")),
    Net(
        "convtasnet",
        "Conv-TasNet",
        _SOUND,
        49,
        _made(sound.Separator, _CONVOLUTIONS, _SOUND, 2),
    ),
    Net("fsrcnn", "FSRCNN", _LUMINANCE, 7, _made(pictures.FSRCNN, _CONVOLUTIONS, _LUMINANCE, 1)),
    Net("srvgg", "SRVGG", _PICTURE, 17, _made(pictures.SRVGG, _CONVOLUTIONS, _PICTURE, 1)),
    Net("iresnet50", "IResNet-50", _FACE, 25, _made(faces.IResNet50, _NORMS, _FACE)),
    Net("digits", "digits (Keras)", (28, 28, 1), 3, None),
    Net("srresnet", "SRResNet", _SMALL, 19, _made(pictures.SRResNet, _NORMS, _SMALL)),
    Net(
        "srresnet_post",
        "SRResNet, PReLU after Add",
        _SMALL,
        35,
        _made(lambda: pictures.SRResNet(after_add=True), _NORMS, _SMALL),
    ),
)
"""All nets, in the order of the tables."""

BY_NAME = {net.name: net for net in NETS}
