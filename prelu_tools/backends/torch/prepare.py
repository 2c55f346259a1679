"""A torch module prepared for inference: unwrapped, with plain weights in float32."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from prelu_tools.backends.protocol.failures import failed_on, sizes_from
from prelu_tools.backends.torch.arguments import arguments_of, zeros_for
from prelu_tools.backends.torch.scripted import CompiledGraph, unscripted
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.reasons import listed

_WRAPPERS = {
    "OptimizedModule": ("_orig_mod", "torch.compile"),
    "DataParallel": ("module", "DataParallel"),
    "DistributedDataParallel": ("module", "DistributedDataParallel"),
    "FullyShardedDataParallel": ("module", "FullyShardedDataParallel"),
}
_OLD_HOOKS = ("WeightNorm", "SpectralNorm")
_REFUSED = {
    torch.bfloat16: "in which onnxruntime's CPU provider has no convolutions",
    torch.float64: "in which onnxruntime's CPU provider has no convolutions",
    torch.float16: "and a program cannot be widened",
}


def unwrapped(module: nn.Module, label: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The module inside torch.compile's and the parallel wrappers, and what to say of them.

    Raises:
        PReLUToolsError: it is a ScriptModule, or has one inside, that cannot be split.
    """
    taken = []
    while (wrapper := wrapper_of(module)) is not None:
        attribute, name = wrapper
        module = getattr(module, attribute)
        taken.append(name)
    notes = [f"unwrapped: {', '.join(taken)}"] if taken else []
    scripted = [n for n, part in module.named_modules() if isinstance(part, ScriptModule)]
    if scripted:
        module = _unscripted(module, label)
        outermost = [n for n in scripted if n.rpartition(".")[0] not in scripted or not n]
        named = ", ".join(filter(None, outermost)) or type(module).__name__
        is_graph = any(isinstance(part, CompiledGraph) for part in module.modules())
        how = "by the graph that was compiled" if is_graph else "as the Python it was compiled from"
        notes.append(f"TorchScript, run {how}: {named}")
    return module, tuple(notes)


def _unscripted(module: nn.Module, called: str) -> nn.Module:
    """The module without TorchScript; if there is some, a copy that shares its tensors."""
    if isinstance(module, ScriptModule):
        return unscripted(module) or CompiledGraph(module, called)
    inner = {n: _unscripted(c, f"{n} in {called}") for n, c in module.named_children()}
    if all(module._modules[name] is child for name, child in inner.items()):
        return module
    plain = copy.copy(module)
    plain._modules = {**module._modules, **inner}
    return plain


@dataclass(frozen=True)
class Prepared:
    """A module as it is in inference."""

    module: nn.Module
    """In eval mode."""
    notes: tuple[str, ...] = ()
    """What was done to it."""
    is_widened: bool = False
    """Whether it was float16 and is float32 now."""


def prepared(module: nn.Module) -> Prepared:
    """The module with wrappers inside it taken off, and parametrizations computed once.

    Where something is to be done, it is done to a copy of the modules that shares their tensors.
    """
    with suppress(NotImplementedError):  # an exported program is in the mode it was exported in
        module.eval()
    wrapped = [name for name, part in module.named_modules() if wrapper_of(part) is not None]
    derived = [name for name, part in module.named_modules() if _is_parametrized(part)]
    halves = [name for name, p in module.named_parameters() if p.dtype == torch.float16]
    compiled = any(part._compiled_call_impl is not None for part in module.modules())
    if not (wrapped or derived or halves or compiled):
        return Prepared(module)
    notes = []
    own = _structure_of(module)
    if wrapped:
        _unwrap_inside(own)
        notes.append(f"unwrapped: {', '.join(wrapped)}")
    with torch.no_grad():
        for part in list(own.modules()):
            part._compiled_call_impl = None
            _compute_parametrized(part)
    if derived:
        named = listed([name or type(module).__name__ for name in derived], 4)
        notes.append(f"parametrized weights were computed once: {named}")
    if halves:
        _widen(own)
        notes.append(
            "float16 was widened to float32, which holds its values exactly; --dtype float16 "
            "writes float16"
        )
    return Prepared(own, tuple(notes), bool(halves))


