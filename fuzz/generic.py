"""Changes to bytes of any kind: what a bad disk, a bad line or a careless enemy does."""

from __future__ import annotations

import random
from collections.abc import Callable

Change = Callable[[bytes, random.Random], bytes]
"""A change to a file or a part of one; the same draws give the same bytes."""

ODD_NUMBERS = (0, 1, -1, 2, 7, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1)
"""Sizes, counts and offsets that code may not have thought of."""
ODD_TEXTS = (
    "", " ", "\0", "x", "../../etc/passwd", "/etc/passwd", "\x1b[2J\x1b]0;owned\x07",
    "<script>alert(1)</script>", "\u202eevil", "n" * 100_000, "\ud7ff", "%s%n", "a/b/../c", "*",
    "-1", "NaN", "Infinity", "9" * 400,
)  # fmt: skip
"""Names and values that code may not have thought of."""


def _place(data: bytes, rng: random.Random) -> int:
    """A place in the bytes: often near the start, where headers are, or the end."""
    where = rng.random()
    if where < 0.3:
        return min(rng.randrange(len(data)), rng.randrange(256))
    if where < 0.4:
        return max(len(data) - 1 - rng.randrange(256), 0)
    return rng.randrange(len(data))


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """One to eight bits are others."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        out[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(out)


def set_bytes(data: bytes, rng: random.Random) -> bytes:
    """One to four bytes are others."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        out[_place(data, rng)] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
    return bytes(out)


def set_number(data: bytes, rng: random.Random) -> bytes:
    """Four or eight bytes are an odd number."""
    size = rng.choice((2, 4, 8))
    place = _place(data, rng)
    number = rng.choice(ODD_NUMBERS) % (1 << 8 * size)
    return data[:place] + number.to_bytes(size, "little") + data[place + size :]


def truncate(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: _place(data, rng)]


def remove(data: bytes, rng: random.Random) -> bytes:
    """A piece is missing."""
    place = _place(data, rng)
    return data[:place] + data[place + rng.choice((1, 4, 16, 512, len(data) // 4)) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """A piece stands there twice, or many times."""
    place = _place(data, rng)
    piece = data[place : place + rng.choice((1, 4, 16, 512))]
    return data[:place] + piece * rng.choice((2, 2, 3, 50)) + data[place + len(piece) :]


def move(data: bytes, rng: random.Random) -> bytes:
    """A piece of the file stands in another place of it."""
    start, target = _place(data, rng), _place(data, rng)
    piece = data[start : start + rng.choice((4, 8, 64))]
    return data[:target] + piece + data[target + len(piece) :]


def blank(data: bytes, rng: random.Random) -> bytes:
    """A piece is zeros, as after a crash of the file system."""
    place, size = _place(data, rng), rng.choice((8, 64, 4096))
    piece = data[place : place + size]
    return data[:place] + bytes(len(piece)) + data[place + len(piece) :]


ANY_BYTES: tuple[Change, ...] = (
    flip_bits, set_bytes, set_number, truncate, remove, repeat, move, blank,
)  # fmt: skip


def anything(data: bytes, rng: random.Random) -> bytes:
    """One of these changes, or some."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if data:
            data = rng.choice(ANY_BYTES)(data, rng)
    return data
