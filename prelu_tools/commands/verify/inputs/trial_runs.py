"""Run the reference alone, to find out what it accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from prelu_tools.backends.protocol.failures import RefusedSizesError
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.runners import Runner
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


class Trial:
    """Runs a model to see which inputs it takes; the same ones once only."""

    def __init__(self, source: Source) -> None:
        """Take it; it is opened when it is first run."""
        self._source = source
        self._stack = ExitStack()
        self._runner: Runner | None = None
        self._known: dict[bytes, tuple[Array, Array] | PReLUToolsError] = {}
        self.runs = 0
        self.error: PReLUToolsError | None = None

    def usable(self, feeds: Feeds, rows: Rows, is_finite: bool = False) -> Array | None:
        """Which rows give no NaN; None if the model fails, and why in `error`.

        Args:
            feeds: the run.
            rows: where its rows are.
            is_finite: whether infinities are of no use either.

        Raises:
            RefusedSizesError: it rejects the sizes that it was given, with any values.
        """
        key = _digest(feeds)
        if key not in self._known:
            self.runs += 1
            try:
                outputs, count = self._run(feeds), rows.count(feeds)
                self._known[key] = (
                    usable_rows(outputs, count),
                    usable_rows(outputs, count, is_finite=True),
                )
            except RefusedSizesError:  # whatever the values are
                raise
            except PReLUToolsError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, PReLUToolsError):
            self.error = found
            return None
        return found[is_finite]

    def _run(self, feeds: Feeds) -> dict[str, Array]:
        if self._runner is None:
            self._runner = self._stack.enter_context(self._source.runner())
        return self._runner.run(feeds)

    def takes(self, runs: Sequence[Feeds], rows: Rows) -> bool:
        """Whether it runs on all of them."""
        return all(self.usable(feeds, rows) is not None for feeds in runs)

    def close(self) -> None:
        """Release what was opened."""
        self._stack.close()


@contextmanager
def trying(source: Source) -> Iterator[Trial]:
    """A trial, which is closed after the block."""
    trial = Trial(source)
    try:
        yield trial
    finally:
        trial.close()


def usable_rows(outputs: Mapping[str, Array], count: int, is_finite: bool = False) -> Array:
    """Which rows of a run give no NaN: those of the first or the second axis, whichever fits."""
    wrong = _not_finite if is_finite else np.isnan
    usable = np.ones(count, np.bool_)
    for values in outputs.values():
        if not np.issubdtype(values.dtype, np.floating) or not wrong(values).any():
            continue
        axis = next((i for i, size in enumerate(values.shape[:2]) if size == count), None)
        if axis is None:
            usable[:] = False
        else:
            others = tuple(i for i in range(values.ndim) if i != axis)
            usable &= ~wrong(values).any(axis=others)
    return usable


def _not_finite(values: Array) -> Array:
    return ~np.isfinite(values)


def _digest(feeds: Feeds) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for name, values in feeds.items():
        found.update(f"{name}{values.dtype}{values.shape}".encode())
        found.update(values.tobytes())
    return found.digest()
