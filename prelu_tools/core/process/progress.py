"""Progress of long work, for whoever listens: the command line on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")
ProgressCallback = Callable[[str], None]
"""Is called with the name of each stage as it begins."""


def silent(_stage: str) -> None:
    """Show nothing."""


class Listener(Protocol):
    """Shows how far a part of the work is."""

    def begin(self, part: str, total: int) -> None:
        """A part with a number of steps begins."""
        ...

    def step(self) -> None:
        """One step is done."""
        ...

    def end(self) -> None:
        """The part is over, all of it or not."""
        ...


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within the block, it receives every part."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def counted(items: Iterable[Item], part: str, total: int | None = None) -> Iterator[Item]:
    """The items, with their progress reported to the listener.

    Args:
        items: the items; of known length, unless `total` is given.
        part: the name of the step, as in "running the reference".
        total: how many steps there are.
    """
    listener = _listener.get()
    if listener is None:
        yield from items
        return
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    listener.begin(part, total)
    try:
        for item in items:
            yield item
            listener.step()
    finally:
        listener.end()
