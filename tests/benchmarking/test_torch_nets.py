"""The nets of the benchmarks: as many PReLU as published, slopes and signs as after training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.nets.build import build, with_relu
from benchmarks.nets.catalog import BY_NAME
from benchmarks.nets.inputs import natural

pytestmark = pytest.mark.torch


def _prelus(net: nn.Module) -> list[nn.PReLU]:
    return [layer for layer in net.modules() if isinstance(layer, nn.PReLU)]


@pytest.mark.parametrize("name", ["mobilefacenet", "fsrcnn"])
def test_a_net_has_mixed_signs_at_every_activation(name: str):
    net = build(name)
    negative: list[float] = []
    for layer in _prelus(net):
        layer.register_forward_pre_hook(
            lambda _, inputs: negative.append(float((inputs[0] < 0).float().mean()))
        )
    with torch.no_grad():
        net(torch.from_numpy(natural((1, *BY_NAME[name].shape), seed=7)))
    assert len(negative) == BY_NAME[name].layers
    assert min(negative) > 0.25
    assert max(negative) < 0.75


def test_slopes_lie_on_both_sides_of_0_and_1():
    slopes = torch.cat([layer.weight for layer in _prelus(build("mobilefacenet"))])
    assert 0.1 < float((slopes < 0).float().mean()) < 0.3
    assert 0 < float((slopes > 1).float().mean()) < 0.02


def test_the_bound_has_the_same_weights_and_no_prelu():
    net, bound = build("fsrcnn"), with_relu(build("fsrcnn"))
    assert not _prelus(bound)
    assert all(
        torch.equal(tensor, net.state_dict()[name]) for name, tensor in bound.state_dict().items()
    )
