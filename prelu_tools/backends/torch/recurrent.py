"""Keep the length of what an LSTM or a GRU reads free, while `torch.export` traces a module.

To learn what shapes they give, torch runs its own loop over the time steps of a tensor without
values, which fixes their number: as a size that must not be free, or in silence where the length
is computed from a free size. The shapes follow from those of the arguments alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._C import DispatchKey
from torch._subclasses.fake_tensor import FakeTensor

_KEYS = (DispatchKey.CompositeImplicitAutograd, DispatchKey.Autograd)


@contextmanager
def free_lengths() -> Iterator[None]:
    """Within the block the length of a sequence stays free; afterwards torch is as it was.

    For the operators that ONNX has: of `nn.RNN` the loop itself is exported.
    """
    replaced: list[tuple[Any, Any, Callable[..., Any]]] = []
    try:
        for operator in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
            for key in _KEYS:
                own = operator.py_kernels.get(key)
                if own is not None:
                    replaced.append((operator, key, own))
                    operator.py_kernels[key] = _shaped(own)
            operator._dispatch_cache.clear()
        yield
    finally:
        for operator, key, own in replaced:
            operator.py_kernels[key] = own
            operator._dispatch_cache.clear()


def _shaped(own: Callable[..., Any]) -> Callable[..., Any]:
    """An operator that gives tensors of the right shapes for tensors without values."""

    def shaped(
        x: torch.Tensor,
        hx: torch.Tensor | Sequence[torch.Tensor],
        params: Sequence[torch.Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        if not isinstance(x, FakeTensor):
            return own(
                x, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first
            )
        states = [hx] if isinstance(hx, torch.Tensor) else list(hx)
        width = states[0].shape[-1] * (2 if bidirectional else 1)
        ends = [x.new_empty(state.shape) for state in states]
        return (x.new_empty((*x.shape[:-1], width)), *ends)

    return shaped
