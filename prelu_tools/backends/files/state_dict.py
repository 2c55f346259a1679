"""A torch state dict, without its module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from prelu_tools.backends.files.named_weights import NamedTensors, contents_of
from prelu_tools.backends.files.naming import strip_prefixes
from prelu_tools.backends.files.source import Contents
from prelu_tools.backends.torch.files.others import fitting, told
from prelu_tools.backends.torch.files.weights import StateFile, read_here, read_state, to_numpy
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


def read_trusted(path: Path) -> Contents:
    """What a file says about its slopes that may run code.

    Raises:
        PReLUToolsError: as `read`.
    """
    return _contents(read_state(path, allow_unsafe=True), path)


def read(path: Path) -> Contents:
    """What a file says about its slopes.

    Raises:
        PReLUToolsError: it cannot be read, would run code, or holds no state dict.
    """
    return _contents(read_here(path), path)


def of_module(state: Mapping[str, Any]) -> Contents:
    """What the names and shapes of a live module's `state_dict()` say about its slopes.

    Raises:
        PReLUToolsError: it holds no tensors.
    """
    return _contents(StateFile(state, ()), Path("the module"))


def _contents(found: StateFile, path: Path) -> Contents:
    tensors = {
        name: value
        for name, value in found.state.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if not tensors:
        keys = ", ".join(repr(key) for key in list(found.state)[:8])
        raise PReLUToolsError(
            f"{path} contains no named tensors, only {keys or 'nothing'}: expected a state dict, "
            "as model.state_dict() returns"
        )
    contents = contents_of(_StateDict(tensors, found.wrappers))
    others = fitting(found.others, strip_prefixes(tensors)[0], {}, ())
    if not others:
        return contents
    return replace(contents, notes=(*contents.notes, told(path, found.wrappers, others)))


class _StateDict(NamedTensors):
    """The tensors of a state dict; those that share their storage are one."""

    def __init__(self, state: Mapping[str, torch.Tensor], wrappers: tuple[str, ...]) -> None:
        own, prefixes = strip_prefixes(state)
        self.producer = "state dict"
        self.ordered = True
        self.unwrapped = (*wrappers, *prefixes)
        self._tensors = own

    def names(self) -> list[str]:
        """See `NamedTensors.names`: the order of the state dict."""
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `NamedTensors.shape`."""
        return tuple(self._tensors[name].shape)

    def is_float(self, name: str) -> bool:
        """See `NamedTensors.is_float`."""
        tensor = self._tensors[name]
        return tensor.is_floating_point() and tensor.layout == torch.strided

    def identity(self, name: str) -> Any:
        """See `NamedTensors.identity`: where the values lie."""
        tensor = self._tensors[name]
        if tensor.layout != torch.strided or tensor.numel() == 0:
            return name
        return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()

    def read(self, name: str) -> Array:
        """See `NamedTensors.read`."""
        return to_numpy(self._tensors[name])
