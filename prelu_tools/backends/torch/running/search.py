"""Search for inputs that reach slopes, with a torch module's gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from prelu_tools.backends.probing.seeking import Pick, Pull
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.torch.arguments import Arguments
from prelu_tools.backends.torch.eagerly import as_python
from prelu_tools.backends.torch.regions import CallSignature
from prelu_tools.backends.torch.running.known import knowing
from prelu_tools.backends.torch.running.watch import Seen, Watch, tensor_names
from prelu_tools.core.arrays import Array


def gradients_of(
    module: nn.Module,
    arguments: Arguments,
    calls: Sequence[PReLUCall],
    known: Mapping[CallSignature, str],
) -> Pull:
    """The `Pull` of a module.

    Args:
        module: the module, in eval mode.
        arguments: what it is called with.
        calls: its known calls of PReLU.
        known: how these are spelled.
    """
    layers = {call.parameter: call.layer for call in calls}

    def pull(feeds: Mapping[str, Array], picks: list[Pick]) -> tuple[Array, dict[str, Array]]:
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in feeds.items()}
        floating = {n: t.requires_grad_() for n, t in tensors.items() if t.is_floating_point()}
        met: list[list[torch.Tensor]] = [[] for _ in picks]

        def seen(call: Seen) -> bool:
            layer = layers.get(call.parameter)
            for pick, found in zip(picks, met, strict=True):
                if pick.layer == layer and call.x.ndim == len(pick.where) + 1:
                    found.append(call.x[(pick.row, *pick.where)].amin())
            return layer is not None

        # Copies: a module may change its inputs in place, and leaves may not be.
        args, kwargs = arguments.build({n: tensor.clone() for n, tensor in tensors.items()})
        watch = Watch(module, tensor_names(module), knowing(known, seen))
        watch.tracer.take_inputs((args, kwargs))
        with as_python(), watch:
            module(*args, **kwargs)
        if not all(met) or not floating:
            return np.zeros(len(picks)), {}
        lows = torch.stack([torch.stack(found).amin() for found in met])
        if not lows.requires_grad:
            return lows.numpy(), {}
        found = torch.autograd.grad(lows.sum(), list(floating.values()), allow_unused=True)
        gradients = {
            name: gradient.numpy()
            for name, gradient in zip(floating, found, strict=True)
            if gradient is not None
        }
        return lows.detach().numpy(), gradients

    return pull
