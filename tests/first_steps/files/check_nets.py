"""A test of a user's own: one that passes, one that does not."""

import torch
from nets import FaceNet

from prelu_tools.testing import assert_parity


def _net():
    net = FaceNet()
    net.load_state_dict(torch.load("weights.pt", weights_only=True))
    return net


def test_the_export():
    assert_parity(_net(), "net.onnx")


def test_the_swapped_one():
    assert_parity(_net(), "swapped.onnx")
