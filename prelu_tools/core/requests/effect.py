"""Options that would be ignored: what each needs is declared next to it, as an option's `needs`.

The sentences name options by their flags, as all do (`core/requests/speaking.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields
from typing import Any

from prelu_tools.core.errors import UsageError
from prelu_tools.core.requests.option import Option, declared_options


def refuse_ignored(values: Any, request: type, given: Collection[str] | None = None) -> None:
    """Reject an option that is given, and has no effect because of another one.

    Args:
        values: a request, or whatever has the values of its fields.
        request: the class of the request.
        given: the fields that are given; None for those whose value is not the default.

    Raises:
        UsageError: there is one.
    """
    named = {*(_set_fields(values) if given is None else given)}
    for one in declared_options(request):
        for holds, why in one.needs if one.field in named else ():
            if not holds(values):
                raise UsageError(f"{_flag(one, values)} would be ignored: {why}")


def refuse_ignored_by_sources(
    request: Any, heeded: Collection[str], names: str, is_one: bool
) -> None:
    """Reject an option that applies to none of the sources.

    Args:
        request: its options, and those of its `options`, are looked at.
        heeded: the fields that some source heeds.
        names: of the sources.
        is_one: whether it is one source.

    Raises:
        UsageError: there is one.
    """
    for values in (request, *([] if request.options.is_shared else [request.options])):
        named = {*_set_fields(values)} - {*heeded}
        kind: type = type(values)
        for one in declared_options(kind):
            if one.sources and one.field in named:
                verb = "is not one" if is_one else "are not"
                raise UsageError(
                    f"{_flag(one, values)} is for {one.sources}, but {names} {verb}: leave it out"
                )


def _flag(option: Option, values: Any) -> str:
    """The flag as it is given: `--no-tune` for one that is on unless it is turned off."""
    off = getattr(values, option.field, None) is False and option.default is not False
    return f"--{'no-' if off else ''}{option.name.replace('_', '-')}"


def _set_fields(request: Any) -> Iterator[str]:
    """The fields of a request that have another value than the default."""
    for item in fields(request):
        usual = item.default if item.default_factory is MISSING else item.default_factory()
        if getattr(request, item.name) != usual:
            yield item.name
