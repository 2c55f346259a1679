"""The library, as a program uses it."""

import torch
from nets import FaceNet

from prelu_tools import export, verify

net = FaceNet()
net.load_state_dict(torch.load("weights.pt", weights_only=True))
export(net, "again.onnx", force=True)
print(verify(net, "again.onnx", quick=True).verdict)
try:
    export(net, "again.onnx")
except Exception as error:
    print(error)
