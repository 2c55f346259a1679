"""PyTorch's files and safetensors, and changes to their operations, records and fields."""

from __future__ import annotations

import io
import json
import pickletools
import random
import struct
from collections import OrderedDict
from typing import Any, Final

import torch
from safetensors.torch import save

from fuzz.archives import MARKER, NAMES, PAYLOAD, SEEDS, SIZES, members_of, zipped
from fuzz.containers import change_zip
from fuzz.generic import ODD_NUMBERS, ODD_TEXTS, anything
from fuzz.texts import change_json

_KINDS: Final = (torch.float32, torch.float32, torch.float16, torch.bfloat16, torch.float64,
                 torch.int64, torch.uint8, torch.bool, torch.complex64)  # fmt: skip


def _tensor(draw: random.Random) -> Any:
    values = torch.randn([draw.choice(SIZES) for _ in range(draw.randrange(4))])
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
        key = draw.choice(NAMES) if draw.random() < 0.98 else draw.choice((0, None, (1, "a"), 0.5))
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


def make_pt(draw: random.Random) -> bytes:
    """A file of `torch.save`."""
    torch.manual_seed(draw.randrange(1 << 30))
    if draw.random() < 0.2:  # a new one would have addresses of memory in it
        return change_program((SEEDS / "legacy.pt").read_bytes(), draw)
    out = io.BytesIO()
    torch.save(_state(draw), out, pickle_protocol=draw.choice((2, 2, 3, 4)))
    data = out.getvalue()
    if draw.random() < 0.1:
        return data
    if draw.random() < 0.2:
        return change_zip(data, draw)
    members = members_of(data)
    for name in members:
        if name.endswith("data.pkl") and draw.random() < 0.7:
            members[name] = change_program(members[name], draw)
        elif draw.random() < 0.1:
            members[name] = draw.choice((b"", members[name][:-1], bytes(1 << 20), b"big"))
    return zipped(draw, members)


def make_safetensors(draw: random.Random) -> bytes:
    """A safetensors file."""
    torch.manual_seed(draw.randrange(1 << 30))
    names = draw.sample(NAMES, draw.randrange(1, 5))
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
                others = [v["data_offsets"] for v in header.values() if "data_offsets" in v]
                entry["data_offsets"] = list(draw.choice(others or [ends[:2]]))
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
