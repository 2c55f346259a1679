"""See every PReLU of a torch module while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from prelu_tools.backends.calls import PReLUCall, Tally
from prelu_tools.backends.interface import Observer
from prelu_tools.backends.probe import probe
from prelu_tools.core.arrays import Array

_PRELU = ("prelu", "prelu.default")  # torch.prelu, and what an exported program calls


class Seen(NamedTuple):
    """Something that may be a call of a PReLU."""

    parameter: str
    """The name of its one parameter."""
    layer: str
    """The module's name."""
    kind: str
    """The class or function that was called."""
    x: torch.Tensor
    """What went in."""
    y: torch.Tensor
    """What came out."""
    weight: torch.Tensor
    """The parameter."""
    call: Callable[[Array, Array], Array]
    """The same computation on an input and a parameter of float32."""
    preceding: int | None
    """Weights and biases of the layer that was called before."""


class Watch(TorchFunctionMode):
    """Sees every PReLU of a module while it runs.

    `prelu` itself is seen as a function, with its weight; a module that spells PReLU otherwise is
    seen by a hook, if nothing inside it was.
    """

    def __init__(
        self, root: nn.Module, names: Mapping[int, str], seen: Callable[[Seen], bool]
    ) -> None:
        """Watch a module.

        Args:
            root: the module.
            names: the names of its parameters by the ids of the tensors that it runs with.
            seen: is told of what may be a PReLU, and says whether it is one.
        """
        super().__init__()
        self._root = root
        self._names = names
        self._seen = seen
        self._count = 0
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
        result = func(*args, **kwargs)
        if getattr(func, "__name__", "") in _PRELU:
            x, weight = [*args, *kwargs.values()][:2]
            name = self._names.get(id(weight))
            if name is not None:
                layer = _layer_name(self._root, name)
                with torch._C.DisableTorchFunction():
                    self._tell(name, layer, "PReLU", x, result, weight, functional_prelu)
        return result

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
                    kind = type(module).__name__
                    call = _module_call(module, local)
                    with torch._C.DisableTorchFunction():
                        self._tell(name, path or kind, kind, args[0], output, weight, call)
            if any(parameter.ndim > 1 for _, parameter in own):
                self._preceding = sum(parameter.numel() for _, parameter in own)

        return hook

    def _tell(
        self,
        name: str,
        layer: str,
        kind: str,
        x: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor,
        call: Callable[[Array, Array], Array],
    ) -> None:
        seen = Seen(name, layer, kind, x, y, weight, call, self._preceding)
        self._count += bool(self._seen(seen))


class CallFinder:
    """Collects the PReLU calls of a module: a `seen` of `Watch`."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self.calls: list[PReLUCall] = []

    def __call__(self, seen: Seen) -> bool:
        """Probe it."""
        if not seen.x.is_floating_point():
            return False
        shape = (None, *seen.x.shape[1:])
        indices = probe(seen.call, tuple(seen.weight.shape), shape)
        if indices is None:
            return False
        values = seen.weight.detach().cpu().numpy().copy()
        self.calls.append(
            PReLUCall(
                layer=seen.layer,
                parameter=seen.parameter,
                kind=seen.kind,
                values=values,
                indices=indices,
                input_shape=shape,
                preceding_parameters=seen.preceding,
                apply=lambda x: seen.call(x, values),
            )
        )
        return True


def parameter_names(root: nn.Module) -> dict[int, str]:
    """The names of a module's parameters by their ids."""
    return {id(p): name for name, p in root.named_parameters(remove_duplicate=True)}


def telling(calls: Iterable[PReLUCall], observe: Observer) -> Callable[[Seen], bool]:
    """A `seen` of `Watch` that tells an observer of the known calls of one run."""
    tally = Tally(calls, observe)

    def seen(call: Seen) -> bool:
        return tally(call.parameter, to_array(call.x), to_array(call.y))

    return seen


def to_array(tensor: torch.Tensor) -> Array:
    """A tensor as a numpy array."""
    return np.asarray(tensor.detach().cpu().numpy())


def functional_prelu(x: Array, weight: Array) -> Array:
    """Torch's own PReLU on arrays."""
    with torch.no_grad():
        result = nn.functional.prelu(_to_tensor(x), _to_tensor(weight))
    return np.asarray(result.numpy())


def _to_tensor(array: Array) -> torch.Tensor:
    """A tensor of an array; torch warns of memory that it may not write to."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _module_call(module: nn.Module, local: str) -> Any:
    def call(x: Array, weight: Array) -> Array:
        state = {local: _to_tensor(weight)}
        with torch.no_grad():
            # The bound forward, not the module: our own hooks would see this call.
            result = torch.func.functional_call(
                _Bare(module), {f"inner.{local}": state[local]}, (_to_tensor(x),)
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
