"""Valid models of which some fields are others.

Graphs of ONNX are changed by the schema of their protobuf; files of other runtimes, records and
lists by what they are made of.

A field is changed to a value of its type that the model has elsewhere, to one that is odd, or to
none; messages are copied to other places that take their kind. So most of what is made still parses
and says something else than it did: names that hide others, attributes of other types, bodies and
functions that call themselves, sparse and external tensors, training graphs, opsets.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import onnx

from fuzz.containers import change_zip
from fuzz.generic import ODD_NUMBERS, ODD_TEXTS, anything

SEEDS: Final = Path(__file__).parent / "seeds"
_NAMES: Final = ("", "x", "a", "own", "PRelu", "LeakyRelu", "Constant", "If", "ai.onnx", "value")
_INTEGERS: Final = (0, 1, 2, 3, 4, 6, 9, 13, 16, 18, 26, 27, 99)
_FLOATS: Final = (0.0, -0.0, 0.5, 1e30, -1e-40, float("nan"), float("inf"))
_STRING, _BYTES, _MESSAGE, _ENUM, _BOOL = 9, 12, 11, 14, 8
_WIDTHS: Final = {3: 64, 5: 32, 15: 32, 16: 64, 17: 32, 18: 64}  # signed, by the type of a field


@cache
def _read(suffix: str) -> tuple[tuple[str, bytes], ...]:
    """The real files with a suffix, and their names."""
    paths = [*SEEDS.glob(f"*{suffix}"), *(SEEDS / "models").glob(f"*{suffix}")]
    return tuple((path.stem, path.read_bytes()) for path in sorted(paths))


# ONNX


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.type == _MESSAGE:
            for inner in value if field.is_repeated else (value,):
                yield from _messages(inner)


def _known(messages: list[Any]) -> tuple[list[str], dict[str, list[Any]]]:
    """The names in a model, and its messages by their kind."""
    names, kinds = list(_NAMES), dict[str, list[Any]]()
    for message in messages:
        kinds.setdefault(message.DESCRIPTOR.full_name, []).append(message)
        for field, value in message.ListFields():
            if field.type == _STRING:
                names += value if field.is_repeated else [value]
    return names, kinds


def _scalar(field: Any, names: list[str], draw: random.Random) -> Any:
    """A value of the field's type."""
    if field.type == _STRING:
        return draw.choice(names) if draw.random() < 0.85 else draw.choice(ODD_TEXTS[:-1])[:9999]
    if field.type == _BYTES:
        return draw.choice((b"", b"\0\0\x80\x3f", draw.randbytes(draw.randrange(40)), b"\xff" * 9))
    if field.type == _ENUM:
        return draw.choice(list(field.enum_type.values_by_number))
    if field.type == _BOOL:
        return draw.random() < 0.5
    if field.type in (1, 2):
        return draw.choice(_FLOATS)
    number = draw.choice(_INTEGERS if draw.random() < 0.7 else ODD_NUMBERS)
    width = _WIDTHS.get(field.type)
    return number % (1 << 32) if width is None else _signed(number, width)


def _signed(number: int, width: int) -> int:
    number %= 1 << width
    return number - (1 << width) if number >> (width - 1) else number


def _change_many(message: Any, field: Any, names: list[str], donors: list[Any], draw: Any) -> None:
    values = getattr(message, field.name)
    what = draw.randrange(5)
    if what == 0 and len(values):
        del values[draw.randrange(len(values))]
    elif what == 1 and len(values) > 1:
        kept = list(values)
        draw.shuffle(kept)
        del values[:]
        values.extend(kept)
    elif field.type == _MESSAGE:
        if what == 2 and len(values) and donors:
            _copy(draw.choice(list(values)), draw.choice(donors))
            return
        for _ in range(draw.choice((1, 1, 1, 2, 40))):
            made = values.add()
            if donors and draw.random() < 0.9:
                _copy(made, draw.choice(donors))
    elif what == 2 and len(values):
        values[draw.randrange(len(values))] = _scalar(field, names, draw)
    else:
        values.extend(_scalar(field, names, draw) for _ in range(draw.choice((1, 1, 2, 5))))


