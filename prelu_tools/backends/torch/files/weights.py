"""Weights of torch modules, from the usual kinds of files."""

from __future__ import annotations

import pickle
import re
import textwrap
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from prelu_tools.backends.files.isolated import run_isolated
from prelu_tools.backends.files.naming import read_from, strip_to
from prelu_tools.backends.preflight.left_out import HYPER_PARAMETERS, plain_values
from prelu_tools.backends.torch.files.others import HINT, fitting, other_state_dicts, told
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MisfitError, PReLUToolsError, one_line
from prelu_tools.core.files.archives import faults_of
from prelu_tools.core.files.limits import allowed_memory, is_bomb
from prelu_tools.core.files.pickles import wanted_by_file, why_unsafe
from prelu_tools.core.files.plain_pickles import all_plain
from prelu_tools.core.misfit import misfit
from prelu_tools.core.results.reasons import listed
from prelu_tools.core.suggestions import no_such_file

_NAMED = 4
_LONGEST = 300  # characters of PyTorch's message
_DEEPEST = 8
_NO_ATTRIBUTE = re.compile(r"Can't get attribute '.+' on <module '(?P<module>[^']+)'")
_WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "params", "model", "net")


@dataclass(frozen=True)
class StateFile:
    """A state dict as a file holds it."""

    state: Mapping[str, Any]
    """What it holds by name: tensors, and what else modules keep."""
    wrappers: tuple[str, ...]
    """The keys that it was found under, the outermost first."""
    others: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """The other state dicts of the file, by where they are."""
    trained_with: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of the module that the file states, as far as they are plain values."""


def load_weights(module: nn.Module, path: Path, allow_unsafe: bool) -> tuple[str, ...]:
    """Load a state dict into a module; every name has to fit.

    Returns:
        What to say of what the names were taken out of.

    Raises:
        PReLUToolsError: the file cannot be read, or its names or shapes are not the module's.
    """
    file = read_state(path, allow_unsafe)
    found = file.state
    if not_text := [name for name in found if not isinstance(name, str)]:
        raise PReLUToolsError(
            f"the weights in {path} do not fit {type(module).__name__}: {not_text[0]!r} is not a "
            "parameter name"
        )
    state, prefixes, others = strip_to(found, module.state_dict().keys())
    as_well = fitting(file.others, module.state_dict(), found, prefixes)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        wrong = misfit(_shapes(state), _shapes(module.state_dict()))
        detail = wrong.text if wrong else textwrap.shorten(str(error), _LONGEST)
        if as_well:
            detail += f"; those under {as_well[0]} fit: to use them, {HINT}"
        raise MisfitError(
            f"the weights in {path} do not fit {type(module).__name__}: {detail}",
            is_near=wrong is not None and wrong.is_near and not as_well,
            trained_with=file.trained_with,
        ) from error
    taken = [*file.wrappers, *prefixes]
    notes = [f"{path.name}: {read_from(taken)}"] if taken else []
    if others:
        notes.append(f"not used from {path.name}: {listed(others, _NAMED)}")
    if as_well:
        notes.append(told(path, taken, as_well))
    return tuple(notes)


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors; of what is none, as of one that has no shape yet, ()."""
    return {
        name: tuple(value.shape) if isinstance(value, torch.Tensor) and not is_lazy(value) else ()
        for name, value in state.items()
    }


def read_state(path: Path, allow_unsafe: bool) -> StateFile:
    """Read a state dict, from a pickle or from safetensors, and take it out of its wrappers.

    Raises:
        PReLUToolsError: it cannot be read, would run code, or holds no state dict.
    """
    if not path.exists():
        raise PReLUToolsError(no_such_file(path))
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return StateFile(load_file(path), ())
        if not allow_unsafe and not all_plain(path):
            # Here it may loop or ask for all memory without harm.
            run_isolated("prelu_tools.backends.torch.files.weights:rehearse", path)
        content = _load(path, allow_unsafe)
    except PReLUToolsError:
        raise
    except Exception as error:
        raise PReLUToolsError(_unreadable(path, error)) from error
    return _unwrap(content, path)


def rehearse(path: Path) -> None:
    """Read all that `read_state` would read.

    Raises:
        PReLUToolsError: as `read_state`.
    """
    read_here(path)


def read_here(path: Path) -> StateFile:
    """Read a pickle in this process, which has limits (`files/isolated.py`).

    Raises:
        PReLUToolsError: as `read_state`.
    """
    try:
        content = _load(path, allow_unsafe=False)
    except (PReLUToolsError, MemoryError):
        raise
    except Exception as error:
        raise PReLUToolsError(_unreadable(path, error)) from error
    return _unwrap(content, path)


def to_numpy(tensor: torch.Tensor) -> Array:
    """The values of a floating tensor: bfloat16 as ml_dtypes has it, 8-bit floats as float32."""
    held = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > allowed_memory(held):
        raise PReLUToolsError(
            f"a tensor of shape {list(tensor.shape)[:8]} has only {held:,} bytes of data: "
            "rejected, because it would need too much memory"
        )
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    if tensor.element_size() == 1:
        tensor = tensor.float()  # numpy has none of them; the values stay
    return np.asarray(tensor.numpy())


