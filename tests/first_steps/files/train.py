"""Make weights as a training leaves them: FaceNet's, and those of another net."""

import torch
from nets import FaceNet
from torch import nn

torch.manual_seed(0)
net = FaceNet()
with torch.no_grad():
    for part in net.modules():
        if isinstance(part, nn.PReLU):
            part.weight += torch.randn_like(part.weight) * 0.3
torch.save(net.state_dict(), "weights.pt")
other = {f"backbone.{name}": value for name, value in FaceNet().state_dict().items()}
del other["backbone.head.bias"]
torch.save(other, "other.pt")
