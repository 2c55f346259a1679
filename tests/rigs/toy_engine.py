"""A runtime for `backends.runtimes.hosting` that does as it is told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import numpy as np

from prelu_tools.core.arrays import Array


def load(does: str) -> Toy:
    """A model; `does` is what it does when it is run, or as it is loaded."""
    if does == "refuse":
        raise RuntimeError("Exception from src/toy.cpp:1:\nCheck 'known' failed\nno  such layer.")
    return Toy(does)


class Toy:
    """See `load`."""

    def __init__(self, does: str) -> None:
        """Take what it does."""
        self._does = does

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Its inputs, turned round; or what it does."""
        if self._does == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._does == "exit":
            os._exit(7)
        if self._does == "raise":
            raise ZeroDivisionError("by nothing")
        if self._does == "sleep":
            time.sleep(600)
        if self._does == "garble":
            return [np.array([object()])]
        if self._does == "talk":
            print("this is no answer")
            os.write(1, b"nor is this\n")
        return [values.T for values in inputs]
