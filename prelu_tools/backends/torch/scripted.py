"""TorchScript modules as plain modules: from their class, or from the compiled graph."""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.jit._recursive import create_script_module, infer_methods_to_compile

from prelu_tools.core.errors import PReLUToolsError

_FIX = (
    "use the class that it was made from, with its weights after an @ (the state_dict() of "
    "torch.jit.load(...), saved with torch.save)"
)
_C: Any = torch._C
_OWN = {"training", "_is_full_backward_hook"}


class CompiledGraph(nn.Module):
    """What a ScriptModule computes, as a function of its tensors, which have their names here.

    Its Python is gone, as after `torch.jit.load` and `torch.jit.trace`.
    """

    def __init__(self, module: nn.Module, called: str) -> None:
        """Take a ScriptModule.

        Raises:
            PReLUToolsError: its graph cannot be taken out of it.
        """
        super().__init__()
        module.eval()
        script: Any = module
        try:
            frozen = _C._freeze_module(script._c, [], True, True)
            graph = frozen._get_method("forward").graph
            _C._jit_pass_inline(graph)
            graph, tensors = _C._jit_pass_lower_graph(graph, frozen)
            self._function = _C._create_function_from_graph("forward", graph)
            arguments = script.forward.schema.arguments[1:]
        except Exception as error:
            raise PReLUToolsError(
                f"{called} is a ScriptModule whose graph cannot be read "
                f"({type(error).__name__}): {_FIX}"
            ) from error
        learned = dict(module.named_parameters())
        held = {**learned, **dict(module.named_buffers())}
        names = {id(tensor): name for name, tensor in reversed(held.items())}
        self._names = [names.get(id(t), f"tensor_{i}") for i, t in enumerate(tensors)]
        for name, tensor in {**dict(zip(self._names, tensors, strict=True)), **held}.items():
            _put(self, name, nn.Parameter(tensor) if name in learned else tensor)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        defaults = (
            one.default_value if one.has_default_value() else inspect.Parameter.empty
            for one in arguments
        )
        signature = inspect.Signature(
            [
                inspect.Parameter(one.name, kind, default=default)
                for one, default in zip(arguments, defaults, strict=True)
            ]
        )
        call: Any = partial(type(self)._call, self, signature)
        call.__signature__ = signature  # for code that looks at its signature
        self.forward = call
        self.eval()

    def _call(self, signature: inspect.Signature, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        tensors = (_get(self, name) for name in self._names)
        return self._function(*bound.args, *tensors)


def _put(root: nn.Module, name: str, tensor: torch.Tensor) -> None:
    *path, own = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    if isinstance(tensor, nn.Parameter):
        root.register_parameter(own, tensor)
    else:
        root.register_buffer(own, tensor)


def _get(root: nn.Module, name: str) -> Any:
    path, _, own = name.rpartition(".")
    return getattr(root.get_submodule(path), own)


def unscripted(module: nn.Module) -> nn.Module | None:
    """A scripted module as an instance of its class, with the same tensors.

    Only what compiles to the same code again counts as the same.

    Returns:
        None if its class is not known, as after `torch.jit.load` and `torch.jit.trace`, needs more
        than it shows, or computes something else in Python.
    """
    parts = [part for part in module.modules() if isinstance(part, torch.jit.ScriptModule)]
    if not all(_is_known(_class_of(part)) for part in parts):
        return None
    plain = _rebuilt(module)
    try:
        # `torch.jit.script` would find what it compiled before.
        again = create_script_module(  # type: ignore[no-untyped-call]
            plain, infer_methods_to_compile, share_types=False
        )
    except Exception:
        return None
    return plain if _code(again) == _code(module) else None


def _code(module: Any) -> str:
    """What a ScriptModule computes, without torch's numbering of classes."""
    return re.sub(r"\b___torch_mangle_\d+\.", "", module.inlined_graph.str(False))


def _class_of(module: nn.Module) -> Any:
    return getattr(getattr(module, "_concrete_type", None), "py_class", None)


def _rebuilt(module: Any) -> nn.Module:
    concrete, kind = module._concrete_type, _class_of(module)
    plain: nn.Module = kind.__new__(kind)
    nn.Module.__init__(plain)
    for name, parameter in module.named_parameters(recurse=False):
        plain.register_parameter(name, parameter)
    for name, buffer in module.named_buffers(recurse=False):
        plain.register_buffer(name, buffer)
    for name, child in module.named_children():
        scripted = isinstance(child, torch.jit.ScriptModule)
        plain.add_module(name, _rebuilt(child) if scripted else child)
    values = concrete.get_constants() | {
        name: getattr(module, name) for name in concrete.get_attributes() if name not in _OWN
    }
    for name, value in values.items():
        if not hasattr(plain, name):
            setattr(plain, name, value)
    return plain.train(module.training)


def _is_known(kind: Any) -> bool:
    """Whether there is a class whose Python code does what its TorchScript does."""
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        return False
    if kind.__module__.startswith("torch."):
        return kind.__qualname__ == kind.__name__
    try:
        return "is_scripting" not in inspect.getsource(kind)
    except (OSError, TypeError):
        return False