def _copy(message: Any, donor: Any) -> None:
    """In place; the donor may be around it, or within it."""
    content = donor.SerializeToString()
    if len(content) < 200_000:
        message.ParseFromString(content)


def _change_field(model: Any, draw: random.Random) -> None:
    messages = list(_messages(model))
    names, kinds = _known(messages)
    message = draw.choice(kinds[draw.choice(list(kinds))])  # of every kind as often
    used = [field for field, _ in message.ListFields()]
    every = list(message.DESCRIPTOR.fields)
    field = draw.choice(used if used and draw.random() < 0.6 else every)
    donors = kinds.get(field.message_type.full_name, []) if field.type == _MESSAGE else []
    if field.is_repeated:
        _change_many(message, field, names, donors, draw)
    elif draw.random() < 0.15:
        message.ClearField(field.name)
    elif field.type == _MESSAGE:
        getattr(message, field.name).SetInParent()
        if donors:
            _copy(getattr(message, field.name), draw.choice(donors))
    else:
        setattr(message, field.name, _scalar(field, names, draw))


def _onnx(draw: random.Random) -> tuple[bytes, bytes | None]:
    _, content = draw.choice([one for one in _read(".onnx") if one[0] != "outside"])  # too large
    model = onnx.ModelProto.FromString(content)
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        if model.ByteSize() < 2_000_000:
            _change_field(model, draw)
    return model.SerializeToString(), None


# Files of other runtimes


def _with_weights(suffix: str, change: Callable[[str, random.Random], str]) -> Any:
    def make(draw: random.Random) -> tuple[bytes, bytes | None]:
        stem, content = draw.choice(_read(suffix))
        weights = dict(_read(".bin"))[stem]
        if draw.random() < 0.2:
            weights = draw.choice((b"", weights[:-3], anything(weights, draw), weights * 3))
        text = content.decode()
        for _ in range(draw.choice((1, 1, 2, 3))):
            text = change(text, draw)
        content = text.encode("utf-8", "surrogatepass")
        return content if draw.random() < 0.9 else anything(content, draw), weights

    return make


def _odd(draw: random.Random) -> str:
    numbers = map(str, (*ODD_NUMBERS, *_INTEGERS, "1e9", "-23", "0.5"))
    return draw.choice((*ODD_TEXTS[:-2], *numbers, "a,b", "1,2,3", "PReLU", "x"))[:5000]


def _change_words(text: str, draw: random.Random) -> str:
    """A word of ncnn's table, or a line of it."""
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    words = lines[place].split(" ")
    match draw.randrange(6):
        case 0:
            del lines[place]
        case 1:
            lines.insert(draw.randrange(len(lines) + 1), lines[place])
        case 2:
            words.append(f"{draw.choice(('0', '1', '2', '-23300', '-1', '30'))}={_odd(draw)}")
        case 3:
            words[draw.randrange(len(words))] = draw.choice(text.split())
        case _:
            words[draw.randrange(len(words))] = _odd(draw)
    if place < len(lines):
        lines[place] = " ".join(words)
    return "\n".join(lines)


def _change_markup(text: str, draw: random.Random) -> str:
    """An attribute of OpenVINO's file, or an element."""
    attributes = list(re.finditer(r'="([^"]*)"', text))
    elements = list(re.finditer(r"<(\w+)[^>]*/>|<(\w+)[^>]*>[^<]*</\w+>", text))
    one, other = draw.choice(attributes), draw.choice(attributes)
    element = draw.choice(elements)
    match draw.randrange(7):
        case 0 | 1:
            value = _odd(draw).replace("&", "").replace("<", "").replace('"', "")
            return f"{text[: one.start(1)]}{value}{text[one.end(1) :]}"
        case 2 | 3:
            return f"{text[: one.start(1)]}{other[1]}{text[one.end(1) :]}"
        case 4:
            return text[: element.start()] + text[element.end() :]
        case 5:
            return (
                text[: element.end()]
                + element[0] * draw.choice((1, 2, 300))
                + (text[element.end() :])
            )
        case _:
            entity = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
            return text.replace("<net", f"{entity}<net", 1).replace('name="act"', 'name="&b;"')


