"""Modules that `torch.jit.script` compiled, as the Python that they were compiled from."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import nn
from torch.jit._recursive import create_script_module, infer_methods_to_compile

from prelu_tools.core.errors import PReLUToolsError

_FIX = (
    "name the class that it was made from, and give its weights after an @ (the state_dict() of "
    "torch.jit.load(...), saved with torch.save)"
)
_OWN = {"training", "_is_full_backward_hook"}


def unscripted(module: nn.Module, called: str) -> nn.Module:
    """A scripted module as an instance of its class, with the same tensors.

    Only what compiles to the same code again counts as the same.

    Args:
        module: the ScriptModule.
        called: its name for messages.

    Raises:
        PReLUToolsError: its class is not known, as after `torch.jit.load` and `torch.jit.trace`, or
            computes something else in Python.
    """
    plain = _rebuilt(module, called)
    try:
        # `torch.jit.script` would find what it compiled before.
        again = create_script_module(  # type: ignore[no-untyped-call]
            plain, infer_methods_to_compile, share_types=False
        )
    except Exception as error:
        raise PReLUToolsError(
            f"{called} is a ScriptModule that needs more than its class shows ({error}): {_FIX}"
        ) from error
    if _code(again) != _code(module):
        raise PReLUToolsError(
            f"{called} is a ScriptModule, but its class now computes something different: {_FIX}"
        )
    return plain


def _code(module: Any) -> str:
    """What a ScriptModule computes, without the numbers that torch gives to classes."""
    return re.sub(r"\b___torch_mangle_\d+\.", "", module.inlined_graph.str(False))


def _rebuilt(module: nn.Module, called: str) -> nn.Module:
    concrete: Any = getattr(module, "_concrete_type", None)
    kind: Any = getattr(concrete, "py_class", None)
    if not _is_known(kind):
        raise PReLUToolsError(f"{called} is a ScriptModule, whose Python code is gone: {_FIX}")
    plain: nn.Module = kind.__new__(kind)
    nn.Module.__init__(plain)
    for name, parameter in module.named_parameters(recurse=False):
        plain.register_parameter(name, parameter)
    for name, buffer in module.named_buffers(recurse=False):
        plain.register_buffer(name, buffer)
    for name, child in module.named_children():
        scripted = isinstance(child, torch.jit.ScriptModule)
        plain.add_module(name, _rebuilt(child, f"{name} in {called}") if scripted else child)
    values = concrete.get_constants() | {
        name: getattr(module, name) for name in concrete.get_attributes() if name not in _OWN
    }
    for name, value in values.items():
        if not hasattr(plain, name):
            setattr(plain, name, value)
    return plain.train(module.training)


def _is_known(kind: Any) -> bool:
    """Whether a class is at hand whose Python does what its TorchScript does."""
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        return False
    if kind.__module__.startswith("torch."):
        return kind.__qualname__ == kind.__name__
    try:
        return "is_scripting" not in inspect.getsource(kind)
    except (OSError, TypeError):
        return False
