"""Whose line a warning is about: the user's, not one of this package or of a framework."""

from __future__ import annotations

import sys
from types import FrameType

FRAMEWORKS = ("keras", "lightning", "pytorch_lightning", "tensorflow", "torch", "transformers")
"""The packages that call what a user gave them: hooks and callbacks."""


def level_of_caller() -> int:
    """The `stacklevel` of the user's line, for the function that asks.

    That is the nearest frame outside this package and the frameworks, or if there is none (in a
    thread of theirs), outside this package.
    """
    ours = ("prelu_tools",)
    return _level(sys._getframe(1), (*ours, *FRAMEWORKS)) or _level(sys._getframe(1), ours) or 1


def _level(frame: FrameType | None, skipped: tuple[str, ...]) -> int | None:
    level = 1
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in skipped:
            return level
        frame, level = frame.f_back, level + 1
    return None
