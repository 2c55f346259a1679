"""Options that would be ignored: what each needs is declared beside it, and said in every place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prelu_tools.core.errors import UsageError
from prelu_tools.core.requests.option import Option, Place, declared_options

P = ParamSpec("P")
R = TypeVar("R")
_NAMED = re.compile(r"\{(no )?(\w+)\}")


class IgnoredOptionError(UsageError):
    """An option that has no effect as it is used; the text speaks of options as one place does.

    Args:
        template: the sentence; `{field}` stands for an option, `{no field}` for one turned off.
        request: the class whose fields these are.
        place: whose names the text has.
    """

    def __init__(self, template: str, request: type, place: Place = "cli") -> None:
        """Fill the sentence in."""
        self._template, self._request = template, request
        known = {one.field: one for one in declared_options(request)}

        def name(found: re.Match[str]) -> str:
            return _spelled(known[found[2]], place, is_off=bool(found[1]))

        super().__init__(_NAMED.sub(name, template))

    def said(self, place: Place) -> IgnoredOptionError:
        """The same in the words of another place."""
        return IgnoredOptionError(self._template, self._request, place)


def _spelled(option: Option, place: Place, is_off: bool) -> str:
    if place == "cli":
        return f"--{'no-' if is_off else ''}{option.name.replace('_', '-')}"
    if place == "file":
        return option.key + (" = false" if is_off else "")
    return option.name + ("=False" if is_off else "")


def refuse_ignored(values: Any, request: type, given: Collection[str] | None = None) -> None:
    """Reject an option that is given, and has no effect because of another one.

    Args:
        values: a request, or whatever has the values of its fields.
        request: the class of the request.
        given: the fields that are given; None for those whose value is not the default.

    Raises:
        IgnoredOptionError: there is one.
    """
    fields_given = {*(set_fields(values) if given is None else given)}
    for one in declared_options(request):
        for holds, why in one.needs if one.field in fields_given else ():
            if not holds(values):
                raise IgnoredOptionError(f"{{{one.field}}} would be ignored: {why}", request)


def set_fields(request: Any) -> Iterator[str]:
    """The fields of a request that have another value than the default."""
    for item in fields(request):
        usual = item.default if item.default_factory is MISSING else item.default_factory()
        if getattr(request, item.name) != usual:
            yield item.name


def refuse_ignored_by_sources(
    request: Any, heeded: Collection[str], names: str, is_one: bool
) -> None:
    """Reject an option that is for kinds of sources of which none is there.

    Args:
        request: its options, and those of its `options`, are looked at.
        heeded: the fields that some source heeds.
        names: of the sources.
        is_one: whether it is one source.

    Raises:
        IgnoredOptionError: there is one.
    """
    for values in (request.options, request):
        kind: type = type(values)
        shared = values is request.options and request.options.is_shared
        given = () if shared else set_fields(values)
        by_field = {one.field: one for one in declared_options(kind) if one.sources}
        for field in given:
            if field in by_field and field not in heeded:
                verb = "is none" if is_one else "are none"
                raise IgnoredOptionError(
                    f"{{{field}}} is for {by_field[field].sources}, and {names} {verb}: leave it "
                    "out",
                    kind,
                )


def speaks_python(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function of the library speak of its options as keywords."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except IgnoredOptionError as error:
            raise error.said("api") from None

    return run
