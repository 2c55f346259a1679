"""Make names from untrusted files printable, so that they cannot control a terminal."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from prelu_tools.core.results.comparable import WRITTEN
from prelu_tools.core.results.reasons import Reason

T = TypeVar("T")

LONGEST: Final = 2000
"""Characters of a text that people read; names of megabytes are cut in the middle."""

# Control characters, line breaks among them: a name has none of its own. Those that turn the
# direction of writing, and what no file (halves of characters) and no XML (U+FFFE and U+FFFF) can
# hold.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


# What steers a reader of logs: GitHub's `::name ...::` and `##[name]`, Azure's and TeamCity's own.
# A table may break a line anywhere, so they are spelled out everywhere; what closes a command may
# be in another text of the line. In a C++ name (`std::vector::at`) only those are that GitHub's
# runner knows (its ActionCommandManager.cs).
_GITHUB = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|internal-set-repo-path|notice|"
    "remove-matcher|save-state|set-env|set-output|stop-commands|warning"
)
_COMMANDS = re.compile(
    rf":(?=:(?:{_GITHUB})(?:$|\s|::))"
    r"|(?<!\S):(?=:[A-Za-z][\w-]*(?: [^\n]*?)?::)"
    r"|#(?=#(?:\[|vso\[|teamcity\[))",
    re.IGNORECASE,
)


def printable(text: str) -> str:
    """The text with each control character spelled out, as `\\x1b`, and commands of logs too."""
    plain = _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return _COMMANDS.sub(lambda found: f"\\x{ord(found[0]):02x}", plain)


def one_line(text: str) -> str:
    """A text as one line, printable."""
    return printable(" ".join(text.split("\n")))


# Line breaks are the document's own: those of a name are spelled out by JSON itself.
_IN_JSON = re.compile(f"(?!\n)(?:{_STEERING.pattern}|#(?=#))")


def printable_json(document: str) -> str:
    """A JSON document of the same meaning, in which each such character is spelled out."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and its end with what is left out counted between them."""
    if len(text) <= longest:
        return text
    half = longest // 2 - 20
    return f"{text[:half]}[{len(text) - 2 * half:,} characters left out]{text[-half:]}"


def cleaned(value: T, longest: int | None = None) -> T:
    """A result with every text made printable, at any depth; the rest is unchanged.

    A text that is a document by itself (`WRITTEN`) stays: what is shown of it is cleaned as it is
    taken out.

    Args:
        value: the result.
        longest: characters that a text may have; None for any number.
    """
    return _cleaned(value, longest)  # type: ignore[no-any-return]


def _cleaned(value: Any, longest: int | None) -> Any:
    if isinstance(value, str):
        text = printable(value if longest is None else shortened(value, longest))
        return Reason(text, value.code) if isinstance(value, Reason) else text
    if isinstance(value, tuple | list):
        return type(value)(_cleaned(item, longest) for item in value)
    if isinstance(value, Mapping):
        return {_cleaned(key, longest): _cleaned(item, longest) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field for field in dataclasses.fields(value) if field.metadata != WRITTEN)
        old = {field.name: getattr(value, field.name) for field in fields}
        new = {name: _cleaned(item, longest) for name, item in old.items()}
        changed = {name: item for name, item in new.items() if item is not old[name]}
        return dataclasses.replace(value, **changed) if changed else value
    return value
