"""Changes to zip archives and what is in them, to HDF5, and to pickles."""

from __future__ import annotations

import io
import pickletools
import random
import warnings
import zipfile

from fuzz.generic import ODD_NUMBERS, ODD_TEXTS, Change, anything
from fuzz.texts import change_json, change_npy

_SIGNATURES = (b"TREE", b"HEAP", b"SNOD", b"GCOL", b"OHDR", b"FRHP", b"OCHK", b"BTHD")
_ADDRESSES = (0, 8, 96, 2**32, 2**63 - 1, 2**64 - 1)


def change_hdf5(data: bytes, rng: random.Random) -> bytes:
    """The superblock, a structure that has a signature, or an address somewhere."""
    if len(data) < 100:
        return data
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        match rng.randrange(4):
            case 0:
                out[rng.randrange(8, 96) % len(out)] = rng.choice(
                    (0, 1, 2, 3, 4, 8, 16, 0x7F, 0xFF)
                )
            case 1:
                signature = rng.choice(_SIGNATURES)
                places = _occurrences(data, signature)
                if places:
                    place = rng.choice(places) + rng.randrange(4, 64)
                    out[place : place + 1] = bytes([rng.randrange(256)])
            case 2:
                place = rng.randrange(0, max(len(out) - 8, 1)) // 8 * 8
                number = rng.choice((*_ADDRESSES, len(data), rng.randrange(len(data))))
                out[place : place + 8] = number.to_bytes(8, "little")
            case _:
                return anything(bytes(out), rng)
    return bytes(out)


def _occurrences(data: bytes, part: bytes) -> list[int]:
    found: list[int] = []
    place = data.find(part)
    while place >= 0 and len(found) < 1000:
        found.append(place)
        place = data.find(part, place + 1)
    return found


_CALLS = (
    b"cos\nsystem\n(S'true'\ntR", b"cbuiltins\neval\n(S'1'\ntR", b"cnowhere\nnothing\n)R",
    b"ctorch\n_utils\n", b"ccollections\nOrderedDict\n)R", b"c__builtin__\nexec\n(S'pass'\ntR",
)  # fmt: skip


def change_pickle(data: bytes, rng: random.Random) -> bytes:
    """Operations that are gone, doubled or moved, and calls that should not be there."""
    try:
        starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    except Exception:
        return anything(data, rng)
    if len(starts) < 3:
        return anything(data, rng)
    index = rng.randrange(1, len(starts) - 1)
    start, end = starts[index], starts[index + 1]
    match rng.randrange(5):
        case 0:
            return data[:start] + data[end:]
        case 1:
            return data[:end] + data[start:]
        case 2:
            return data[:start] + rng.choice(_CALLS) + data[start:]
        case 3:
            other = rng.randrange(1, len(starts) - 1)
            return data[:start] + data[starts[other] : starts[other + 1]] + data[end:]
        case _:
            return data[:start] + anything(data[start:end], rng) + data[end:]


_INSIDE: tuple[tuple[str, Change], ...] = (
    (".json", change_json), (".h5", change_hdf5), (".pkl", change_pickle), (".npy", change_npy),
)  # fmt: skip


def change_zip(data: bytes, rng: random.Random) -> bytes:
    """A member, its name, its number, or what the archive says of it."""
    if rng.random() < 0.3:
        return _change_records(data, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
    except Exception:
        return anything(data, rng)
    if not members:
        return anything(data, rng)
    place = _member(members, rng)
    info, content = members[place]
    match rng.randrange(12):
        case 0:
            del members[place]
        case 1:
            members.append(members[place])
        case 2:
            members[place] = zipfile.ZipInfo(rng.choice(ODD_TEXTS)[:60_000] or "x"), content
        case 3:
            members[place] = info, bytes(rng.choice((0, 10, 1 << 20, 80 << 20)))
        case _:
            kinds = [change for suffix, change in _INSIDE if info.filename.endswith(suffix)]
            change = rng.choice([*kinds, *kinds, anything])
            members[place] = info, change(content, rng)
    return _zipped(members, rng.random() < 0.2 or any(len(c) > 1 << 22 for _, c in members))


def _member(members: list[tuple[zipfile.ZipInfo, bytes]], rng: random.Random) -> int:
    """A member: more often one with a structure."""
    telling = [i for i, (info, _) in enumerate(members) if info.filename.endswith(
        tuple(suffix for suffix, _ in _INSIDE))]  # fmt: skip
    return rng.choice(telling) if telling and rng.random() < 0.7 else rng.randrange(len(members))


def _zipped(members: list[tuple[zipfile.ZipInfo, bytes]], compressed: bool) -> bytes:
    out = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", kind) as archive:
        warnings.filterwarnings("ignore", message="Duplicate name")
        for info, content in members:
            name = info.filename.encode("utf-8", "replace").decode()
            copy = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            copy.compress_type = kind
            archive.writestr(copy, content)
    return out.getvalue()


def _change_records(data: bytes, rng: random.Random) -> bytes:
    """A field of a header, the directory or its end: sizes, offsets, methods, flags."""
    signature = rng.choice((b"PK\1\2", b"PK\1\2", b"PK\3\4", b"PK\5\6"))
    places = _occurrences(data, signature)
    if not places:
        return anything(data, rng)
    place = rng.choice(places) + rng.choice((6, 8, 10, 14, 18, 20, 22, 24, 26, 28, 30, 42))
    size = rng.choice((2, 4))
    number = rng.choice((*ODD_NUMBERS, 99, len(data))) % (1 << 8 * size)
    return data[:place] + number.to_bytes(size, "little") + data[place + size :]
