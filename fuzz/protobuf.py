"""Changes to a protobuf message that know its fields, and nothing of what they mean."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass

from fuzz.generic import ODD_NUMBERS, ODD_TEXTS, anything
from prelu_tools.graph.io.wire import MalformedError, MemoryBytes, fields, varint

_DEEPEST = 8
_HUGE = (0x7F, 2**20, 2**31 - 1, 2**32, 2**63 - 1, 2**70)


@dataclass
class Field:
    """A field, apart from its message."""

    number: int
    wire: int
    content: bytes | list[Field]
    """What stands behind the key (and the length); the fields of a message."""
    length: int | None = None
    """A length that is stated in place of the true one."""


def parse(data: bytes, depth: int = 0) -> list[Field] | None:
    """The fields of a message, those of the messages in it included; None where it is none."""
    found = []
    try:
        for field in fields(MemoryBytes(data), 0, len(data)):
            wire = data[field.start] & 7
            content: bytes | list[Field] = data[field.payload : field.end]
            if wire == 2 and depth < _DEEPEST and len(content) > 1:
                inner = parse(data[field.payload : field.end], depth + 1)
                content = content if inner is None else inner
            found.append(Field(field.number, wire, content))
    except MalformedError:
        return None
    return found


def encode(message: list[Field]) -> bytes:
    """The bytes of a message."""
    parts = []
    for field in message:
        content = encode(field.content) if isinstance(field.content, list) else field.content
        parts.append(varint(field.number << 3 | field.wire))
        if field.wire == 2:
            parts.append(varint(len(content) if field.length is None else field.length))
        parts.append(content)
    return b"".join(parts)


def _messages(message: list[Field]) -> list[list[Field]]:
    found = [message] if message else []
    for field in message:
        if isinstance(field.content, list):
            found += _messages(field.content)
    return found


def _strange_value(field: Field, rng: random.Random) -> None:
    if field.wire == 0:
        field.content = varint(rng.choice(ODD_NUMBERS) % (1 << 64))
    elif field.wire == 2 and isinstance(field.content, bytes):
        text = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
        field.content = rng.choice((text, b"", b"\xff\xfe", anything(field.content, rng)))
    elif isinstance(field.content, bytes):
        field.content = rng.randbytes(len(field.content))
    else:
        field.content = anything(encode(field.content), rng)


def _nested(field: Field, rng: random.Random) -> None:
    """The message within itself, again and again."""
    if isinstance(field.content, list):
        content = encode(field.content)
        for _ in range(rng.choice((1, 5, 60, 300))):
            content += varint(field.number << 3 | 2) + varint(len(content)) + content[:4000]
            content = content[-200_000:]
        field.content = content


def change_message(data: bytes, rng: random.Random) -> bytes:
    """The message with one to three of its fields changed."""
    message = parse(data)
    if not message:
        return anything(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        level = rng.choice(_messages(message) or [[Field(1, 0, b"\0")]])
        place = rng.randrange(len(level))
        field = level[place]
        match rng.randrange(10):
            case 0 | 1 | 2:
                _strange_value(field, rng)
            case 3:
                field.length = rng.choice(_HUGE)
            case 4:
                del level[place]
            case 5:
                level[place:place] = [field] * rng.choice((1, 1, 2, 200))
            case 6:
                other = rng.randrange(len(level))
                level[place], level[other] = level[other], level[place]
            case 7:
                field.number = rng.choice((1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 20, 1000))
            case 8:
                donor = rng.choice(_messages(message) or [level])
                level[place] = copy.deepcopy(rng.choice(donor or [field]))
            case _:
                _nested(field, rng)
        if _size(message) > 2_000_000:
            break
    return encode(message)


def _size(message: list[Field]) -> int:
    return sum(_size(f.content) if isinstance(f.content, list) else len(f.content) for f in message)
