"""What a torch module looks up in tables as it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from prelu_tools.backends.protocol.inputs import Lookup
from prelu_tools.backends.torch.running.modes import OperatorMode

_Found = Iterator[tuple[int, Any]]


def _first_axis(table: torch.Tensor, positions: Any, *_: Any) -> _Found:
    yield table.shape[0], positions


def _along(table: torch.Tensor, axis: int, positions: Any, *_: Any) -> _Found:
    if table.ndim:
        yield table.shape[axis], positions


def _by_axes(table: torch.Tensor, positions: Any, *_: Any) -> _Found:
    if any(p is not None and p.dtype in (torch.bool, torch.uint8) for p in positions):
        return  # a mask takes as many axes as it has
    for axis, place in enumerate(positions):
        if place is not None:
            yield table.shape[axis], place


def _flat(table: torch.Tensor, positions: Any, *_: Any) -> _Found:
    yield table.numel(), positions


_READERS: dict[str, Callable[..., _Found]] = {
    **dict.fromkeys(
        ("aten::embedding", "aten::_embedding_bag", "aten::_embedding_bag_forward_only"),
        _first_axis,
    ),
    **dict.fromkeys(
        ("aten::gather", "aten::index_select", "aten::select", "aten::scatter", "aten::scatter_",
         "aten::scatter_add", "aten::scatter_add_", "aten::scatter_reduce", "aten::scatter_reduce_",
         "aten::index_add", "aten::index_add_", "aten::index_copy", "aten::index_copy_",
         "aten::index_fill", "aten::index_fill_"), _along
    ),
    **dict.fromkeys(
        ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_",
         "aten::_unsafe_index"), _by_axes
    ),
    **dict.fromkeys(("aten::take", "aten::put_", "aten::put"), _flat),
}  # fmt: skip


class LookupWatch(OperatorMode):
    """Sees every operator that takes a tensor, or a number, for positions in another tensor."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Lookup] = []

    def operator(self, func: Any, args: Any, kwargs: Any) -> Any:
        """See `OperatorMode.operator`: noted if it looks something up."""
        reader = _READERS.get(func._schema.name)
        if reader is not None:
            given = (*args, *kwargs.values())
            self.found += [Lookup(size, _positions(place)) for size, place in reader(*given)]
        return func(*args, **kwargs)


def _positions(place: Any) -> Any:
    return np.array(place.detach().numpy() if isinstance(place, torch.Tensor) else place)