def _tflite(draw: random.Random) -> tuple[bytes, bytes | None]:
    """Numbers of a flatbuffer: offsets, lengths, codes, in tables and vectors."""
    _, content = draw.choice(_read(".tflite"))
    out = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3))):
        size = draw.choice((1, 1, 2, 4))
        place = draw.randrange(len(out) // size) * size
        old = int.from_bytes(out[place : place + size], "little")
        near = (old + 1, old - 1, old + 4, old ^ 1, old << 1, 0, 1, 2, 3)
        number = draw.choice(near if draw.random() < 0.8 else (*_INTEGERS, *ODD_NUMBERS, len(out)))
        out[place : place + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(out), None


# Records and lists


def _record(draw: random.Random) -> tuple[bytes, bytes | None]:
    _, content = draw.choice(_read(".record.npz"))
    for _ in range(draw.choice((1, 1, 2))):
        content = change_zip(content, draw)
    return content, None


_CELLS: Final = (
    "forms.onnx", "old.onnx", "forms.onnx", "nowhere.onnx", "*.onnx", "{stem}.onnx", "1e-3,1e-3",
    "calibrated", "3", "cpu", "a, b", "true", "nchw", "x=0,1", "x:1,3,4,4", "batch.npz", "json:x",
    "os:system", "case.csv", "", '"', "'", "=1+1", "\0", "\r", "é", "\ud800", "../x.onnx", "name",
)  # fmt: skip
_HEADS: Final = (
    "name", "samples", "seed", "tolerance", "input", "layers", "power", "candidates", "source",
    "runtimes", "quick", "min_coverage", "input_range", "layouts", "=1", "", "\x1b[2J",
)  # fmt: skip


def _csv(draw: random.Random) -> tuple[bytes, bytes | None]:
    begin = draw.choice((["source"], ["reference", "candidates"]))
    heads = [*begin, *draw.sample(_HEADS, draw.choice((0, 1, 1, 3)))]
    rows = [heads] if draw.random() < 0.9 else []
    for _ in range(draw.randrange(5)):
        row = ["forms.onnx" if head in begin else draw.choice(_CELLS) for head in heads]
        if draw.random() < 0.3:
            row[draw.randrange(len(row))] = draw.choice(_CELLS)
        row = [f'"{cell}"' if "," in cell else cell for cell in row]
        rows.append(row[: draw.choice((9, 9, 9, 1))] + [""] * draw.choice((0,) * 9 + (1, 50)))
    separator = draw.choice((",",) * 9 + (";", "\t"))
    end = draw.choice(("\n", "\r\n", "\r", "\n\n"))
    text = end.join(separator.join(row) for row in rows) + draw.choice(("", end, '"'))
    kind = draw.choice(("utf-8",) * 9 + ("utf-8-sig", "utf-16"))
    return text.encode(kind, "surrogatepass"), None


def _baseline(draw: random.Random) -> tuple[bytes, bytes | None]:
    from fuzz.texts import change_json

    _, content = draw.choice(_read(".json"))
    return change_json(content, draw), None


MODELS: Final[Mapping[str, Callable[[random.Random], tuple[bytes, bytes | None]]]] = {
    ".onnx": _onnx,
    ".tflite": _tflite,
    ".param": _with_weights(".param", _change_words),
    ".xml": _with_weights(".xml", _change_markup),
    ".record.npz": _record,
    ".csv": _csv,
    ".json": _baseline,
}
"""What makes a file of each kind, and the weights beside it."""
