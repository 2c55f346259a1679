"""Weights for a torch module, from the files that people keep them in."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prelu_tools.core.errors import PReLUToolsError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "model.", "_orig_mod.")


def load_weights(module: nn.Module, path: Path, allow_unsafe: bool) -> None:
    """Load a state dict into a module; every name has to fit.

    Raises:
        PReLUToolsError: the file cannot be read, or its names or shapes are not the module's.
    """
    state = _unprefixed(_read(path, allow_unsafe), set(module.state_dict()))
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise PReLUToolsError(
            f"the weights in {path} do not fit {type(module).__name__}: {detail}"
        ) from error


def _read(path: Path, allow_unsafe: bool) -> Mapping[str, Any]:
    if not path.exists():
        raise PReLUToolsError(f"{path} cannot be read: no such file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=not allow_unsafe)
    except pickle.UnpicklingError as error:
        raise PReLUToolsError(
            f"{path} holds more than tensors, and loading it would run code of the file: save its "
            "state_dict(), or give --allow-unsafe-load if you trust it"
        ) from error
    except Exception as error:
        raise PReLUToolsError(
            f"{path} cannot be read as weights ({type(error).__name__}: {error})"
        ) from error
    while isinstance(content, Mapping):
        inner = next(
            (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None
        )
        if inner is None:
            return content
        content = inner
    raise PReLUToolsError(
        f"{path} holds a {type(content).__name__}: expected a state dict, as model.state_dict()"
    )


def _unprefixed(state: Mapping[str, Any], expected: set[str]) -> dict[str, Any]:
    """Take off what DataParallel, Lightning and torch.compile put before every name."""
    names = dict(state)
    while not expected & set(names):
        prefix = next((p for p in _PREFIXES if names and all(n.startswith(p) for n in names)), None)
        if prefix is None:
            break
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    return names
