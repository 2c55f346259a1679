"""Files that the real libraries wrote, and then changes to what they are made of.

Programs of pickles by their operations, zip archives by their records, headers of safetensors and
of arrays by their fields, HDF5 by its links, attributes, types and storage. What would run if a
file could have its way makes a file called `marker` in the current folder: the worker looks for it.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import torch
from safetensors.torch import save

from fuzz.containers import change_hdf5, change_zip
from fuzz.generic import ODD_NUMBERS, ODD_TEXTS, anything
from fuzz.texts import change_json

SEEDS: Final = Path(__file__).parent / "seeds"
MARKER: Final = "marker"
"""The file that no reader may make."""
PAYLOAD: Final = "payload"
"""A module beside the file that makes it when it is imported."""

_NAMES: Final = ("act.weight", "0.weight", "weight", "alpha", "p_re_lu", "x", "", "a/b", "é", "0")
_SIZES: Final = (0, 1, 1, 2, 3, 4, 7)
_KINDS: Final = (torch.float32, torch.float32, torch.float16, torch.bfloat16, torch.float64,
                 torch.int64, torch.uint8, torch.bool, torch.complex64)  # fmt: skip


# PyTorch


def _tensor(draw: random.Random) -> Any:
    values = torch.randn([draw.choice(_SIZES) for _ in range(draw.randrange(4))])
    values = values.to(draw.choice(_KINDS))
    match draw.randrange(8):
        case 0 if values.dim() > 1:
            return values.transpose(0, 1)
        case 1 if values.numel() > 1:
            return values.flatten()[1::2]
        case 2 if values.numel():
            return values.flatten()[:1].expand(9)
        case 3 if values.is_floating_point():
            return torch.nn.Parameter(values)
        case 4:
            return values.to_sparse() if values.dim() else values
    return values


def _state(draw: random.Random, depth: int = 0) -> Any:
    shared = _tensor(draw)
    state: Any = draw.choice((dict, OrderedDict))()
    for _ in range(draw.randrange(1, 6)):
        key = draw.choice(_NAMES) if draw.random() < 0.98 else draw.choice((0, None, (1, "a"), 0.5))
        value: Any = draw.choice(
            (*[shared, _tensor(draw), _tensor(draw)] * 4, 3, "text", [1], None)
        )
        state[key] = _state(draw, depth + 1) if depth < 2 and draw.random() < 0.2 else value
    return state


_GLOBALS: Final = (
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"),
    (PAYLOAD, "run"), ("torch", "load"), ("torch", "FloatStorage"),
    ("torch._utils", "_rebuild_tensor_v2"), ("_codecs", "encode"),
    ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_sparse_tensor"),
    ("collections", "OrderedDict"), ("torch.storage", "_load_from_bytes"), ("torch", "Size"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy", "dtype"), ("codecs", "encode"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"), ("torch", "device"),
    ("torch.jit", "load"), ("torch.hub", "load"), ("builtins", "bytearray"), ("torch", "zeros"),
)  # fmt: skip
_LONE: Final = (
    b"(", b")", b"]", b"}", b"0", b"2", b"1", b"R", b"b", b"Q", b"\x81", b"\x85", b"\x86", b"\x87",
    b"\x93", b"\x94", b"s", b"u", b"a", b"e", b"t", b".", b"N", b"\x88", b"\x8f", b"\x91",
    b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f", b"q\x00", b"h\x00", b"\x80\x63", b"\x80\x05",
    b"\x95" + b"\xff" * 8, b"X\xff\xff\xff\xff", b"B\xff\xff\xff\x7f", b"\x8a\xff", b"\x82\x01",
    b"\x8b\xff\xff\xff\x7f", b"\x96" + b"\xff" * 8, b"\x97", b"\x98", b"J\xff\xff\xff\xff",
)  # fmt: skip


def _global(draw: random.Random) -> bytes:
    module, name = draw.choice(_GLOBALS)
    if draw.random() < 0.5:
        return f"c{module}\n{name}\n".encode()
    return b"".join(b"X" + struct.pack("<I", len(t)) + t.encode() for t in (module, name)) + b"\x93"


def _call(draw: random.Random) -> bytes:
    """A call that leaves a mark, or would take much."""
    argument = draw.choice((f"touch {MARKER}", f"open('{MARKER}','w')", "case.pt", "cpu"))
    text = b"X" + struct.pack("<I", len(argument)) + argument.encode()
    given = draw.choice((text, text, b"J\xff\xff\xff\x7f", b")", b"N"))
    return _global(draw) + given + draw.choice((b"\x85R", b"\x85\x81", b"\x85b", b"R", b"\x85Q"))


def change_program(data: bytes, draw: random.Random) -> bytes:
    """A pickle with some of its operations changed, moved, gone or new."""
    try:
        starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    except Exception:
        return anything(data, draw)
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    for _ in range(draw.choice((1, 1, 1, 1, 2, 5))):
        place = draw.randrange(len(parts))
        match draw.randrange(8):
            case 0:
                parts[place] = b""
            case 1:
                parts.insert(place, draw.choice(parts))
            case 2:
                other = draw.randrange(len(parts))
                parts[place], parts[other] = parts[other], parts[place]
            case 3:
                parts.insert(place, draw.choice(_LONE))
            case 4:
                parts.insert(place, _call(draw))
            case 5:
                called = [i for i, part in enumerate(parts) if part[:1] in (b"c", b"\x93")]
                if called:
                    parts[draw.choice(called)] = _global(draw)
            case 6:
                numbers = [i for i, part in enumerate(parts) if part[:1] in (b"K", b"M", b"J")]
                if numbers:
                    odd = draw.choice(ODD_NUMBERS) % (1 << 31)
                    parts[draw.choice(numbers)] = b"J" + struct.pack("<i", odd)
            case _:
                parts[place : place + 2] = [b"".join(parts[place : place + 2])] * draw.choice(
                    (2, 99)
                )
    return b"".join(parts)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _zipped(draw: random.Random, members: Mapping[str, bytes]) -> bytes:
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


def _pt(draw: random.Random) -> bytes:
    if draw.random() < 0.2:  # a new one would have addresses of memory in it
        return change_program((SEEDS / "legacy.pt").read_bytes(), draw)
    out = io.BytesIO()
    torch.save(_state(draw), out, pickle_protocol=draw.choice((2, 2, 3, 4)))
    data = out.getvalue()
    if draw.random() < 0.1:
        return data
    if draw.random() < 0.2:
        return change_zip(data, draw)
    members = _members(data)
    for name in members:
        if name.endswith("data.pkl") and draw.random() < 0.7:
            members[name] = change_program(members[name], draw)
        elif draw.random() < 0.1:
            members[name] = draw.choice((b"", members[name][:-1], bytes(1 << 20), b"big"))
    return _zipped(draw, members)


# safetensors


def _safetensors(draw: random.Random) -> bytes:
    names = draw.sample(_NAMES, draw.randrange(1, 5))
    tensors = {name: _tensor(draw).detach().to_dense().contiguous().clone() for name in names}
    data = save(tensors, {"format": "pt"} if draw.random() < 0.5 else None)
    (length,) = struct.unpack("<Q", data[:8])
    header, content = json.loads(data[8 : 8 + length]), data[8 + length :]
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        entry = header[draw.choice(list(header))]
        ends = [0, len(content), len(content) + 1, -1, 2**63, 0.5, "0", None, True]
        match draw.randrange(7):
            case 0:
                entry["data_offsets"] = [draw.choice(ends), draw.choice(ends)]
            case 1:
                other = draw.choice([v for v in header.values() if "data_offsets" in v])
                entry["data_offsets"] = list(other["data_offsets"])
            case 2:
                entry["shape"] = draw.choice(
                    ([2**62, 4], [-1], [], [0, 2**60], [1.5], ["3"], None, [1] * 9000, [2**64])
                )
            case 3:
                kinds = ("F32", "F64", "BF16", "I4", "F8_E4M3", "F4", "U8", "C64", "f32", "", 7)
                entry["dtype"] = draw.choice(kinds)
            case 4:
                del entry[draw.choice(list(entry))]
            case 5:
                header[draw.choice((*ODD_TEXTS[:-2], "__metadata__"))] = draw.choice(
                    (entry, dict(entry), {}, [], None, "text", {"a": 1}, {"data_offsets": [0, 0]})
                )
            case _:
                content = draw.choice((content[:-1], content + b"\0", b"", content * 2))
        if not all(isinstance(value, dict) and value for value in header.values()):
            break
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    match draw.randrange(12):
        case 0:
            text = text[:-1] + b", " + text[1:]  # every key twice
        case 1:
            text = change_json(text, draw)
        case 2:
            text += draw.choice((b" " * 9, b"\0", b"}", b"\xff"))
    said = len(text) if draw.random() < 0.9 else draw.choice(ODD_NUMBERS) % (1 << 64)
    return struct.pack("<Q", said) + text + content


# HDF5 and Keras


def _dataset(draw: random.Random, group: Any, name: str) -> None:
    shape = tuple(draw.choice(_SIZES) for _ in range(draw.randrange(4)))
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
    name = draw.choice((*group, *_NAMES[2:6], "vars", "0", "layers"))
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


def _tree_of(suffix: str) -> Callable[[random.Random], bytes]:
    def make(draw: random.Random) -> bytes:
        data = change_tree(draw.choice(_read(suffix)), draw)
        return change_hdf5(data, draw) if draw.random() < 0.2 else data

    return make


def _keras(draw: random.Random) -> bytes:
    data = draw.choice(_read(".keras"))
    if draw.random() < 0.15:
        return change_zip(data, draw)
    members = _members(data)
    for name in members:
        if name.endswith(".h5") and draw.random() < 0.6:
            members[name] = change_tree(members[name], draw)
        elif name.endswith(".json") and draw.random() < 0.5:
            members[name] = change_json(members[name], draw)
    if draw.random() < 0.1:
        members[draw.choice(("assets/x", "_layer_checkpoint_dependencies.h5", "../x"))] = b"x"
    return _zipped(draw, members)


# numpy


def _npy(draw: random.Random) -> bytes:
    out, shape = io.BytesIO(), tuple(draw.choice(_SIZES) for _ in range(draw.randrange(5)))
    kinds = ("f4", "f4", ">f4", "f8", "i8", "?", "c8", "U3", "S2", "M8[s]", "f4,i4", "V5", "f2")
    array = np.zeros(shape, draw.choice(kinds))
    if draw.random() < 0.5:
        array = np.asfortranarray(array)
    version = draw.choice(((1, 0), (1, 0), (2, 0), (3, 0)))
    np.lib.format.write_array(out, array, version)
    data = out.getvalue()
    if draw.random() < 0.4:
        return data
    size = 2 if version == (1, 0) else 4
    length = int.from_bytes(data[8 : 8 + size], "little")
    header, content = data[8 + size : 8 + size + length], data[8 + size + length :]
    fields = {"descr": f"{array.dtype.str!r}", "fortran_order": "False", "shape": f"{shape!r}"}
    odd = ("'|O'", "'f4'", "(2**40,)", "(-1,)", "(1,)*99", "(True,)", "[3]", "None", "'<f4' or 1",
           "()", "(99999999999,)", "((3,),)", "[('a', '|O')]", "1e9", "'V4294967295'")  # fmt: skip
    fields[draw.choice(list(fields))] = draw.choice(odd)
    if draw.random() < 0.3:
        del fields[draw.choice(list(fields))]
    text = "{" + ", ".join(f"'{name}': {value}" for name, value in fields.items()) + ", }"
    header = text.ljust(length - 1).encode() + b"\n" if draw.random() < 0.8 else header[:-2]
    said = (len(header) if draw.random() < 0.9 else draw.choice(ODD_NUMBERS)) % (1 << 8 * size)
    if draw.random() < 0.1:
        content = pickle.dumps([1]) + f"cos\nsystem\n(S'touch {MARKER}'\ntR.".encode()
    return data[:8] + said.to_bytes(size, "little") + header + content


def _npz(draw: random.Random) -> bytes:
    names = ("x.npy", "run0/x.npy", "run1/x.npy", "x", "y.npy", "../x.npy", "a/b.npy", ".npy")
    return _zipped(draw, {name: _npy(draw) for name in draw.sample(names, draw.randrange(1, 4))})


def _seeded(make: Callable[[random.Random], bytes]) -> Callable[[random.Random], bytes]:
    def seeded(draw: random.Random) -> bytes:
        torch.manual_seed(draw.randrange(1 << 30))
        return make(draw)

    return seeded


SAVED: Final[Mapping[str, Callable[[random.Random], bytes]]] = {
    ".keras": _keras,
    ".h5": _tree_of(".h5"),
    ".weights.h5": _tree_of(".weights.h5"),
    ".pt": _seeded(_pt),
    ".safetensors": _seeded(_safetensors),
    ".npz": _npz,
}
"""What makes a file of each kind; which bytes depends on the versions of the libraries, too."""
