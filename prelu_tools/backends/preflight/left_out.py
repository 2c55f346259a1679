"""The arguments that a Python source leaves out, where its weights do not fit without them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from prelu_tools.core.python_code import call_to_complete
from prelu_tools.core.results.reasons import listed

HYPER_PARAMETERS: Final = "hyper_parameters"
"""Where a checkpoint of Lightning has the arguments of the module that was trained."""
_LONGEST, _DEEPEST = 100, 3  # characters or items of a value, and lists in lists
_NAMED = 8
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def plain_values(held: object) -> dict[str, Any]:
    """The numbers, strings and short lists of a mapping by name; without everything else."""
    if not isinstance(held, Mapping):
        return {}
    return {
        name: value
        for name, value in held.items()
        if isinstance(name, str) and name.isidentifier() and _is_plain(value)
    }


def _is_plain(value: object, depth: int = 0) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return len(value) <= _LONGEST
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return (
            depth < _DEEPEST
            and len(value) <= _LONGEST
            and all(_is_plain(one, depth + 1) for one in value)
        )
    return value is None or type(value) in (bool, int)


def why_left_out(
    target: Any, call: tuple[str, Sequence[Any], Mapping[str, Any]], weights: str,
    trained_with: Mapping[str, Any],
) -> str:  # fmt: skip
    """What to type if arguments were left out, as the end of a sentence; "" if none were.

    Args:
        target: what was called.
        call: the source before its arguments, and the arguments by position and by name.
        weights: the source's file of weights.
        trained_with: the arguments that this file states.
    """
    label, args, kwargs = call
    try:
        signature = inspect.signature(target)
        given = dict(signature.bind_partial(*args, **kwargs).arguments)
    except (ValueError, TypeError):
        return ""
    parameters = {n: p for n, p in signature.parameters.items() if p.kind not in _VARIADIC}
    if not given.keys() <= parameters.keys():
        return ""
    stated = {n: v for n, v in trained_with.items() if n in parameters}
    wanted = {
        name: value
        for name, value in {**given, **stated}.items()
        if not _is_same(value, parameters[name].default)
    }
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    if stated and not all(_is_same({**defaults, **given}[n], v) for n, v in stated.items()):
        typed = call_to_complete(label, (), [f"{n}={v!r}" for n, v in wanted.items()])
        return f"according to the file's {HYPER_PARAMETERS}, use '{typed}@{weights}'"
    free = [name for name in parameters if name not in given]
    if not free:
        return ""
    typed = call_to_complete(label, free[:1], [f"{n}={v!r}" for n, v in given.items()])
    name = label.rpartition(":")[2]
    return (
        f"if {name} was trained with other arguments than the default ones "
        f"({listed(free, _NAMED)}), use '{typed}@{weights}'"
    )


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and repr(value) == repr(default)
