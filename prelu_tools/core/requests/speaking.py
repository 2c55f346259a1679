"""Sentences that name options in the notation of the place where they are read.

Messages name an option by its flag, `--force`. A caller in Python reads `force=True`, and the
reader of a check file `force = true`; both come from the declaration of the option.
"""

from __future__ import annotations

import dataclasses
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from prelu_tools.core.requests.option import Option, options_of
from prelu_tools.core.results.reasons import Reason, code_of

T = TypeVar("T")
Speak = Callable[[str], str]
Spoken = Literal["api", "file"]
SENTENCES = frozenset(
    {"difference", "documented", "doubt", "doubts", "failures", "message", "note", "notes"}
    | {"reason", "reasons", "remark"}
)
"""Fields of results that hold sentences; all other texts are names, and stay as they are."""
_FLAG = re.compile(r"(?<![\w-])--(?P<no>no-)?(?P<name>[a-z][a-z-]*[a-z])(?![\w-])")
_VALUES = {
    "whole": r"-?\d+",
    "number": r"-?\d+(?:\.\d+)?",
    "file": r"[\w./-]+\.\w+|FILE(?:\.\w+)?",
    "text": r"[^\s:,();]+:[\w.]+(?:,[\w.]+)*|(?:\w+=)?LOW,HIGH|[\w./-]+\.py(?::\w+)?",
}
"""The value after a flag: digits, a shape, a range, a file; never plain words."""
_SHAPE = re.compile(r"^([^\s:]+):([\w.]+(?:,[\w.]+)*)$")


def speaking(place: Spoken, *requests: type) -> Speak:
    """Rewrites sentences in the notation of a place.

    Args:
        place: `api` for Python, `file` for a check file.
        requests: the requests with the options of that place; other flags stay unchanged.
    """
    options = {
        one.name.replace("_", "-"): one for made in requests for one in options_of(made, place)
    }

    def speak(text: str) -> str:
        parts, at = [], 0
        for match in _FLAG.finditer(text):
            known = _meant(match, options)
            if known is None or match.start() < at:
                continue
            one, is_denied = known
            value = _value(one, text[match.end() :])
            parts += [text[at : match.start()], _said(one, is_denied, value, place)]
            at = match.end() + (len(value) + 1 if value else 0)
        return "".join((*parts, text[at:]))

    return speak


def _meant(match: re.Match[str], options: Mapping[str, Option]) -> tuple[Option, bool] | None:
    """The option of a flag, and whether the flag denies it."""
    whole = f"{match['no'] or ''}{match['name']}"
    if whole in options:
        return options[whole], False
    if match["no"] and match["name"] in options:
        return options[match["name"]], True
    return None


def _value(one: Option, rest: str) -> str:
    """The value that follows a flag; "" if none does."""
    kind = one.kind
    if kind.type == "flag":
        return ""
    pattern = "|".join(map(re.escape, kind.words)) if kind.words else _VALUES.get(kind.type, "(?!)")
    found = re.match(rf" ({pattern})(?![\w])", rest)
    return found[1] if found else ""


def _said(one: Option, is_denied: bool, value: str, place: Spoken) -> str:
    name, equals = (one.name, "=") if place == "api" else (one.key, " = ")
    if one.kind.type == "flag":
        told = not is_denied
        return f"{name}{equals}{told if place == 'api' else str(told).lower()}"
    if not value:
        return name
    return f"{name}{equals}{_literal(one, value, place)}"


def _literal(one: Option, value: str, place: Spoken) -> str:
    """A value as it is typed there."""
    if one.kind.type in ("whole", "number"):
        return value
    if value.endswith("LOW,HIGH"):
        return _range(value.removesuffix("LOW,HIGH").removesuffix("="), place)
    shape = _SHAPE.match(value)
    if one.kind.annotation == "Shapes" and shape and place == "api":
        return f'{{"{shape[1]}": {_tuple(shape[2].split(","))}}}'
    quoted = json.dumps(value, ensure_ascii=False)
    return f"[{quoted}]" if one.kind.many and place == "file" else quoted


def _tuple(sizes: Sequence[str]) -> str:
    said = [size if size.isdecimal() or size == "..." else f'"{size}"' for size in sizes]
    return f"({', '.join(said)}{',' if len(said) == 1 else ''})"


def _range(name: str, place: Spoken) -> str:
    pair = "(LOW, HIGH)" if place == "api" else "[LOW, HIGH]"
    if not name:
        return pair if place == "api" else f'{{ "" = {pair} }}'
    return f'{{"{name}": {pair}}}' if place == "api" else f"{{ {name} = {pair} }}"


def spoken(result: T, speak: Speak) -> T:
    """A result whose sentences, at any depth, name options in other words; codes stay."""
    return cast(T, _spoken(result, speak))


def _spoken(value: Any, speak: Speak) -> Any:
    if isinstance(value, tuple):
        new = tuple(_spoken(item, speak) for item in value)
        return value if all(map(operator.is_, new, value)) else new
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    changed = {}
    for field in dataclasses.fields(value):
        old = getattr(value, field.name)
        new = _texts(old, speak) if field.name in SENTENCES else _spoken(old, speak)
        if new is not old:
            changed[field.name] = new
    return dataclasses.replace(value, **changed) if changed else value


def _texts(value: Any, speak: Speak) -> Any:
    """A sentence, or several."""
    if isinstance(value, tuple):
        return tuple(_texts(text, speak) for text in value)
    if not isinstance(value, str):
        return value
    text = speak(value)
    return value if text == value else Reason(text, code_of(value))
