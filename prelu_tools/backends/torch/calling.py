"""The call of a module: its arguments at their places, and by name."""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils import _pytree as pytree

from prelu_tools.core.errors import UsageError


def as_call(
    signature: python_inspect.Signature, given: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `example_inputs()` returned as `(args, kwargs)`.

    A mapping or a NamedTuple holds arguments by name where `forward` has these names; otherwise it
    is the one argument itself.
    """
    fields = getattr(given, "_fields", None)
    if isinstance(given, Mapping) or fields:
        named = dict(given) if isinstance(given, Mapping) else given._asdict()
        parameters = signature.parameters.values()
        takes_any = any(p.kind is python_inspect.Parameter.VAR_KEYWORD for p in parameters)
        if takes_any or set(named) <= set(signature.parameters):
            return (), named
        return (given,), {}
    return (tuple(given), {}) if isinstance(given, (tuple, list)) else ((given,), {})


def placed(
    signature: python_inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any], label: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call with its arguments at their places, as far as none is left out before them.

    Raises:
        UsageError: `forward` does not take them.
    """
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        given = [*("one" for _ in args), *kwargs]
        raise UsageError(
            f"{label} takes ({', '.join(map(str, signature.parameters.values()))}), but "
            f"{_were_given(len(given))}: {error}"
        ) from error
    return bound.args, bound.kwargs


def _were_given(number: int) -> str:
    return "1 input was given" if number == 1 else f"{number} inputs were given"


def argument_name(path: Sequence[Any], signature: python_inspect.Signature) -> str:
    """A tensor's name: its argument's, with keys and positions after a dot."""
    (_, first, *rest) = path
    return ".".join([_argument(path[0].idx, first, signature), *map(_key, rest)])


def _argument(part: int, key: Any, signature: python_inspect.Signature) -> str:
    if part == 1:
        return str(key.key)
    for position, parameter in enumerate(signature.parameters.values()):
        if parameter.kind is python_inspect.Parameter.VAR_POSITIONAL:
            return f"{parameter.name}_{key.idx - position}"
        if position == key.idx:
            return parameter.name
    return f"input_{key.idx}"


def names_itself(path: Sequence[Any], name: str, signature: python_inspect.Signature) -> bool:
    """Whether a tensor's name is that of its argument, with keys of it only.

    Tensors of `*args`, and those at positions inside an argument, have none.
    """
    (part, first, *_) = path
    if has_position(path):
        return False
    if part.idx == 1:
        return True
    parameters = list(signature.parameters.values())[: first.idx + 1]
    variadic = python_inspect.Parameter.VAR_POSITIONAL
    is_argument = all(parameter.kind is not variadic for parameter in parameters)
    return is_argument and name == argument_name(path, signature)


def has_position(path: Sequence[Any]) -> bool:
    """Whether a tensor is at a position inside an argument, which only its number tells."""
    return any(isinstance(key, pytree.SequenceKey) for key in path[2:])


def paths_of(structure: pytree.TreeSpec) -> list[list[str]]:
    """For each leaf of `(args, kwargs)` the keys and positions inside its argument."""
    numbered = pytree.tree_unflatten(range(structure.num_leaves), structure)
    return [
        [_key(key) for key in path[2:]] for path, _ in pytree.tree_flatten_with_path(numbered)[0]
    ]


def _key(key: Any) -> str:
    for field in ("key", "idx", "name"):
        if hasattr(key, field):
            return str(getattr(key, field))
    return str(key)