def _widen(module: nn.Module) -> None:
    """Give a module tensors in float32 in the place of its own; `float()` would change these."""
    made: dict[int, torch.Tensor] = {}
    for part in module.modules():
        holders: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
        for held in holders:
            for name, tensor in held.items():
                if tensor is not None and tensor.is_floating_point():
                    wide = tensor.detach().float()
                    is_learned = isinstance(tensor, nn.Parameter)
                    held[name] = made.setdefault(
                        id(tensor), nn.Parameter(wide) if is_learned else wide
                    )


def initialise(module: nn.Module, label: str, options: SourceOptions) -> None:
    """Give lazy modules their parameters: by one run, in eval mode.

    Raises:
        UsageError: the shapes of the inputs are not known.
        PReLUToolsError: the module does not run.
    """
    if not any(map(is_lazy, [*module.parameters(), *module.buffers()])):
        return
    module.eval()
    make = getattr(module, "example_inputs", None)
    taken = arguments_of(module.forward, make, options, label)
    feeds = zeros_for(taken.specs)
    args, kwargs = taken.build({name: torch.from_numpy(array) for name, array in feeds.items()})
    with sizes_from(taken.origin):
        try:
            with torch.no_grad():
                module(*args, **kwargs)
        except Exception as error:
            raise failed_on(label, feeds, error) from error


def check_types(module: nn.Module, label: str) -> None:
    """Refuse what onnxruntime has no kernels for.

    Raises:
        PReLUToolsError: a parameter is of another floating type than float32.
    """
    for name, tensor in module.named_parameters():
        if tensor.dtype in _REFUSED:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise PReLUToolsError(
                f"{name} of {label} is {kind}, {_REFUSED[tensor.dtype]}: expected float32; call "
                ".float() on the module where it is created"
            )


def wrapper_of(module: nn.Module) -> tuple[str, str] | None:
    """The attribute with the real module, by the class's name: not all classes are imported."""
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.") and base.__name__ in _WRAPPERS:
            return _WRAPPERS[base.__name__]
    return None


def _unwrap_inside(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        while (wrapper := wrapper_of(child)) is not None:
            child = getattr(child, wrapper[0])
            setattr(module, name, child)
        _unwrap_inside(child)


def _old_hooks(module: nn.Module) -> Iterator[tuple[int, Any]]:
    """The hooks of the older weight_norm and spectral_norm, which have no public list."""
    for key, hook in module._forward_pre_hooks.items():
        if type(hook).__name__ in _OLD_HOOKS and type(hook).__module__.startswith("torch.nn.utils"):
            yield key, hook


def _is_parametrized(module: nn.Module) -> bool:
    return parametrize.is_parametrized(module) or any(True for _ in _old_hooks(module))


def _compute_parametrized(module: nn.Module) -> None:
    """Put the computed tensors in the place of what they are computed from, under their names."""
    if parametrize.is_parametrized(module):
        # Not remove_parametrizations: it takes the names off a class that the original has too.
        names = [name for name, _ in module.get_submodule("parametrizations").named_children()]
        values = {name: getattr(module, name).detach() for name in names}
        del module._modules["parametrizations"]
        module.__class__ = type(module).__bases__[0]
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value))
    for key, hook in list(_old_hooks(module)):
        hook(module, None)  # stores the computed weight as a plain attribute
        value = getattr(module, hook.name).detach()
        delattr(module, hook.name)
        for suffix in ("_g", "_v", "_orig"):
            module._parameters.pop(hook.name + suffix, None)
        module.register_parameter(hook.name, nn.Parameter(value))
        del module._forward_pre_hooks[key]


def _structure_of(module: nn.Module) -> nn.Module:
    """A copy of the modules that shares their tensors."""
    shared: dict[int, Any] = {}
    for part in module.modules():
        held = [*part._parameters.values(), *part._buffers.values(), *vars(part).values()]
        shared |= {id(value): value for value in held if isinstance(value, torch.Tensor)}
    return copy.deepcopy(module, shared)
