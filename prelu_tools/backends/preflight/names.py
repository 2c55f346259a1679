"""What is wrong with the name after a Python file's colon, before and after it is imported."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.python_code import Code, Maker, call_to_complete, read_code
from prelu_tools.core.results.reasons import listed
from prelu_tools.core.suggestions import no_such_file

_LISTED = 8


def check_name(module: str, call: str, code: Code, weights: Path | None = None) -> None:
    """Reject, from its code alone, a name that a module does not have, or a call it cannot take.

    Args:
        module: as the user typed it.
        call: `name` or `name(args)`; of `Outer.Inner` the first part is looked at.
        code: of the module.
        weights: what the user named after an `@`.

    Raises:
        UsageError: it cannot be what the user wants.
    """
    name, _, arguments = call.partition("(")
    first, _, rest = name.strip().partition(".")
    maker = code.maker(first)
    if first not in code.names and not code.is_open and not first.startswith("__"):
        raise no_such_name(module, name, defined(code), code.names)
    is_sure = maker is not None and maker.is_plain and code.names[first] == 1
    if maker is not None and is_sure and maker.needed and not rest and arguments in ("", ")"):
        raise needs_arguments(f"{module}:{first}", maker.needed, weights=weights)


def no_such_name(
    module: str, name: str, offered: Sequence[str], others: Iterable[str] = ()
) -> UsageError:
    """The error for a name that a module does not have.

    Args:
        module: as the user typed it.
        name: what was looked for.
        offered: what the module defines itself.
        others: other names of it, among which one that was mistyped may be.
    """
    near = difflib.get_close_matches(name, offered, n=1, cutoff=0.6) or difflib.get_close_matches(
        name, list(others), n=1, cutoff=0.8
    )
    lowered = {one.lower(): one for one in (*others, *offered)}
    meant = lowered.get(name.lower()) or (near[0] if near else None)
    begin = f"{module} has no {name!r}"
    if meant is not None:
        return UsageError(f"{begin}: did you mean {meant}?")
    return UsageError(f"{begin}; it has {joined(offered) or 'no class and no function'}")


def needs_arguments(
    label: str, needed: Sequence[str], given: Sequence[str] = (), weights: Path | None = None
) -> UsageError:
    """The error for a call that leaves out arguments; it shows the source to type.

    Args:
        label: what is called.
        needed: the arguments that are left out.
        given: the others, as the user typed them.
        weights: what the user named after an `@`.
    """
    call = call_to_complete(label, needed, given) + (f"@{weights}" if weights else "")
    names = "its argument" if len(needed) == 1 else "its arguments"
    capitals = _and([name.upper() for name in needed])
    return UsageError(
        f"{label} needs {names} {_and(needed)}: use '{call}', with values such as 64, 'relu' or "
        f"(1, 2) for {capitals}"
    )


def nothing_named(text: str, rest: str = "") -> UsageError | PReLUToolsError:
    """The error for a Python file without a name after it: what can be named there.

    Args:
        text: the file.
        rest: what is after it and a colon.
    """
    path = Path(text)
    if not path.is_file():
        return PReLUToolsError(no_such_file(text))
    begin = f"{text!r} names a Python file, but no model in it"
    if rest and not rest.startswith("@"):
        begin = f"{rest!r} after {text}: is not NAME or NAME(arguments)"
    code = read_code(path)
    if code is None:
        return UsageError(f"{begin}: expected FILE.py:NAME or FILE.py:NAME(arguments)")
    makers = [one for one in code.makers if one.is_model] or [
        one for one in code.makers if not one.name.startswith("_")
    ]
    if not makers:
        return UsageError(f"{begin}, and it defines no class and no function at its top level")
    return UsageError(f"{begin}: use {joined([_spelled(text, one) for one in makers], ' or ')}")


def _spelled(text: str, maker: Maker) -> str:
    call = call_to_complete(f"{text}:{maker.name}", maker.needed)
    return f"'{call}'" if maker.needed else call


def defined(code: Code) -> list[str]:
    """The public classes and functions at the top of a file, in its order."""
    return list(dict.fromkeys(one.name for one in code.makers if not one.name.startswith("_")))


def defined_in(module: ModuleType) -> list[str]:
    """The same for a module that is imported, with its models; nothing that it imported itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
    ]


def refuse_call(
    target: Any, label: str, args: Sequence[Any], kwargs: Mapping[str, Any],
    weights: Path | None = None,
) -> None:  # fmt: skip
    """Reject a call that names or leaves out arguments wrongly; other faults show when it is made.

    Args:
        target: what is called.
        label: what to call it.
        args: the arguments by position.
        kwargs: those by name.
        weights: what the user named after an `@`.

    Raises:
        UsageError: arguments are missing, too many, or have names that it does not know.
    """
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):
        return
    parameters = signature.parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [one for one in parameters if one.kind not in variadic]
    positional = [one for one in wanted if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    left = [one for one in wanted if one not in positional[: len(args)]]
    missing = [p.name for p in left if p.default is p.empty and p.name not in kwargs]
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    unknown = [] if takes_any else [n for n in kwargs if n not in {p.name for p in wanted}]
    if unknown:
        free = [p.name for p in left if p.name not in kwargs]
        raise _unknown_argument(label, unknown[0], free, missing, (args, kwargs), weights)
    if missing:
        raise needs_arguments(label, missing, _as_typed(args, kwargs), weights)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        call = f"{label}({', '.join(_as_typed(args, kwargs))})"
        takes = ", ".join(one.name for one in wanted) or "no arguments"
        raise UsageError(f"{call}: {error}; it takes {takes}") from error


def _as_typed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    return [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]


def _unknown_argument(
    label: str, name: str, free: Sequence[str], missing: Sequence[str],
    given: tuple[Sequence[Any], Mapping[str, Any]], weights: Path | None,
) -> UsageError:  # fmt: skip
    """The error for an argument that a call does not take, with the call that was meant.

    Args:
        label: what is called.
        name: of the argument.
        free: the names of those that are not given.
        missing: those of them that have to be.
        given: all that are given, by position and by name.
        weights: what the user named after an `@`.
    """
    begin = f"{label} has no argument {name!r}"
    near = difflib.get_close_matches(name, free, n=1)
    meant = near or [one for one in free if one.startswith(name) or name.startswith(one)]
    if len(meant) != 1:
        return UsageError(f"{begin}: expected {joined(free) or 'no other arguments'}")
    args, kwargs = given
    named = {meant[0] if one == name else one: value for one, value in kwargs.items()}
    needed = [one for one in missing if one not in named]
    call = call_to_complete(label, needed, _as_typed(args, named))
    call += f"@{weights}" if weights else ""
    return UsageError(f"{begin}: did you mean {meant[0]}, as in '{call}'?")


def joined(names: Sequence[str], last: str = ", ") -> str:
    """Some names in a sentence, and how many more there are."""
    if len(names) > _LISTED:
        return listed(names, _LISTED)
    return last.join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
