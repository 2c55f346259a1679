"""Weights as training leaves them: slopes of every sign, pre-activations of both signs.

A net as its constructor leaves it makes a poor benchmark: its slopes are all equal (an exporter
merges them, an optimizer folds them), its norms scale by 1 (an optimizer drops that), and its
pre-activations drift away from zero (a kernel whose time depends on their signs then runs on its
best side). Trained nets have neither.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHARE_ABOVE_ONE = 0.004
"""Share of slopes above 1: 3 of 870 in MTCNN's three nets."""


def draw_slopes(net: nn.Module) -> None:
    """Give every PReLU of ``net`` slopes from N(0.2, 0.25), a few of them from U(1, 1.4).

    About a fifth lie below 0.
    """
    for layer in net.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.normal_(layer.weight, 0.2, 0.25)
            above = torch.rand_like(layer.weight) < SHARE_ABOVE_ONE
            drawn = torch.empty_like(layer.weight).uniform_(1.0, 1.4)
            layer.weight.data = torch.where(above, drawn, layer.weight.data)


def draw_group_norms(net: nn.Module) -> None:
    """Give every GroupNorm a scale from U(0.7, 1.3) and a shift from N(0, 0.3)."""
    for layer in net.modules():
        if isinstance(layer, nn.GroupNorm):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0.0, 0.3)


def calibrate_norms(net: nn.Module, example: Tensor) -> None:
    """Give every BatchNorm the statistics of ``example``, and a scale and shift of its own.

    Pre-activations behind a BatchNorm are then about N(0, 1): scales are from U(0.7, 1.3), shifts
    from N(0, 0.3).
    """
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0.0, 0.3)
            layer.momentum = None  # running statistics are the mean over the batches seen
    net.train()
    with torch.no_grad():
        net(example)
    net.eval()


def calibrate_convolutions(net: nn.Module, example: Tensor) -> None:
    """Scale and shift every convolution so that its outputs on ``example`` are about N(0, 1).

    For nets without normalisation before their activations; layer by layer, in the order of the
    calls (Salimans and Kingma, "Weight Normalization", 2016, section 3). Shifts scatter by 0.3.
    """
    handles = [
        layer.register_forward_hook(_normalise)
        for layer in net.modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d))
    ]
    with torch.no_grad():
        net(example)
    for handle in handles:
        handle.remove()


def _normalise(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Change weight and bias of a convolution, and return what it makes with them."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    others = [axis for axis in range(output.ndim) if axis != 1]
    std, mean = torch.std_mean(output, dim=others)
    shift = 0.3 * torch.randn_like(mean)
    shape = [1] * weight.ndim
    shape[1 if isinstance(layer, nn.ConvTranspose2d) else 0] = -1
    weight.div_(std.reshape(shape))
    bias.copy_((bias - mean) / std + shift)
    along = [1, -1] + [1] * (output.ndim - 2)
    return (output - mean.reshape(along)) / std.reshape(along) + shift.reshape(along)