def to_tensor(array: Array) -> torch.Tensor:
    """A tensor of an array, on its memory where torch may write to it."""
    plain = array if array.flags.writeable else np.array(array)
    if plain.dtype.name == "bfloat16":
        return torch.from_numpy(plain.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(plain)


def _load(path: Path, allow_unsafe: bool) -> Any:
    if zipfile.is_zipfile(path):
        _refuse_bomb(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the error contains what matters
        return torch.load(
            path,
            map_location="cpu",
            weights_only=not allow_unsafe,
            mmap=zipfile.is_zipfile(path),  # tensors that are not requested are not read
        )


def _refuse_bomb(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for fault in faults_of(archive, path):
            raise PReLUToolsError(f"{path} is rejected: {fault}")
        unpacked = sum(info.file_size for info in archive.infolist())
    if is_bomb(path.stat().st_size, unpacked):
        raise PReLUToolsError(
            f"{path} is rejected: it unpacks to {unpacked:,} bytes, like a zip bomb"
        )


def _unwrap(content: Any, path: Path) -> StateFile:
    wrappers: list[str] = []
    whole = content
    while len(wrappers) <= _DEEPEST:
        if isinstance(content, nn.Module):
            content = content.state_dict()
        if not isinstance(content, Mapping):
            raise PReLUToolsError(
                f"{path} contains a {type(content).__name__}: expected a state dict, as "
                "model.state_dict() returns"
            )
        key = _wrapper(content, path)
        if key is None:
            taken = tuple(wrappers)
            stated = whole.get(HYPER_PARAMETERS) if isinstance(whole, Mapping) else None
            others = tuple(other_state_dicts(whole, taken))
            return StateFile(content, taken, others, plain_values(stated))
        wrappers.append(key)
        content = content[key]
    raise PReLUToolsError(
        f"{path} contains no state dict: its contents are nested more than {_DEEPEST} levels deep"
    )


def _wrapper(content: Mapping[Any, Any], path: Path) -> str | None:
    """The key that the state dict is under: a usual one, or the only one with as many tensors."""
    usual = (key for key in _WRAPPERS if isinstance(content.get(key), Mapping | nn.Module))
    if (found := next(usual, None)) is not None:
        return found
    seen: set[int] = set()
    own = sum(isinstance(value, torch.Tensor) for value in content.values())
    held = {key: _count(key, value, _DEEPEST, seen) for key, value in content.items()}
    others = [key for key, count in held.items() if count and count >= own]
    if len(others) > 1:
        named = listed([*map(repr, others)], _NAMED)
        raise PReLUToolsError(
            f"{path} contains several state dicts ({named}): save the one that you want in a "
            f"separate file, or {HINT}"
        )
    return others[0] if others else None


def _count(key: Any, value: Any, depth: int, seen: set[int]) -> int:
    """How many tensors an entry has by name; an optimizer keeps its own by number.

    What was seen is not looked at again: a file may hold a value in many places.
    """
    if not isinstance(key, str) or key.endswith("_extra_state"):
        return 0
    if isinstance(value, nn.Module):
        return len(value.state_dict())
    if not isinstance(value, Mapping) or depth == 0 or id(value) in seen:
        return 0
    seen.add(id(value))
    own = sum(
        isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in value.items()
    )
    return own + sum(_count(name, inner, depth - 1, seen) for name, inner in value.items())


def _unreadable(path: Path, error: Exception) -> str:
    text = one_line(error)
    if isinstance(error, pickle.UnpicklingError) and "Unsupported operand" not in text:
        return (
            f"{path} contains more than tensors, and {why_unsafe(path)}: save only the "
            "state_dict(), or use --allow-unsafe-load if you trust it"
        )
    if "TorchScript" in text:
        return (
            f"{path} is a TorchScript archive, not a state dict: use a function that returns "
            f"torch.jit.load({path.name!r}), as in nets.py:load"
        )
    if (module := _missing_module(error)) is not None:
        return _needs_code(path, module)
    return (
        f"{path} cannot be read as weights: torch.save did not write it, or it is damaged "
        f"({type(error).__name__}: {textwrap.shorten(text, 160)})"
    )


def _missing_module(error: Exception) -> str | None:
    """The module without which a pickle cannot be loaded: it, or a name in it, is not there."""
    if isinstance(error, ModuleNotFoundError):
        return error.name
    found = _NO_ATTRIBUTE.match(str(error)) if isinstance(error, AttributeError) else None
    return found["module"] if found else None


def _needs_code(path: Path, module: str) -> str:
    """What to do about a file with objects of classes that cannot be found."""
    wanted = [name.rpartition(".") for name in wanted_by_file(path)]
    inside = ((one, name) for one, _, name in wanted if f"{one}.".startswith(f"{module}."))
    place, name = next(inside, (module, "NAME"))
    begin = f"{path} contains more than weights: an object of the class {name!r}"
    if place == "__main__":
        return (
            f"{begin} of the script that saved it, which cannot be found: save model.state_dict() "
            "instead"
        )
    file = f"{place.replace('.', '/')}.py"
    return (
        f"{begin}, whose module {place} cannot be imported, or lacks it: use {file}:{name}@{path}, "
        f"or run this where {file} is, with PYTHONPATH=., or install the package that has it"
    )
