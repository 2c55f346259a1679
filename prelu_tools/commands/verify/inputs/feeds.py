"""The inputs of a run, and the files that keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.core.arrays import Array, shapes_in_words
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.files.npz import read_arrays
from prelu_tools.core.options import InputOption
from prelu_tools.core.results.reasons import listed
from prelu_tools.graph.io.writer import replacing

Feeds = dict[str, Array]
NO_ROWS = "has no rows, so nothing would be compared: expected at least one"


def n_values(feeds: Mapping[str, Array]) -> int:
    """The total number of values of a run: roughly its cost."""
    return sum(values.size for values in feeds.values())


def names(specs: Sequence[TensorSpec]) -> str:
    """The names of some inputs, for a message."""
    return ", ".join(spec.name for spec in specs)


def replay_feeds(path: Path, reference: Sequence[TensorSpec]) -> list[Feeds]:
    """The inputs of a check from an `.npz` file with an array for each input.

    `save_feeds` numbers the arrays of several runs: `run0/x`, `run1/x`.

    Raises:
        UsageError: it lacks an input of the reference.
        PReLUToolsError: it cannot be read, or an input has no rows.
    """
    arrays = read_arrays(path)
    runs: dict[str, dict[str, Array]] = {}
    for name, values in arrays.items():
        run, separator, plain = name.partition("/")
        numbered = bool(separator) and run.startswith("run") and run[3:].isdigit()
        runs.setdefault(run if numbered else "", {})[plain if numbered else name] = values
    return [_as_feeds(path, found, reference) for found in runs.values()] or [
        _as_feeds(path, {}, reference)
    ]


def _as_feeds(path: Path, arrays: Mapping[str, Array], reference: Sequence[TensorSpec]) -> Feeds:
    if len(reference) == 1 and len(arrays) == 1:
        arrays = {reference[0].name: next(iter(arrays.values()))}
    for name, values in arrays.items():
        if values.ndim and not len(values):
            raise PReLUToolsError(f"{path}: input {name!r} {NO_ROWS}")
    missing = [spec.name for spec in reference if spec.name not in arrays]
    if missing:
        raise UsageError(
            f"{path} has {listed([*arrays]) or 'no arrays'}; expected {names(reference)}"
        )
    for spec in reference:
        if arrays[spec.name].ndim != len(spec.shape) and not spec.is_assumed:
            raise PReLUToolsError(
                f"{path}: {shapes_in_words({spec.name: arrays[spec.name]})}; expected "
                f"{InputOption(spec.name, spec.shape).text}"
            )
    return {spec.name: arrays[spec.name].astype(spec.dtype) for spec in reference}


def save_feeds(path: Path, feeds: Sequence[Feeds]) -> None:
    """Keep inputs as an `.npz` file that `replay_feeds` reads.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    arrays = {f"run{i}/{name}": v for i, feed in enumerate(feeds) for name, v in feed.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
