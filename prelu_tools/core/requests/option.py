"""Options as fields of a request: declared once, read from every place where they are offered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import MISSING, field, fields
from functools import cache
from typing import Any, Literal, NamedTuple

from prelu_tools.core.errors import UsageError
from prelu_tools.core.requests.kinds import Kind, WrongValueError

Place = Literal["cli", "api", "file"]


class Needs(NamedTuple):
    """The other options that an option needs: without them, it would be ignored."""

    holds: Callable[[Any], bool]
    """Whether it has an effect, by the values of all fields of the request."""
    why: str
    """Why it has none, and what to do."""


class Option(NamedTuple):
    """One option of a command."""

    kind: Kind
    """The kind of its value."""
    help: str
    """A sentence for `--help`."""
    name: str = ""
    """The flag, without `--`, and the keyword; "" for the field's name."""
    where: tuple[Place, ...] = ("cli", "api")
    """Command line, and library with `prelu_tools.testing`; for check files see `example`."""
    key: str = ""
    """In a check file; "" for `name`."""
    key_help: str = ""
    """A line on the key; "" for `help` without its full stop."""
    example: str = ""
    """A value, as TOML writes it; "" if a check file may not have the key."""
    metavar: str | None = None
    """What stands for the value in `--help`."""
    complete: tuple[str, ...] | Literal["source"] = ()
    """The shell's completions."""
    needs: tuple[Needs, ...] = ()
    """The options without which it has no effect."""
    sources: str = ""
    """The kinds of sources that it has an effect on, in words; "" for all."""
    field: str = ""
    """The field of the request; declared only if it is one of a value within the request."""
    default: Any = None
    """The field's default; of a field with a factory, the default as the command line says it."""

    @property
    def line(self) -> str:
        """A line on the key of a check file."""
        plain = self.help.partition("  [")[0].removesuffix(".")
        return self.key_help or f"{plain[:1].lower()}{plain[1:]}"


def option(
    kind: Kind, text: str, *, default: Any = MISSING, factory: Any = MISSING, **more: Any
) -> Any:
    """A field of a request that is an option; its text is what documents it.

    Args:
        kind: the kind of its value.
        text: a sentence for `--help`.
        default: of the field; or, with a factory, how the command line says it, if it does.
        factory: makes the default; it is called for requests only, so it may be slow.
        more: the other fields of `Option`.
    """
    known = None if default is MISSING else default
    metadata = {"option": Option(kind, text, default=known, **more)}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@cache
def declared_options(request: type) -> tuple[Option, ...]:
    """The options of a request, in the order of its fields."""
    return tuple(filter(None, map(_named, fields(request))))


@cache
def options_of(request: type, place: Place) -> tuple[Option, ...]:
    """The options of a request that a place offers, in the order of its fields."""
    return tuple(
        one
        for one in declared_options(request)
        if place in one.where or (place == "file" and one.example)
    )


def given_in_file(values: Any) -> Iterator[tuple[Option, Any]]:
    """The options of a request that a check file may have and that are given, as it has them."""
    kind: type = type(values)
    for one in options_of(kind, "file"):
        if value := getattr(values, one.field):
            yield one, one.kind.plain(value)


def _named(item: dataclasses.Field[Any]) -> Option | None:
    declared: Option | None = item.metadata.get("option")
    if declared is None:
        return None
    name = declared.name or item.name
    return declared._replace(name=name, key=declared.key or name, field=declared.field or item.name)


def read_keywords(request: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request for keyword arguments; those that are not options are passed over.

    None, and an empty collection where nothing is the default, leave the default.

    Raises:
        UsageError: an option cannot have its value; the sentence begins with the keyword.
    """
    found = {}
    for one in options_of(request, "api"):
        value = given.get(one.name)
        is_empty = isinstance(value, Sized) and not isinstance(value, str) and not len(value)
        if value is None or (is_empty and not one.default):
            continue
        try:
            found[one.field] = (one.kind.from_python or one.kind.read)(value)
        except WrongValueError as error:
            expected = one.kind.in_python or str(error)
            begin = error.found or f"{one.name} {value!r}"
            raise UsageError(f"{begin}: expected {expected}") from error
    return found
