"""A torch module in float64, to tell the reference's rounding from the candidate's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

Run = Callable[[Mapping[str, Array], Mapping[str, torch.Tensor]], dict[str, Array]]
"""Runs the module on inputs, with other parameters and buffers."""

_NARROW = (torch.float32, torch.float16, torch.bfloat16)


class WideTorchRunner:
    """Runs a module with its parameters and buffers widened; the module itself is not touched."""

    def __init__(self, module: nn.Module, run: Run) -> None:
        """Widen what the module holds."""
        self._module = module
        self._run = run
        self._state = _widened(module)
        self._narrow: dict[str, None] = {}

    @property
    def stayed_narrow(self) -> Sequence[str]:
        """See `WideRunner.stayed_narrow`: modules that cast down to a narrower type."""
        return tuple(self._narrow)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`.

        Raises:
            PReLUToolsError: the module mixes in tensors of a narrower type, and fails.
        """
        wide = {name: _wide_array(array) for name, array in feeds.items()}
        casts = _Casts(self._module, self._narrow)
        with casts:
            outputs = self._run(wide, self._state)
        for name, array in outputs.items():
            if np.issubdtype(array.dtype, np.floating) and array.dtype.itemsize < 8:
                raise PReLUToolsError(f"output {name!r} stays {array.dtype}")
        return outputs


def _widened(module: nn.Module) -> dict[str, torch.Tensor]:
    """What each submodule holds, in float64, once for each place: what is tied stays tied.

    A submodule that is in the tree twice has one name here: `functional_call` would put its tensors
    in place twice, and leave the first ones there.
    """
    held = {
        f"{prefix}.{name}".lstrip("."): tensor
        for prefix, part in module.named_modules()
        for name, tensor in (*part._parameters.items(), *part._buffers.items())
        if tensor is not None
    }
    wide = {id(tensor): _wide(tensor.detach()) for tensor in held.values()}
    return {name: wide[id(tensor)] for name, tensor in held.items()}


class _Casts(TorchFunctionMode):
    """Notes the modules that make a narrower tensor of a float64 one, wherever in them."""

    def __init__(self, root: nn.Module, narrow: dict[str, None]) -> None:
        super().__init__()
        self._root = root
        self._narrow = narrow
        self._inside: list[str] = []
        self._handles: list[Any] = []

    def __enter__(self) -> _Casts:
        for name, module in self._root.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enter(name)))
            self._handles.append(module.register_forward_hook(self._leave))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def _enter(self, name: str) -> Any:
        def hook(_module: nn.Module, _args: Any) -> None:
            self._inside.append(name or "the model")

        return hook

    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self._inside.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor) and result.dtype in _NARROW:
            given = [*args, *kwargs.values()]
            if any(isinstance(x, torch.Tensor) and x.dtype == torch.float64 for x in given):
                self._narrow[self._inside[-1] if self._inside else "the model"] = None
        return result


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _wide_array(array: Array) -> Array:
    return array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array
