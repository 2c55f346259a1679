"""Keras' files, and changes to their HDF5: links, attributes, types and storage."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import h5py
import numpy as np

from fuzz.archives import NAMES, SEEDS, SIZES, members_of, zipped
from fuzz.containers import change_hdf5, change_zip
from fuzz.texts import change_json


def _dataset(draw: random.Random, group: Any, name: str) -> None:
    shape = tuple(draw.choice(SIZES) for _ in range(draw.randrange(4)))
    many = tuple(draw.choice((1, 2**20, 2**40)) for _ in range(draw.randrange(1, 4)))
    compound = np.dtype([("a", "f4"), ("b", "i4", (2,))])
    text, reference = h5py.string_dtype(), h5py.ref_dtype
    match draw.randrange(10):
        case 0:
            group.create_dataset(name, many, "f4", fillvalue=0.5)
        case 1:
            group.create_dataset(name, many, "f4", chunks=(1,) * len(many), compression="gzip")
        case 2:
            place = [(draw.choice(("outside.bin", "/etc/passwd", "case.h5", "gone")), 0, 64)]
            group.create_dataset(name, (16,), "f4", external=place)
        case 3:
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(draw.choice((".", "case.h5", "gone.h5")), "x", (4,))
            group.create_virtual_dataset(name, layout)
        case 4:
            plain = map(np.dtype, ("V7", "S3", "c8"))
            many_of = h5py.enum_dtype({"A": 1}), h5py.vlen_dtype("f4")
            kind = draw.choice((compound, text, reference, *plain, *many_of))
            group.create_dataset(name, shape, kind)
        case 5:
            outside = [h5py.ExternalLink(*to) for to in (("case.h5", "/"), ("/etc/passwd", "/x"))]
            within = h5py.SoftLink("/"), h5py.SoftLink(name), group, group.file["/"]
            group[name] = draw.choice((*outside, *within, np.dtype("f4")))
        case _:
            values = np.random.default_rng(draw.randrange(99)).normal(size=shape)
            group[name] = values.astype(draw.choice(("f4", "f4", ">f4", "f2", "f8", "i4", "?")))


def _attribute(draw: random.Random, item: Any) -> None:
    name = draw.choice((*item.attrs, "name", "layer_names", "weight_names", "model_config", "x"))
    old = item.attrs.get(name)
    if isinstance(old, str | bytes) and draw.random() < 0.7:
        content = old.encode() if isinstance(old, str) else old
        item.attrs[name] = np.void(change_json(content, draw)[:60_000] or b"x")
        return
    item.attrs[name] = draw.choice(
        ("", "{}", b"\xff\xfe", 3, 0.5, [b"a", b"p_re_lu"], ["a", "é"], np.zeros((0,), "S1"),
         np.arange(900), h5py.Empty("f4"), "[" * 9000, np.array([["a"]], object), "../x", True)
    )  # fmt: skip


def change_tree(data: bytes, draw: random.Random) -> bytes:
    """HDF5 with some of its links, attributes and datasets changed by its own library.

    In a process of its own: now and then, that library crashes on what it has written.
    """
    seed, (receiving, sending) = draw.randrange(1 << 62), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open(sending, "wb") as pipe:
                pipe.write(_changed_tree(data, random.Random(seed)))
        finally:
            os._exit(0)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        made = pipe.read()
    os.waitpid(child, 0)
    return made or data


def _changed_tree(data: bytes, draw: random.Random) -> bytes:
    out = io.BytesIO(data)
    with h5py.File(out, "r+") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        for _ in range(draw.choice((1, 1, 2, 4))):
            with suppress(OSError, RuntimeError, KeyError, ValueError):  # the library refuses it
                _change_item(draw, draw.choice([item for item in items if item]))
    return out.getvalue()


def _change_item(draw: random.Random, item: Any) -> None:
    group = item if isinstance(item, h5py.Group) else item.parent
    name = draw.choice((*group, *NAMES[2:6], "vars", "0", "layers"))
    if draw.random() < 0.4:
        _attribute(draw, item)
        return
    if name in group:
        if draw.random() < 0.3:
            group.move(name, f"moved{draw.randrange(9)}")
        else:
            del group[name]
    if draw.random() < 0.8 and name not in group:
        _dataset(draw, group, name)


@cache
def _read(suffix: str) -> tuple[bytes, ...]:
    found = sorted(path for path in SEEDS.glob(f"*{suffix}"))
    weights = {path for path in found if path.name.endswith(".weights.h5")}
    return tuple(p.read_bytes() for p in found if suffix != ".h5" or p not in weights)


def tree_maker(suffix: str) -> Callable[[random.Random], bytes]:
    """What changes HDF5 files of a suffix."""

    def make(draw: random.Random) -> bytes:
        data = change_tree(draw.choice(_read(suffix)), draw)
        return change_hdf5(data, draw) if draw.random() < 0.2 else data

    return make


def make_keras(draw: random.Random) -> bytes:
    """A `.keras` archive."""
    data = draw.choice(_read(".keras"))
    if draw.random() < 0.15:
        return change_zip(data, draw)
    members = members_of(data)
    for name in members:
        if name.endswith(".h5") and draw.random() < 0.6:
            members[name] = change_tree(members[name], draw)
        elif name.endswith(".json") and draw.random() < 0.5:
            members[name] = change_json(members[name], draw)
    if draw.random() < 0.1:
        members[draw.choice(("assets/x", "_layer_checkpoint_dependencies.h5", "../x"))] = b"x"
    return zipped(draw, members)
