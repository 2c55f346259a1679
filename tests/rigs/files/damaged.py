"""Files with some of their bytes or characters changed: each is read, or refused in a sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError

_WORDS = (b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\1\0\0\0", b"\0\0\0\x80")


def damaged_text(content: bytes, seed: int, letters: str) -> bytes:
    """Text with a few characters exchanged for some of these."""
    chance = random.Random(seed)
    text = list(content.decode())
    for _ in range(chance.choice([1, 2, 5])):
        text[chance.randrange(len(text))] = chance.choice(letters)
    return "".join(text).encode()


def damaged_bytes(content: bytes, seed: int) -> bytes:
    """Bytes, numbers and references changed, or the end cut off."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(data) - 4)
        kind = chance.random()
        if kind < 0.4:
            data[place] = chance.randrange(256)
        elif kind < 0.7:
            data[place // 4 * 4 : place // 4 * 4 + 4] = chance.choice(_WORDS)
        elif kind < 0.8:
            del data[max(place, 8) :]
        else:
            other = chance.randrange(len(data) - 4)
            data[place : place + 4] = data[other : other + 4]
    return bytes(data)


def check_damaged(
    path: Path,
    originals: Sequence[bytes],
    damage: Callable[[bytes, int], bytes],
    look: Callable[[], int],
    count: int = 400,
) -> None:
    """Damage a file many times: it is read, where nobody looks at the damage, or refused.

    Args:
        path: where the damaged files are written.
        originals: whole files.
        damage: takes one of them, and a seed.
        look: reads the file; how much it found, fewer than 5 things.
        count: how many files.
    """
    refused = 0
    for seed in range(count):
        path.write_bytes(damage(originals[seed % len(originals)], seed))
        try:
            assert look() < 5
        except PReLUToolsError as error:
            refused += "\n" not in str(error)
    assert refused > count // 6
