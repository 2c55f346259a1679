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
from prelu_tools.backends.torch.regions import (
    ELEMENTWISE,
    Region,
    Spelling,
    Tracer,
    label_of,
    regions_of,
)
from prelu_tools.backends.torch.weights import to_numpy, to_tensor
from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.slopes import Shape


class Seen(NamedTuple):
    """Something that may be a call of a PReLU."""

    spelling: Spelling
    """How it is spelled; `origin` is the name of its parameter."""
    parameter: str
    """What its slopes are called: the parameter, and a number where several are made of it."""
    layer: str
    """The module's name."""
    kind: str
    """The class or function that was called."""
    x: torch.Tensor
    """What went in."""
    y: torch.Tensor
    """What came out."""
    weight: torch.Tensor
    """The slopes."""
    call: Callable[[Array, Array], Array]
    """The same computation on an input and slopes of float32."""
    preceding: int | None
    """Weights and biases of the layer that was called before."""


Teller = Callable[[Seen], bool]
"""Is told of what may be a PReLU, and says whether it is one."""


class Watch(TorchFunctionMode):
    """Sees every PReLU of a module while it runs.

    The functions that the module calls are put together to what may be a PReLU
    (`backends/torch/regions.py`); a module that does without functions is seen by a hook.
    """

    def __init__(self, root: nn.Module, names: Mapping[int, str], seen: Teller) -> None:
        """Watch a module.

        Args:
            root: the module.
            names: the names of its parameters and buffers by the ids of the tensors that it runs
                with.
            seen: is told of what may be a PReLU, and says whether it is one.
        """
        super().__init__()
        self._root = root
        self._names = names
        self._sizes = dict(root.named_parameters())
        self._seen = seen
        self._count = 0
        self._handles: list[Any] = []
        self._inside: list[tuple[nn.Module, int]] = []
        self._preceding: int | None = None
        self._tracer = Tracer(names)
        self._told: set[tuple[int, Spelling]] = set()

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
        with torch._C.DisableTorchFunction():
            node = self._tracer.note(func, args, kwargs, result)
            if node is None or node.origins is None:
                self._note_layer(label_of(func), [*args, *kwargs.values()])
            for region in regions_of(node) if node is not None else ():
                if self._tell_region(region, result, label_of(func)):
                    region.y.is_layer = True
                    break
        return result

    def _tell_region(self, region: Region, result: torch.Tensor, function: str) -> bool:
        same = (region.source.index, region.spelling)
        if same in self._told:
            self._count += 1
            return True  # the same again, which exporters make one of
        found = self._tell_new(region, result, function)
        if found:
            self._told.add(same)
        return found

    def _tell_new(self, region: Region, result: torch.Tensor, function: str) -> bool:
        origin = region.spelling.origin
        layer = _layer_name(self._root, origin)
        kind = self._kind(origin, function)
        return self._tell(
            Seen(region.spelling, origin, layer, kind, region.x, result, region.weight,
                 region.call, self._preceding)
        )  # fmt: skip

    def _tell(self, seen: Seen) -> bool:
        is_layer = self._seen(seen)
        self._count += is_layer
        return is_layer

    def _kind(self, origin: str, function: str) -> str:
        """The class that spells PReLU out, where it does nothing else; else the function."""
        if self._inside:
            module, _ = self._inside[-1]
            if [self._names.get(id(own)) for own in module.parameters()] == [origin]:
                return type(module).__name__
        return "PReLU" if "prelu" in function else function

    def _note_layer(self, function: str, given: list[Any]) -> None:
        """Remember how many parameters a layer with a matrix or a kernel has."""
        flat = [part for value in given for part in (value if isinstance(value, list) else [value])]
        names = {self._names.get(id(part)) for part in flat if isinstance(part, torch.Tensor)}
        sizes = [self._sizes[name] for name in names if name in self._sizes]
        if function not in ELEMENTWISE and any(size.ndim > 1 for size in sizes):
            self._preceding = sum(size.numel() for size in sizes)

    def _before(self, module: nn.Module, _args: Any) -> None:
        self._inside.append((module, self._count))

    def _after(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            _, before = self._inside.pop()
            own = list(module.named_parameters())
            if self._count == before and len(own) == 1 and _keeps_shape(args, output):
                local, weight = own[0]
                name = self._names.get(id(weight))
                if name is not None:
                    kind = type(module).__name__
                    spelling = Spelling(name, "", kind)
                    seen = Seen(spelling, name, path or kind, kind, args[0], output, weight,
                                _module_call(module, local), self._preceding)  # fmt: skip
                    with torch._C.DisableTorchFunction():
                        self._tell(seen)

        return hook


class CallFinder:
    """Collects the PReLU calls of a module: a `Teller` of `Watch` that asks each of them."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self.calls: list[PReLUCall] = []
        self.known: dict[Spelling, str] = {}
        """What the slopes of each spelling are called."""
        self._names: dict[tuple[str, str], str] = {}

    def __call__(self, seen: Seen) -> bool:
        """Probe it."""
        if not seen.x.is_floating_point():
            return False
        shape: Shape = (None, *seen.x.shape[1:]) if seen.x.ndim else ()
        indices = probe(seen.call, tuple(seen.weight.shape), shape)
        if indices is None:
            return False
        values = to_numpy(seen.weight).copy()
        plain = values if values.dtype.kind == "f" else values.astype(np.float32)  # bfloat16
        if not _gives(seen.call, plain, indices, shape):
            return False
        name, mark = self._named(seen.spelling)
        self.known[seen.spelling] = name
        self.calls.append(
            PReLUCall(
                layer=seen.layer + mark,
                parameter=name,
                kind=seen.kind,
                values=values,
                indices=indices,
                input_shape=shape,
                preceding_parameters=seen.preceding,
                apply=lambda x: seen.call(x, plain),
            )
        )
        return True

    def _named(self, spelling: Spelling) -> tuple[str, str]:
        """The slopes' name, and the mark behind it: several may be made of one parameter."""
        made_of = (spelling.origin, spelling.derivation)
        if made_of not in self._names:
            number = 1 + sum(origin == spelling.origin for origin, _ in self._names)
            self._names[made_of] = spelling.origin + (f"#{number}" if number > 1 else "")
        name = self._names[made_of]
        return name, name.removeprefix(spelling.origin)


def _gives(
    call: Callable[[Array, Array], Array], values: Array, indices: IntArray, shape: Shape
) -> bool:
    """Whether -1 gives minus the slopes: tags are positive, and hide an `abs` or a `relu`."""
    sizes = tuple(size or 1 for size in shape)
    expected = np.broadcast_to(-values.reshape(-1)[indices], sizes)
    found = call(np.full(sizes, -1, values.dtype), values)
    return found.shape == sizes and np.array_equal(found, expected, equal_nan=True)


def tensor_names(root: nn.Module) -> dict[int, str]:
    """The names of a module's parameters and floating buffers by their ids."""
    buffers = (
        (name, buffer) for name, buffer in root.named_buffers() if buffer.is_floating_point()
    )
    return {id(tensor): name for name, tensor in [*buffers, *root.named_parameters()]}


def knowing(known: Mapping[Spelling, str], seen: Teller) -> Teller:
    """A `Teller` that is told of the calls alone that a `CallFinder` found to be PReLUs."""

    def told(call: Seen) -> bool:
        name = known.get(call.spelling)
        return name is not None and seen(call._replace(parameter=name))

    return told


def telling(calls: Iterable[PReLUCall], observe: Observer) -> Teller:
    """A `Teller` that tells an observer of the known calls of one run."""
    tally = Tally(calls, observe)

    def seen(call: Seen) -> bool:
        return tally(call.parameter, to_numpy(call.x), to_numpy(call.y))

    return seen


def _module_call(module: nn.Module, local: str) -> Any:
    def call(x: Array, weight: Array) -> Array:
        state = {local: to_tensor(weight)}
        with torch.no_grad():
            # The bound forward, not the module: our own hooks would see this call.
            result = torch.func.functional_call(
                _Bare(module), {f"inner.{local}": state[local]}, (to_tensor(x),)
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
