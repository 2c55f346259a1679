"""How a user wants sources to be read: what every command takes and every backend obeys."""

from __future__ import annotations

from dataclasses import dataclass

Dim = int | str
"""A size, or the name of a dynamic dimension."""


@dataclass(frozen=True)
class InputOption:
    """An input as the user gave it on the command line."""

    name: str
    """The input's name."""
    shape: tuple[Dim, ...]
    """Sizes and names of dynamic dimensions."""


@dataclass(frozen=True)
class SourceOptions:
    """How the user wants a source to be read."""

    inputs: tuple[InputOption, ...] = ()
    """Shapes, where the model does not know them."""
    custom_objects: tuple[str, ...] = ()
    """Modules or files, with an optional `:NAME`, that hold custom Keras classes."""
    allow_unsafe_load: bool = False
    """Whether pickles and Lambda layers may run code of the file."""
    show_chatter: bool = False
    """Whether to let the frameworks write to standard error."""
