"""LSTM and GRU: keep their lengths dynamic in `torch.export`, and run their steps one by one.

To infer the shapes of their outputs, torch loops over the time steps of a tensor without values,
which fixes their number: with an error about a size that must not be dynamic, or silently if the
length is computed from a dynamic size. The shapes follow from those of the arguments alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._C import DispatchKey
from torch._decomp import decomposition_table
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

_KEYS = (DispatchKey.CompositeImplicitAutograd, DispatchKey.Autograd)


@contextmanager
def free_lengths() -> Iterator[None]:
    """Within the block the length of a sequence stays dynamic; afterwards torch is restored.

    For the operators that ONNX has: of `nn.RNN` the loop itself is exported.
    """
    operators = (torch.ops.aten.lstm.input, torch.ops.aten.gru.input)
    tables: list[tuple[dict[Any, Any], Any]] = [
        *((operator.py_kernels, key) for operator in operators for key in _KEYS),
        *((decomposition_table, operator) for operator in operators),
    ]
    kept = [(table, key, table[key]) for table, key in tables if key in table]
    try:
        for table, key, own in kept:
            table[key] = _shaped(own)
        _forget(operators)
        yield
    finally:
        for table, key, own in kept:
            table[key] = own
        _forget(operators)


@contextmanager
def step_by_step(module: nn.Module) -> Iterator[None]:
    """Within the block an LSTM of a module runs as the operators that it is made of.

    oneDNN's is a single one, and nothing inside can be seen or perturbed by rounding.
    """
    if not any(isinstance(part, nn.LSTM) for part in module.modules()):
        yield
        return
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def _forget(operators: Sequence[Any]) -> None:
    for operator in operators:
        operator._dispatch_cache.clear()
    FakeTensorMode.cache_clear()


def _shaped(own: Callable[..., Any]) -> Callable[..., Any]:
    """An operator that returns tensors of the right shapes for tensors without values."""

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
