"""See every PReLU of a torch module while it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from prelu_tools.backends.calls import PReLUCall, note_reach
from prelu_tools.backends.interface import Reach
from prelu_tools.backends.probe import probe
from prelu_tools.core.arrays import Array


class Watch(TorchFunctionMode):
    """Sees every PReLU of a module while it runs.

    `prelu` itself is seen as a function, with its weight; a module that spells PReLU otherwise is
    seen by a hook, and probed.
    """

    def __init__(
        self, root: nn.Module, known: list[PReLUCall] | None = None, reach: Reach | None = None
    ) -> None:
        super().__init__()
        self.calls: list[PReLUCall] = []
        self._root = root
        self._known = known
        self._reach = reach
        self._count = 0
        self._names = {id(p): name for name, p in root.named_parameters(remove_duplicate=True)}
        self._handles: list[Any] = []
        self._inside: list[int] = []
        self._preceding: int | None = None

    def __enter__(self) -> Watch:
        for name, module in self._root.named_modules():
            if not any(module.children()):
                self._handles.append(module.register_forward_pre_hook(self._before))
                self._handles.append(module.register_forward_hook(self._after(name)))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "prelu":
            x, weight = [*args, *kwargs.values()][:2]
            with torch._C.DisableTorchFunction():
                self._prelu(x, weight)
        return func(*args, **kwargs)

    def _prelu(self, x: torch.Tensor, weight: torch.Tensor) -> None:
        name = self._names.get(id(weight))
        if name is not None:
            self._note(name, _layer_name(self._root, name), "PReLU", x, weight, _functional)

    def _before(self, _module: nn.Module, _args: Any) -> None:
        self._inside.append(self._count)

    def _after(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            seen_inside = self._count != self._inside.pop()
            own = list(module.named_parameters())
            if not seen_inside and len(own) == 1 and _keeps_shape(args, output):
                local, weight = own[0]
                name = self._names.get(id(weight))
                if name is not None:
                    with torch._C.DisableTorchFunction():
                        layer = path or type(module).__name__
                        kind = type(module).__name__
                        self._note(name, layer, kind, args[0], weight, _module_call(module, local))
            if any(parameter.ndim > 1 for _, parameter in own):
                self._preceding = sum(parameter.numel() for _, parameter in own)

        return hook

    def _note(
        self, name: str, layer: str, kind: str, x: torch.Tensor, weight: torch.Tensor, call: Any
    ) -> None:
        if self._known is not None:
            if self._reach is not None:
                note_reach(self._reach, self._known, name, x.detach().cpu().numpy())
            self._count += 1
            return
        shape = (None, *x.shape[1:])
        indices = probe(call, tuple(weight.shape), shape) if x.is_floating_point() else None
        if indices is not None:
            values = weight.detach().cpu().numpy().copy()
            found = PReLUCall(layer, name, kind, values, indices, shape, self._preceding)
            self.calls.append(found)
            self._count += 1


def _functional(x: Array, weight: Array) -> Array:
    with torch.no_grad():
        result = nn.functional.prelu(torch.from_numpy(x), torch.from_numpy(weight))
    return np.asarray(result.numpy())


def _module_call(module: nn.Module, local: str) -> Any:
    def call(x: Array, weight: Array) -> Array:
        state = {local: torch.from_numpy(weight)}
        with torch.no_grad():
            # The bound forward, not the module: our own hooks would see this call.
            result = torch.func.functional_call(
                _Bare(module), {f"inner.{local}": state[local]}, (torch.from_numpy(x),)
            )
        return np.asarray(result.numpy())

    return call


class _Bare(nn.Module):
    """Calls a module's forward without its hooks."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> Any:
        """Call it."""
        return self.inner.forward(x)


def _layer_name(root: nn.Module, parameter: str) -> str:
    """The module of a PReLU's weight; the weight itself where its module is more than that."""
    path, _, _ = parameter.rpartition(".")
    owner = root.get_submodule(path)
    if len(list(owner.parameters())) == 1:
        return path or type(owner).__name__
    return parameter


def _keeps_shape(args: Any, output: Any) -> bool:
    return (
        len(args) == 1
        and isinstance(args[0], torch.Tensor)
        and isinstance(output, torch.Tensor)
        and args[0].shape == output.shape
    )
