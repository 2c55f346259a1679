"""Arrays by name, moved to disk once they are too large."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.process.grouping import BUDGET

Key = tuple[str, int, str, int]
"""The precision, the run, the layer, and which call of it."""


class Stash:
    """Holds arrays: in memory up to a budget, in a temporary folder beyond it.

    Used in a `with` block, after which all of them are gone.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        """Hold nothing yet.

        Args:
            budget: bytes that may stay in memory.
        """
        self._budget = budget
        self._held = 0
        self._n_written = 0
        self._arrays: dict[Key, Array] = {}
        self._files: dict[Key, Path] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Stash:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._arrays.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def __contains__(self, key: Key) -> bool:
        return key in self._arrays or key in self._files

    def put(self, key: Key, values: Array) -> None:
        """Keep a copy of an array; one of the same name makes way."""
        self.drop(key)
        if self._held + values.nbytes <= self._budget:
            self._arrays[key] = np.array(values)
            self._held += values.nbytes
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="prelu-tools-")
        self._n_written += 1
        path = Path(self._folder.name) / f"{self._n_written}.npy"
        np.save(path, values)
        self._files[key] = path

    def drop(self, key: Key) -> None:
        """Forget an array."""
        old = self._arrays.pop(key, None)
        self._held -= 0 if old is None else old.nbytes
        path = self._files.pop(key, None)
        if path is not None:
            path.unlink()

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """Forget all the others."""
        for key in [*self._arrays, *self._files]:
            if not wanted(key):
                self.drop(key)

    def get(self, key: Key) -> Array:
        """An array that was put in."""
        found = self._arrays.get(key)
        return np.asarray(np.load(self._files[key])) if found is None else found
