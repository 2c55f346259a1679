"""The corpus: case N is always the same file, made of a real one in `seeds/`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fuzz.containers import change_hdf5, change_zip
from fuzz.generic import Change, anything
from fuzz.models import MODELS
from fuzz.protobuf import change_message
from fuzz.saved import SAVED
from fuzz.structures import MAKERS
from fuzz.texts import change_safetensors, change_toml

SEEDS: Final = Path(__file__).parent / "seeds"
FIRST: Final[Mapping[str, int]] = {
    "mutations": 0,
    "saved": 700_000_000,
    "models": 800_000_000,
    "structures": 900_000_000,
}
"""The first number of each generator's files: real files that are damaged, `fuzz/saved.py`,
`fuzz/models.py`, `fuzz/structures.py`."""
LARGEST: Final = 100 << 20
"""No case is larger."""

STRUCTURED: Final[Mapping[str, Change]] = {
    ".onnx": change_message,
    ".keras": change_zip,
    ".h5": change_hdf5,
    ".weights.h5": change_hdf5,
    ".safetensors": change_safetensors,
    ".pt": change_zip,
    ".pt2": change_zip,
    ".npz": change_zip,
    ".toml": change_toml,
}
"""The kinds of files by their suffixes, and what changes each of them by its structure."""
KINDS: Final = tuple(STRUCTURED)
_KINDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "saved": tuple(SAVED), "models": tuple(MODELS)
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One file of the corpus."""

    number: int
    """Which one it is."""
    kind: str
    """Its suffix."""
    seed: str
    """The name of the file that it was made of."""
    data: bytes
    """What is in it."""
    weights: bytes | None = None
    """What is in the `.bin` beside it; None where there is none."""


@cache
def seeds_of(kind: str) -> tuple[tuple[str, bytes], ...]:
    """The real files of a kind."""
    paths = sorted(path for path in SEEDS.iterdir() if _kind_of(path) == kind)
    if not paths:
        raise FileNotFoundError(f"{SEEDS} has no file *{kind}: python -m fuzz.make_seeds")
    return tuple((path.name, path.read_bytes()) for path in paths)


def _kind_of(path: Path) -> str:
    return max((kind for kind in KINDS if path.name.endswith(kind)), key=len, default="")


def generator_of(number: int) -> str:
    """Which generator makes the file of this number."""
    return max((first, name) for name, first in FIRST.items() if first <= number)[1]


def kind_of(number: int) -> str:
    """The suffix of the file of this number; every kind of its generator comes equally often."""
    kinds = _KINDS_OF.get(generator_of(number), KINDS)
    return kinds[number % len(kinds)]


def case(number: int) -> Case:
    """The file of this number."""
    kind = kind_of(number)
    rng = random.Random(number)
    match generator_of(number):
        case "saved":
            return Case(number, kind, "saved", SAVED[kind](rng)[:LARGEST])
        case "models":
            data, weights = MODELS[kind](rng)
            return Case(number, kind, "models", data[:LARGEST], weights)
        case "structures":
            return Case(number, kind, "nothing", MAKERS[kind](rng))
    name, data = rng.choice(seeds_of(kind))
    change = STRUCTURED[kind] if rng.random() < 0.7 else anything
    for _ in range(rng.choice((1, 1, 1, 2))):
        data = change(data, rng) if len(data) > 100 else data
    return Case(number, kind, name, data[:LARGEST])
