"""Observe every PReLU of a torch module while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from prelu_tools.backends.torch.files.weights import to_tensor
from prelu_tools.backends.torch.functions import is_elementwise, label_of
from prelu_tools.backends.torch.regions import CallSignature, Region, regions_of
from prelu_tools.backends.torch.running.modes import OperatorMode
from prelu_tools.backends.torch.tracing import Tracer
from prelu_tools.core.arrays import Array


class Seen(NamedTuple):
    """Something that may be a call of a PReLU."""

    signature: CallSignature
    """How it is spelled."""
    parameter: str
    """What its slopes are called; "" until it is requested."""
    x: torch.Tensor
    """What went in."""
    y: torch.Tensor
    """What came out."""
    constants: Mapping[str, torch.Tensor]
    """See `Region.constants`."""
    call: Callable[[Array, Mapping[str, Array]], Array]
    """See `Region.call`."""
    place: str
    """The innermost module."""
    kind: str
    """The class or function that was called."""
    preceding: int | None
    """Weights and biases of the layer that was called before."""
    is_hidden: bool
    """See `PReLUCall.is_hidden`."""


Teller = Callable[[Seen], bool]
"""Called with a call that may be a PReLU; returns whether it is one."""


class Watch(TorchFunctionMode):
    """Sees every PReLU of a module while it runs.

    The functions that the module calls are put together to what may be a PReLU
    (`backends/torch/regions.py`); a module that does without functions is seen by a hook. What
    runs out of Python's sight, as TorchScript and `torch.vmap` do, is seen by its operators.
    """

    _sees_once = False

    def __init__(
        self, root: nn.Module, names: Mapping[int, str], seen: Teller, by_operators: bool = False
    ) -> None:
        """Watch a module; `tracer.take_inputs` has to be called with its arguments.

        Args:
            root: the module.
            names: the names of its tensors by the ids of those that it runs with.
            seen: called with calls that may be PReLUs; returns whether they are.
            by_operators: whether to watch the operators of ATen in place of functions.
        """
        super().__init__()
        self._operators = _Operators(self) if by_operators else None
        self._root = root
        self._names = names
        self._sizes = dict(root.named_parameters())
        self._seen = seen
        self._count = 0
        self._handles: list[Any] = []
        self._inside: list[tuple[str, nn.Module, int]] = []
        self._preceding: int | None = None
        self.tracer = Tracer(names, knows_versions=not by_operators)
        self._told: dict[tuple[int, int, CallSignature], torch.Tensor] = {}
        self._bodies = self._body = self._n_bodies = 0
        self._is_off = False
        # An attribute may get another value in the meantime, and its id another tensor.
        self._kept = [tensor for part in root.modules() for tensor in vars(part).values()]

    def __enter__(self) -> Watch:
        for name, module in self._root.named_modules():
            if not any(module.children()):
                self._handles.append(module.register_forward_pre_hook(self._before(name)))
                self._handles.append(module.register_forward_hook(self._after))
        mode: Any = self._operators or super()
        mode.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        mode: Any = self._operators or super()
        mode.__exit__(*details)
        for handle in self._handles:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.__iter__:
            return iter(self.__torch_function__(torch.Tensor.unbind, types, args, kwargs))
        if isinstance(func, HigherOrderOperator):
            return self._run_bodies(func, args, kwargs)
        with torch._C.DisableTorchFunction():
            before = self.tracer.overwritten(func, args, kwargs)
        result = func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            node = self.tracer.note(func, args, kwargs, result, before)
            if node is None or not node.is_constant:
                self._note_layer(label_of(func), [*args, *kwargs.values()])
            made = args[0] if label_of(func) == "setitem" else result
            for region in regions_of(node) if node is not None else ():
                replaced = self._tell_region(region, made, label_of(func))
                if replaced is not None:
                    region.y.is_layer = True
                    return replaced
        return result

    def _tell_region(
        self, region: Region, result: torch.Tensor, function: str
    ) -> torch.Tensor | None:
        """What to take for the result, where it is that of a PReLU."""
        same = self._place_of(region)
        if same in self._told:
            self._count += 1
            return self._told[same]  # the same call again, which exporters merge
        seen = Seen(region.signature, "", region.x, result, region.constants, region.call,
                    self._inside[-1][0] if self._inside else "", self._kind(region, function),
                    self._preceding, self._bodies > 0 or self._operators is not None)  # fmt: skip
        if not self._tell(seen):
            return None
        self._told[same] = result
        return result

    def _place_of(self, region: Region) -> tuple[int, int, CallSignature]:
        """What two calls have in common that are one: the graph, the input, how it is spelled."""
        return self._body, region.source.index, region.signature

    def _tell(self, seen: Seen) -> bool:
        is_layer = self._seen(seen)
        self._count += is_layer
        return is_layer

    def _kind(self, region: Region, function: str) -> str:
        """The class that implements PReLU, if it does nothing else; otherwise the function."""
        if self._inside:
            _, module, _ = self._inside[-1]
            if [self._names.get(id(own)) for own in module.parameters()] == [*region.constants]:
                return type(module).__name__
        return "PReLU" if "prelu" in function else function

    def _note_layer(self, function: str, given: list[Any]) -> None:
        """Remember how many parameters a layer with a matrix or a kernel has."""
        flat = [part for value in given for part in (value if isinstance(value, list) else [value])]
        names = {self._names.get(id(part)) for part in flat if isinstance(part, torch.Tensor)}
        sizes = [self._sizes[name] for name in names if name in self._sizes]
        if not is_elementwise(function) and any(size.ndim > 1 for size in sizes):
            self._preceding = sum(size.numel() for size in sizes)

    def _run_bodies(self, operator: Any, args: Any, kwargs: Any) -> Any:
        """Run `torch.cond` and its like, and watch their branches and bodies."""
        args, kwargs = pytree.tree_map(
            lambda part: self._watched(part) if callable(part) else part, (args, kwargs)
        )
        result = operator(*args, **kwargs)
        self.tracer.take_inputs(result)
        return result

    def _watched(self, body: Any) -> Any:
        seen: list[None] = []

        def call(*args: Any) -> Any:
            if self._sees_once and seen:
                return self._unwatched(body, *args)
            seen.append(None)
            around, self._bodies = self._body, self._bodies + 1
            self._body = self._n_bodies = self._n_bodies + 1
            try:
                with _Entered(self):
                    return body(*args)
            finally:
                self._body, self._bodies = around, self._bodies - 1

        return call

    def _unwatched(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        self._is_off = True
        try:
            return function(*args, **kwargs)
        finally:
            self._is_off = False

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, _args: Any) -> None:
            self._inside.append((name, module, self._count))

        return hook

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        path, _, before = self._inside.pop()
        own = list(module.named_parameters())
        if self._is_off or self._count > before or len(own) != 1:
            return
        if _keeps_shape(args, output):
            local, weight = own[0]
            name = self._names.get(id(weight))
            if name is not None:
                kind = type(module).__name__
                seen = Seen(CallSignature(name, kind), "", args[0], output, {name: weight},
                            _module_call(module, local, weight), path, kind, self._preceding,
                            is_hidden=True)  # fmt: skip
                with torch._C.DisableTorchFunction():
                    self._tell(seen)


class _Operators(OperatorMode):
    """Has a watch see each operator as it sees functions."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._watch = watch

    def operator(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run it, and look at it."""
        return self._watch.__torch_function__(func, (), args, kwargs)


class Exploring(Watch):
    """Sees each branch of a module, and the body of each loop once."""

    _sees_once = True

    def _run_bodies(self, operator: Any, args: Any, kwargs: Any) -> Any:
        bodies = _bodies(operator, args)
        if not bodies:
            return super()._run_bodies(operator, args, kwargs)
        for body, given in bodies:
            with suppress(Exception):  # a branch that is not for these inputs
                self._watched(body)(*given)
        result = self._unwatched(operator, *args, **kwargs)
        self.tracer.take_inputs(result)
        return result


class _Entered(TorchFunctionMode):
    """Has another mode see what is called, which torch took off for the time of a function."""

    def __init__(self, mode: Watch) -> None:
        super().__init__()
        self._mode = mode

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._mode.__torch_function__(func, types, args, kwargs)


def _bodies(operator: Any, args: Any) -> list[tuple[Any, Any]]:
    """The functions that an operator runs, with their first arguments."""
    name = operator.name()
    if name == "cond":
        return [(args[1], args[3]), (args[2], args[3])]
    if name == "while_loop":
        return [(args[1], (*args[2], *args[3]))]
    return []


def tensor_names(root: nn.Module) -> dict[int, str]:
    """The names of a module's tensors by their ids: parameters, buffers, attributes."""
    found: dict[int, str] = {}
    for path, module in root.named_modules():
        for held in (vars(module), module._buffers, module._parameters):
            for name, value in held.items():
                if isinstance(value, torch.Tensor):
                    found.setdefault(id(value), f"{path}.{name}".lstrip("."))
    return found


def _module_call(module: nn.Module, local: str, weight: torch.Tensor) -> Any:
    def call(x: Array, changed: Mapping[str, Array]) -> Array:
        given = next((to_tensor(values) for values in changed.values()), weight.float())
        with torch.no_grad():
            # The bound forward, not the module: our own hooks would see this call.
            state = {f"inner.{local}": given}
            result = torch.func.functional_call(_Bare(module), state, (to_tensor(x),))
        return np.asarray(result.float().numpy())

    return call


class _Bare(nn.Module):
    """Calls a module's forward without its hooks."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> Any:
        """Call it."""
        return self.inner.forward(x)


def _keeps_shape(args: Any, output: Any) -> bool:
    return (
        len(args) == 1
        and isinstance(args[0], torch.Tensor)
        and isinstance(output, torch.Tensor)
        and args[0].shape == output.shape
    )
