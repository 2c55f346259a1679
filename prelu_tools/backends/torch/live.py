"""A torch module while it is trained.

Its layers are found as `inspect` finds them: a copy on the CPU is run on a few rows of what the
module itself was called with. Their slopes are read from the module.
"""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from prelu_tools.backends.files.state_dict import of_module
from prelu_tools.backends.protocol.calls import PReLUCall, layers_of, slope_sources, slopes_with
from prelu_tools.backends.protocol.living import LayerState
from prelu_tools.backends.torch.calling import as_call
from prelu_tools.backends.torch.files.weights import to_numpy
from prelu_tools.backends.torch.prepare import unwrapped, wrapper_of
from prelu_tools.backends.torch.running.capture import Run
from prelu_tools.backends.torch.running.rehearsal import Rehearsal
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import UsageError
from prelu_tools.core.prelu.slopes import PReLULayer

_COMPUTED = ("_g", "_v", "_orig")
"""What weight_norm, spectral_norm and pruning add to the name of a weight that they compute."""


@dataclass(frozen=True)
class _Live:
    """How to read one layer."""

    call: PReLUCall | None
    """What a run showed of it; None if it was identified by names and shapes."""
    sources: tuple[str, ...]
    """The names of the tensors that its slopes come from."""
    parameters: tuple[nn.Parameter, ...]
    """What of these is learned."""


class LiveTorchModel:
    """See `LiveModel`."""

    shows_gradients = True

    def __init__(self, model: nn.Module, optimizers: Iterable[Any], runs: Sequence[Run]) -> None:
        """Find the layers.

        Args:
            model: the module, in its wrappers if it has any.
            optimizers: those that train it.
            runs: calls of it; with none, or if it does not run again, names and shapes tell which
                of its tensors are slopes.

        Raises:
            PReLUToolsError: it has a ScriptModule inside.
        """
        self._root, _ = unwrapped(model, type(model).__name__)
        self._optimizers = list(map(innermost, optimizers))
        self._rehearsal = Rehearsal(self._root, runs)
        self.notes: tuple[str, ...] = self._rehearsal.notes
        calls = self._rehearsal.calls
        if calls is None:
            self.layers, self._live = self._named()
        else:
            self.layers = layers_of(calls)
            first = {call.parameter: call for call in reversed(calls)}
            self._live = [self._of_call(first[str(layer.parameter)]) for layer in self.layers]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What all slopes come from, each once."""
        found = {id(p): p for live in self._live for p in live.parameters}
        return list(found.values())

    def look(self) -> list[LayerState]:
        """See `LiveModel.look`."""
        decays = {
            id(parameter): float(group.get("weight_decay") or 0.0)
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        return [self._state(live, decays) for live in self._live]

    def negatives(self) -> Mapping[str, Array] | None:
        """See `LiveModel.negatives`."""
        return self._rehearsal.negatives()

    def _state(self, live: _Live, decays: Mapping[int, float]) -> LayerState:
        with torch.no_grad():
            current = {name: to_numpy(tensor_of(self._root, name)) for name in live.sources}
        call = live.call
        slopes = current[live.sources[0]] if call is None else slopes_with(call, current)
        known = [id(parameter) for parameter in live.parameters]
        gradients = [p.grad for p in live.parameters if p.grad is not None]
        squares = [float(gradient.detach().float().square().sum()) for gradient in gradients]
        return LayerState(
            slopes=slopes.reshape(-1),
            is_trained=any(parameter.requires_grad for parameter in live.parameters),
            is_updated=any(key in decays for key in known) if self._optimizers else None,
            weight_decay=max((decays.get(key, 0.0) for key in known), default=0.0),
            gradient=float(np.sqrt(sum(squares))) if squares else None,
        )

    def _of_call(self, call: PReLUCall) -> _Live:
        values = {name: to_numpy(tensor_of(self._root, name)) for name in call.sources}
        sources = slope_sources(call, values)
        return _Live(call, sources, tuple(p for s in sources for p in _learned(self._root, s)))

    def _named(self) -> tuple[tuple[PReLULayer, ...], list[_Live]]:
        """What names and shapes say, and the class `nn.PReLU`."""
        parameters = dict(self._root.named_parameters())
        owners = {f"{n}.weight".lstrip("."): m for n, m in self._root.named_modules()}
        found = {}
        for layer in of_module(dict(parameters)).layers:
            own = [n for n in parameters if f".{n}".endswith(f".{layer.parameter}")]
            is_prelu = isinstance(owners.get(own[0]), nn.PReLU) if own else False
            if own and (is_prelu or not _is_of_torch(self._root, own[0])):
                found[layer] = _Live(None, (own[0],), (parameters[own[0]],))
        return tuple(found), list(found.values())


def example_runs(model: nn.Module, given: Any) -> list[Run]:
    """The call of a module with its examples, as `example_inputs()` returns them.

    Args:
        model: the module, in its wrappers if it has any.
        given: a tensor, a tuple or a mapping; None for what the module's own method returns.
    """
    root, _ = unwrapped(model, type(model).__name__)
    make = getattr(root, "example_inputs", None)
    if given is None and callable(make):
        given = make()
    if given is None:
        return []
    args, kwargs = as_call(python_inspect.signature(root.forward), given)
    return [Run("", args, kwargs)]


def innermost(optimizer: Any) -> torch.optim.Optimizer:
    """The optimizer inside those that wrap one, such as Accelerate's and Lightning's.

    Raises:
        UsageError: it is none of torch's.
    """
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    if not isinstance(optimizer, torch.optim.Optimizer):
        kind = type(optimizer).__name__
        raise UsageError(f"the optimizer is a {kind}: expected a torch.optim.Optimizer")
    return optimizer


def tensor_of(root: nn.Module, name: str) -> torch.Tensor:
    """The tensor of a name as a module has it now, found through the wrappers of its parts."""
    owner, _, own = name.rpartition(".")
    found = getattr(_part(root, owner), own)
    if not isinstance(found, torch.Tensor):
        raise AttributeError(f"{name} is not a tensor")
    return found


def _part(root: nn.Module, path: str) -> nn.Module:
    part = root
    for piece in path.split(".") if path else ():
        part = getattr(part, piece)
        while (wrapper := wrapper_of(part)) is not None:
            part = getattr(part, wrapper[0])
    return part


def _learned(root: nn.Module, name: str) -> list[nn.Parameter]:
    """The parameters that a tensor is, or is computed from."""
    owner, _, own = name.rpartition(".")
    part = _part(root, owner)
    if parametrize.is_parametrized(part, own):
        held: Any = part.get_submodule(f"parametrizations.{own}")
        return list(held.parameters())
    names = (own, *(f"{own}{suffix}" for suffix in _COMPUTED))
    with suppress(AttributeError):
        return [p for p in (part._parameters.get(each) for each in names) if p is not None]
    return []


def _is_of_torch(root: nn.Module, name: str) -> bool:
    """Whether a parameter belongs to a module of torch's own."""
    return type(_part(root, name.rpartition(".")[0])).__module__.startswith("torch.nn.")
