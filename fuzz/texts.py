"""Changes to JSON, to the header of safetensors, to TOML and to the header of a .npy file."""

from __future__ import annotations

import json
import random
import re
from copy import deepcopy
from typing import Any

from fuzz.generic import ODD_NUMBERS, ODD_TEXTS, anything

_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), [], {}, "",
    [[]], [None], {"class_name": "Lambda", "config": {}}, [1] * 1000, [-1, -1], [2**40, 2**40],
)  # fmt: skip


def change_json(data: bytes, rng: random.Random) -> bytes:
    """A document with one to three of its values others, gone, doubled or nested without end."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return anything(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        inside = _containers(document)
        if not inside:
            break
        _change(rng.choice(inside), rng)
    text = json.dumps(document)
    if rng.random() < 0.05:
        depth = rng.choice((50, 2000, 200_000))
        text = text[:-1] + ', "x": ' + "[" * depth + "]" * depth + text[-1:]
    return text.encode("utf-8", "surrogatepass")


def _containers(value: Any) -> list[Any]:
    found = []
    if isinstance(value, dict | list):
        if value:
            found.append(value)
        for inner in list(value.values()) if isinstance(value, dict) else value:
            found += _containers(inner)
    return found


def _change(inside: Any, rng: random.Random) -> None:
    keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
    if not keys:
        return
    key = rng.choice(keys)
    odd = deepcopy(
        rng.choice((*_VALUES, *ODD_TEXTS, *ODD_NUMBERS))
    )  # what changes is this one's own
    match rng.randrange(6):
        case 0 | 1 | 2:
            inside[key] = odd
        case 3:
            del inside[key]
        case 4:
            other = rng.choice(keys)
            inside[key] = deepcopy(inside[other])
        case _ if isinstance(inside, dict):
            inside[rng.choice(ODD_TEXTS)] = rng.choice((odd, inside.pop(key)))
        case _:
            inside.extend(deepcopy(odd) for _ in range(rng.choice((1, 1000))))


def change_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Its header, or the length of it."""
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length], data[8 + length :]
    match rng.randrange(4):
        case 0:
            wrong = rng.choice((*ODD_NUMBERS, length + 1, length - 1, len(data))) % (1 << 64)
            return wrong.to_bytes(8, "little") + header + rest
        case 1 | 2:
            header = change_json(header, rng)
        case _:
            header = anything(header, rng)
    return len(header).to_bytes(8, "little") + header + rest


_TOML = (
    "[[checks]]", "[[checks.checks]]", "[tool]", "name = 1", 'reference = ""', "candidates = []",
    'candidates = ["x.onnx", 1]', "samples = 0", "samples = -1", "seed = 99999999999999999999",
    "tolerance = [1, nan]", "min_coverage = inf", "search_seconds = -0.0", "layers = 1",
    'inputs = "/dev/null"', 'inputs = "."', 'reference = "."', "power = false", "'' = ''",
    'input = ["x:1,2,3"]', 'providers = ["nowhere"]', 'layouts = { x = "nchw" }', "a.b.c = 1",
    "[checks]", "checks = 1", 'custom_objects = ["nowhere"]', '"\\u001b[2J" = 1', "\x00", "= = =",
    "input_range = { x = [1, 0] }", 'reference = "../../etc/passwd"', "1979-05-27T07:32:00Z",
)  # fmt: skip


_GOOD_LINES = (
    "samples = 2", "seed = 7", "power = false", "layers = false", "min_coverage = 0",
    'tolerance = "calibrated"', "tolerance = [1e-3, 1e-4]", "allow_no_prelu = true",
    'candidates = ["forms.onnx"]', 'candidates = ["large.onnx", "forms.onnx"]',
    'reference = "large.onnx"', 'reference = "old.onnx"', "input_range = { x = [0, 1] }",
    'inputs = "batch.npz"', "allow_fallback = true", "search_seconds = 0",
)  # fmt: skip


def _with_good_lines(data: bytes, rng: random.Random) -> bytes:
    """Lines that are right by themselves, in place of others of the same key."""
    lines = data.decode("utf-8", "replace").splitlines()
    for _ in range(rng.choice((1, 2, 3))):
        line = rng.choice(_GOOD_LINES)
        same = [i for i, old in enumerate(lines) if old.partition("=")[0] == line.partition("=")[0]]
        if same:
            lines[rng.choice(same)] = line
        else:
            lines.append(line)
    return "\n".join(lines).encode()


def change_toml(data: bytes, rng: random.Random) -> bytes:
    """Lines that are gone, doubled, moved, or of another kind."""
    if rng.random() < 0.4:
        return _with_good_lines(data, rng)
    lines = data.decode("utf-8", "replace").splitlines()
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(6):
            case 0:
                lines.insert(place, rng.choice(_TOML))
            case 1:
                lines[place : place + 1] = [rng.choice(_TOML)]
            case 2:
                del lines[place : place + 1]
            case 3 if lines:
                key = lines[place].partition("=")[0]
                odd = rng.choice((*ODD_TEXTS, *map(str, ODD_NUMBERS)))
                lines[place] = f"{key}= {rng.choice((odd, json.dumps(odd), '[[]]', '{}', 'nan'))}"
            case 4:
                lines += [lines[place]] if lines else []
            case _:
                depth = rng.choice((10, 2000, 50_000))
                lines.insert(place, "x = " + "[" * depth + "]" * depth)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


_DESCRIPTIONS = (
    "'|O'",
    "'<f4'",
    "'<U99999'",
    "'|V0'",
    "'<c16'",
    "[('a', '<f4')]",
    "1",
    "''",
    "'<f9'",
)
_SHAPES = (
    "()", "(0,)", "(-1,)", "(4294967296, 4294967296)", "(99999999999,)", "(1,) * 9", "('a',)",
    "(" + "1, " * 70 + ")", "(True,)", "((),)",
)  # fmt: skip


def change_npy(data: bytes, rng: random.Random) -> bytes:
    """An array whose header says something else."""
    size = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + size].decode("latin-1")
    match rng.randrange(4):
        case 0:
            header = re.sub(r"'descr': [^,]+", f"'descr': {rng.choice(_DESCRIPTIONS)}", header)
        case 1:
            shape = rng.choice(_SHAPES)
            header = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {shape}", header)
        case 2:
            header = anything(header.encode("latin-1"), rng).decode("latin-1")
        case _:
            return data[:6] + anything(data[6:], rng)
    return (
        data[:8] + len(header).to_bytes(2, "little") + header.encode("latin-1") + data[10 + size :]
    )
