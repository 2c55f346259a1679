"""Sentences with codes, so that a program can tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

SPECIAL_VALUE_DIFFERS: Final = "special_value_differs"
"""The code of a sentence about one special value of one layer."""

VALUES_DIFFER: Final = "slopes_differ"
"""The code of a sentence about slopes of other values, without a pattern in them."""

RECORD_NOT_CHECKED: Final = "record_not_checked"
RECORD_IS_STALE: Final = "record_is_stale"
OTHER_VERSION: Final = "candidate_of_other_version"
"""The code of the note that a record could not be compared with its model's file."""

WARNINGS: Final = frozenset(
    {
        "slopes_initial",
        RECORD_IS_STALE,
        OTHER_VERSION,
        "sizes_disagree",
        "sizes_not_checked",
        "size_fixed",
        "no_negative_input",
        "no_prelu",
    }
)
"""The codes of notes which say that a pass proves less than it seems to: they are always shown."""


class Reason(str):
    """A sentence of a result with a stable code next to it.

    It is shown as a plain string. The code stays the same when the wording changes.
    """

    code: str | None
    """What it says, in one word of its own: `candidate_random`, `branch_not_taken`."""

    def __new__(cls, text: str, code: str | None = None) -> Reason:
        """Take the sentence and its code."""
        made = super().__new__(cls, text)
        made.code = code
        return made

    def within(self, where: str) -> Reason:
        """The same with the place in front of it, unless it begins with that."""
        if self.startswith(f"{where} "):
            return self
        return Reason(f"{where}: {self}", self.code)

    def after(self, subject: str) -> Reason:
        """The same with its subject in front of it."""
        return Reason(f"{subject} {self}", self.code)

    def before(self, more: str) -> Reason:
        """The same with more after it."""
        return Reason(f"{self}; {more}", self.code)

    def renamed(self, old: str, new: str) -> Reason:
        """The same with another name for something in it."""
        return Reason(self.replace(old, new), self.code)


def as_reason(text: str) -> Reason:
    """The sentence, with its code if it has one."""
    return text if isinstance(text, Reason) else Reason(text)


def code_of(text: str | None) -> str | None:
    """The code of a sentence; None if it has none."""
    return getattr(text, "code", None)


def warnings_of(*notes: Iterable[str]) -> tuple[str, ...]:
    """Those notes that are warnings, by their codes, each once."""
    said = (note for one in notes for note in one if code_of(note) in WARNINGS)
    return tuple(dict.fromkeys(said))


def warnings_in(document: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The same of a result's document, and of the verification in it."""
    if document is None:
        return ()
    codes = document.get("note_codes", ())  # not every kind of document has them
    notes = map(Reason, document["notes"], codes) if codes else ()
    return warnings_of(notes, warnings_in(document.get("verification")))


def counted(number: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def are(number: int) -> str:
    """`is` after one thing, `are` after several."""
    return "is" if number == 1 else "are"
