"""The state dicts of a checkpoint besides the one that is used: averaged weights, say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from prelu_tools.backends.files.naming import fitting_prefixes, strip_to
from prelu_tools.core.results.reasons import Reason, listed

CODE: Final = "other_state_dict"
HINT: Final = (
    "write a function that returns the model with the weights that you want, and use it as the "
    "source (FILE.py:FUNCTION)"
)
_TOP = "the top level"
_DEEPEST = 8
_NAMED = 4


def other_state_dicts(
    held: Any, taken: tuple[str, ...], path: tuple[str, ...] = (), seen: set[int] | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each mapping with tensors by name that is not the one taken, under the keys it is found at.

    Args:
        held: what a checkpoint holds, or holds at `path`.
        taken: the keys of the state dict that is taken, the outermost first.
        path: the keys of what is looked at.
        seen: what was looked at before: a file may hold a value in many places.
    """
    seen = {id(_at(held, taken))} if seen is None else seen
    if isinstance(held, nn.Module):
        held = held.state_dict()
    if not isinstance(held, Mapping) or len(path) > _DEEPEST:
        return
    own = {name: value for name, value in held.items() if isinstance(name, str)}
    if path != taken:
        if id(held) in seen:
            return
        seen.add(id(held))
        plain = {n: v for n, v in own.items() if not isinstance(v, Mapping | nn.Module)}
        if any(isinstance(value, torch.Tensor) for value in plain.values()):
            yield " > ".join(path) or _TOP, plain
    for key, value in own.items():
        if isinstance(value, Mapping | nn.Module):
            yield from other_state_dicts(value, taken, (*path, key), seen)


def _at(held: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        held = held[key]
    return held


def fitting(
    others: Collection[tuple[str, Mapping[str, Any]]],
    expected: Mapping[str, Any],
    state: Mapping[str, Any],
    prefixes: Collection[str],
) -> list[str]:
    """Where else a file has weights that fit a model: keys, and prefixes of names.

    Args:
        others: the other state dicts, by where they are.
        expected: the state dict of the model.
        state: the one that is taken, as the file has it.
        prefixes: what was taken off its names.
    """
    found = [where for where, held in others if _fit(strip_to(held, expected)[0], expected)]
    for prefix in fitting_prefixes(state, expected) if prefixes else ():
        own = {name: state[f"{prefix}{name}"] for name in expected}
        if prefix not in prefixes and _fit(own, expected):
            found.append(prefix)
    return found


def _fit(state: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    def alike(found: Any, wanted: Any) -> bool:
        if not isinstance(wanted, torch.Tensor) or is_lazy(wanted):
            return True
        return isinstance(found, torch.Tensor) and found.shape == wanted.shape

    return state.keys() == expected.keys() and all(
        alike(state[name], wanted) for name, wanted in expected.items()
    )


def told(path: Path, taken: Collection[str], others: Collection[str]) -> Reason:
    """Which weights are used, and which are not though they fit as well.

    Args:
        path: the file.
        taken: keys and prefixes of those that are used, the outermost first.
        others: where the others are; at least one.
    """
    rest = listed([*others], _NAMED)
    return Reason(
        f"{path.name}: the weights under {' > '.join(taken) or _TOP} are used; those under {rest} "
        f"fit as well, but are not used: to use them, {HINT}",
        CODE,
    )
