"""Which nets there are, and the shape of their input; imports no framework."""

from __future__ import annotations

from dataclasses import dataclass


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
    yardstick: bool = True
    """Whether it is one of the seven that the mean is taken over; the others stand guard."""


NETS = (
    Net("mobilefacenet", "MobileFaceNet", (3, 112, 112), 33),
    Net("pnet", "PNet 320x240", (3, 240, 320), 3),
    Net("onet", "ONet", (3, 48, 48), 5),
    Net("convtasnet", "Conv-TasNet", (512, 500), 49),
    Net("fsrcnn", "FSRCNN", (1, 180, 320), 7),
    Net("srvgg", "SRVGG", (3, 128, 128), 17),
    Net("iresnet50", "IResNet-50", (3, 112, 112), 25),
    Net("digits", "digits (Keras)", (28, 28, 1), 3, yardstick=False),
    Net("srresnet", "SRResNet", (3, 24, 24), 19, yardstick=False),
    Net("srresnet_post", "SRResNet, act. after Add", (3, 24, 24), 35, yardstick=False),
)
"""All nets, in the order of the tables."""

BY_NAME = {net.name: net for net in NETS}
