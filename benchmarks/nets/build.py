"""Builds the nets, as torch modules as they are after training."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from benchmarks.nets import faces, pictures, sound, start
from benchmarks.nets.catalog import BY_NAME
from benchmarks.nets.inputs import natural

SAMPLES = Path(__file__).parents[2] / "samples"

_MADE: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, torch.Tensor], None], int]] = {
    "mobilefacenet": (faces.MobileFaceNet, start.calibrate_norms, 8),
    "convtasnet": (sound.Separator, start.calibrate_convolutions, 2),
    "fsrcnn": (pictures.FSRCNN, start.calibrate_convolutions, 1),
    "srvgg": (pictures.SRVGG, start.calibrate_convolutions, 1),
    "iresnet50": (faces.IResNet50, start.calibrate_norms, 8),
    "srresnet": (pictures.SRResNet, start.calibrate_norms, 8),
    "srresnet_post": (lambda: pictures.SRResNet(after_add=True), start.calibrate_norms, 8),
}
"""Architecture, calibration, and the batch to calibrate on."""

_TRAINED = {"pnet": "PNet", "rnet": "RNet", "onet": "ONet"}
"""Nets of MTCNN, with the weights of their authors."""


def build(name: str) -> nn.Module:
    """Build the net ``name``, in evaluation mode; the same bits every time.

    Raises:
        KeyError: there is no such net, or it is Keras'.
    """
    if name in _TRAINED:
        trained: nn.Module = getattr(sample("mtcnn_torch"), _TRAINED[name])()
        return trained.eval()
    architecture, calibrate, batch = _MADE[name]
    torch.manual_seed(0)
    net = architecture()
    start.draw_slopes(net)
    start.draw_group_norms(net)
    calibrate(net, torch.from_numpy(natural((batch, *BY_NAME[name].shape), seed=1)))
    return net.eval()


def with_relu(module: nn.Module) -> nn.Module:
    """Put ReLU in the place of every PReLU of ``module``, and return it."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.PReLU):
                setattr(parent, name, nn.ReLU())
    return module


def sample(name: str) -> ModuleType:
    """Import ``samples/NAME.py``."""
    if str(SAMPLES) not in sys.path:
        sys.path.append(str(SAMPLES))
    return importlib.import_module(name)
