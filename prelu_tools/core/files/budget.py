"""The work and memory that reading one file may take.

Both amounts are counted, not measured: so a file is rejected on every machine or on none.
"""

from __future__ import annotations

from typing import Final

from prelu_tools.core.errors import PReLUToolsError

LEAST_BYTES: Final = 100 << 20
"""Bytes that may be computed from any file, however small it is."""
BYTES_A_BYTE: Final = 2
"""How many bytes may be computed for each of the file's."""
LEAST_STEPS: Final = 2_000_000
"""Steps of at most five microseconds: ten seconds in all."""
_BYTES_A_STEP: Final = 1 << 12  # of numbers that are computed or compared


class BudgetError(PReLUToolsError):
    """A file takes more than it may."""


class Budget:
    """The remaining bytes and steps for reading a file.

    Args:
        size: bytes of the file, with the files that belong to it.
    """

    def __init__(self, size: int) -> None:
        """Begin with all of it."""
        self._size = size
        self._bytes = self._all_bytes = LEAST_BYTES + BYTES_A_BYTE * size
        self._steps = LEAST_STEPS + size

    def step(self, count: int = 1) -> None:
        """Account for work.

        Args:
            count: steps; one is a look at a node, a tensor or a name.

        Raises:
            BudgetError: it is more than is left.
        """
        self._steps -= count
        if self._steps < 0:
            raise BudgetError(
                f"reading the graph takes too much work for a file of {self._size:,} bytes: "
                "simplify it (onnxsim, onnxslim)"
            )

    def take(self, n_bytes: int) -> None:
        """Account for memory about to be filled with data that the file does not store.

        Args:
            n_bytes: how many bytes.

        Raises:
            BudgetError: it is more than is left.
        """
        self._bytes -= n_bytes
        if self._bytes < 0:
            raise BudgetError(
                f"the graph computes constants of more than {self._all_bytes:,} bytes, from a "
                f"file of {self._size:,}: rejected, because it would need too much memory"
            )
        self.step(n_bytes // _BYTES_A_STEP)
