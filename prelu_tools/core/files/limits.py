"""Limits for untrusted files."""

from __future__ import annotations

from typing import Final

LEAST_MEMORY: Final = 500 << 20
"""Bytes that any file may take, however small it is."""
MEMORY_A_BYTE: Final = 10
"""How many times its size a file may take."""


_BOMB_SIZE: Final = 64 << 20
_BOMB_RATIO: Final = 100  # weights do not compress a hundredfold


def is_bomb(size: int, unpacked: int) -> bool:
    """Whether an archive of this size that unpacks to this many bytes must be a zip bomb."""
    many = unpacked > _BOMB_SIZE and unpacked > _BOMB_RATIO * size
    return many or unpacked > allowed_memory(size)


def allowed_memory(size: int) -> int:
    """Bytes that reading a file of this size may take: ten times its size, and 500 MB at least."""
    return max(LEAST_MEMORY, MEMORY_A_BYTE * size)
