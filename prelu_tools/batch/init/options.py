"""The options that a model records of its export, as far as a list may adopt them.

A model file is not trusted, but the list is: an option that would run code becomes a comment,
unless it names a Python file of the folder that defines models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from prelu_tools.batch.lists.keys import FIELDS, OF_SOURCE
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.requests.kinds import WrongValueError
from prelu_tools.core.requests.option import options_of

_CODE, _UNSAFE, INPUT = "custom_objects", "allow_unsafe_load", "input"
_KEYS = {*OF_SOURCE, *(one.key for one in options_of(ExportRequest, "file"))}


class StatedOptions(NamedTuple):
    """Options by key, with plain values."""

    used: dict[str, Any]
    """Those that a check takes over."""
    withheld: dict[str, Any]
    """Those that only the user can switch on."""


def valid_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a check may have, in the order of its keys, with plain values.

    Args:
        said: what a file says, by key; anything may be in it.
    """
    found = {}
    for key, field in FIELDS.items():
        if key in _KEYS and key in said:
            try:
                found[key] = field.kind.plain(field.kind.read(said[key]))
            except (WrongValueError, OverflowError):
                continue
    return found


def settled(options: Mapping[str, Any], local: Callable[[str], str | None]) -> StatedOptions:
    """The options that a check adopts, and those that it does not.

    Args:
        options: what `valid_options` returned.
        local: the Python file of the folder for `MODULE_OR_FILE[:NAME]`; None if there is none.
    """
    used = dict(options)
    withheld: dict[str, Any] = {}
    if _CODE in used:
        found = [(text, local(text)) for text in used.pop(_CODE)]
        is_here = all(place is not None for _, place in found)
        (used if is_here else withheld)[_CODE] = [place or text for text, place in found]
    if used.pop(_UNSAFE, False):
        withheld[_UNSAFE] = True
    return StatedOptions(used, withheld)


def toml(value: Any) -> str:
    """A plain value on one line, as TOML writes it: JSON's escapes are among its own."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{toml(key)} = {toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
