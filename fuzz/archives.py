"""Zip archives, and what the generators of saved files share."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SEEDS: Final = Path(__file__).parent / "seeds"
MARKER: Final = "marker"
"""The file that no reader may make."""
PAYLOAD: Final = "payload"
"""A module beside the file that makes it when it is imported."""

NAMES: Final = ("act.weight", "0.weight", "weight", "alpha", "p_re_lu", "x", "", "a/b", "é", "0")
SIZES: Final = (0, 1, 1, 2, 3, 4, 7)


def members_of(data: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(draw: random.Random, members: Mapping[str, bytes]) -> bytes:
    """An archive whose records contradict each other now and then."""
    out, packed = io.BytesIO(), draw.choice((0, 0, 0, 0, 0, 0, 0, 0, 8, 12))
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, packed)
    data = bytearray(out.getvalue())
    places = [i for i in range(len(data) - 4) if data[i : i + 4] == b"PK\1\2"]
    if places and draw.random() < 0.25:  # of the directory: what is said of one is said of another
        first, second = draw.choice(places), draw.choice(places)
        begin, end = draw.choice(((42, 46), (20, 24), (24, 28), (16, 20), (28, 34), (8, 12)))
        data[first + begin : first + end] = data[second + begin : second + end]
        if draw.random() < 0.3:
            odd = draw.choice((0, len(data), 0xFFFFFFFF, draw.randrange(len(data))))
            data[first + begin : first + begin + 4] = struct.pack("<I", odd)
    return bytes(data)
