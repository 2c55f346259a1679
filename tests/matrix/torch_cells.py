"""PyTorch nets of the matrix: a linear layer or a 1x1 convolution, then PReLU in some spellings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from cells import CHANNELS, FEATURES, drawn_slopes, place_sizes
from torch import Tensor, nn
from torch.nn import functional


def _clip(x: Tensor, a: Tensor) -> Tensor:
    return x.clamp(min=0) + a * x.clamp(max=0)


def _max_min(x: Tensor, a: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return torch.maximum(x, zero) + a * torch.minimum(x, zero)


SPELLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "function": lambda x, a: functional.prelu(x, a.reshape(-1)),
    "where": lambda x, a: torch.where(x >= 0, x, a * x),
    "mask": lambda x, a: (x > 0) * x + (x <= 0) * (a * x),
    "clip": _clip,
    "max_min": _max_min,
    "relu_sub": lambda x, a: torch.relu(x) - a * torch.relu(-x),
    "abs": lambda x, a: torch.relu(x) + a * (x - x.abs()) * 0.5,
    "max": lambda x, a: torch.maximum(x, a * x),
}


class ByHand(nn.Module):
    """A PReLU of the user's own."""

    def __init__(self, form: str, slopes: Tensor) -> None:
        super().__init__()
        self.label = SPELLINGS[form]
        self.weight = nn.Parameter(slopes)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation; the shape stays."""
        return self.label(x, self.weight)


def native(slopes: Tensor) -> nn.PReLU:
    """PyTorch's own layer, with these slopes."""
    layer = nn.PReLU(slopes.numel())
    with torch.no_grad():
        layer.weight.copy_(slopes.reshape(-1))
    return layer


class Net(nn.Module):
    """[N, 2, ...] to an output for each form."""

    def __init__(self, forms: Sequence[str], sharing: str, rank: int, size: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.forms = forms
        self.example = torch.zeros(1, FEATURES, *place_sizes(rank, size))
        kind = {2: nn.Linear, 3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[rank]
        self.layer = kind(FEATURES, CHANNELS, *([] if rank == 2 else [1]))
        for form in forms:
            slopes = torch.from_numpy(drawn_slopes(form, sharing, rank, size))
            self.add_module(form, native(slopes) if form == "native" else ByHand(form, slopes))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Apply the layer, and each PReLU to what it gives."""
        x = self.layer(x)
        return {form: getattr(self, form)(x) for form in self.forms}

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one example."""
        return (self.example,)
