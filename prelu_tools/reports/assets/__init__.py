"""The parts of HTML pages, as files."""

from __future__ import annotations

from importlib import resources


def asset(name: str) -> str:
    """A file of this folder as text."""
    folder = resources.files(__name__)
    return (folder / name).read_text(encoding="utf-8")
