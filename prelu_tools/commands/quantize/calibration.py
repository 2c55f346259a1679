"""Calibration data: read it, check it against the model's inputs, and hold out a part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.npz import read_arrays
from prelu_tools.core.results.reasons import Reason

_EVERY = 4  # one row of so many is held out
_FEWEST = 4
_FEW = 32
_AT_ONCE = 8  # rows per run, if the model accepts any number


@dataclass(frozen=True)
class CalibrationData:
    """The data, in runs of the model."""

    calibration: tuple[Feeds, ...]
    """The part that ranges are computed from."""
    held_out: tuple[Feeds, ...]
    """The part that is held out."""
    rows: tuple[int, int]
    """Rows of both."""
    extra: Mapping[str, Array] = field(default_factory=dict)
    """Arrays that are no input of the model, of the rows held out: labels, for a metric."""
    notes: tuple[str, ...] = ()
    """Notes on it for the user."""


def read_calibration(path: Path, specs: Sequence[TensorSpec], needs_extra: bool) -> CalibrationData:
    """Read the data, and hold one row of four out.

    Args:
        path: an `.npz` file, or a folder of `.npz` files and, for one input, `.npy` files.
        specs: the model's inputs.
        needs_extra: whether arrays besides the inputs are wanted.

    Raises:
        PReLUToolsError: the data does not fit the model, in one sentence.
    """
    arrays, extra = _arrays(path, specs, needs_extra)
    n_rows = _check(path, arrays, specs)
    batch = _batch(specs)
    size = batch or min(_AT_ONCE, max(1, n_rows // _EVERY))
    fewest = _FEWEST if batch is None else max(_FEWEST, 2 * batch)
    if n_rows < fewest:
        raise PReLUToolsError(
            f"{path} has {n_rows} rows, too few to calibrate and to check: expected at least "
            f"{fewest}, preferably a hundred or more"
        )
    numbers = np.arange(n_rows)
    if batch:
        numbers = numbers[: n_rows - n_rows % batch]
        held = (numbers // batch) % _EVERY == (_EVERY - 1)
        held |= False if held.any() else numbers >= numbers.size - batch
    else:
        held = numbers % _EVERY == _EVERY - 1
    parts = [numbers[~held], numbers[held]]
    calibration, held_out = (tuple(_runs(arrays, part, size)) for part in parts)
    return CalibrationData(
        calibration, held_out, (parts[0].size, parts[1].size),
        {name: values[parts[1]] for name, values in extra.items()},
        tuple(_notes(path, arrays, n_rows)),
    )  # fmt: skip


def _arrays(
    path: Path, specs: Sequence[TensorSpec], needs_extra: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The rows of each input, and other arrays."""
    parts = list(_files(path, specs))
    names = [spec.name for spec in specs]
    joined: dict[str, list[Array]] = {}
    for file, arrays in parts:
        if len(names) == 1 and len(arrays) == 1:
            arrays = {names[0]: next(iter(arrays.values()))}
        missing = [name for name in names if name not in arrays]
        other = [name for name in arrays if name not in names]
        if missing:
            raise PReLUToolsError(
                f"{file} has {', '.join(arrays) or 'no arrays'}; expected an array for each input "
                f"of the model: {', '.join(names)}"
            )
        if other and not needs_extra:
            raise PReLUToolsError(
                f"{file} has {', '.join(other)}; the model has no such input: expected "
                f"{', '.join(names)} alone (further arrays are for --metric)"
            )
        for name, values in arrays.items():
            joined.setdefault(name, []).append(values)
    found = {}
    for name, several in joined.items():
        tails = {(values.shape[1:], values.dtype.kind) for values in several}
        if len(tails) > 1 or len(several) != len(parts):
            raise PReLUToolsError(
                f"{path}: the rows of {name} do not have the same shape in all files: expected "
                f"{list(several[0].shape[1:])}"
            )
        found[name] = np.concatenate(several) if len(several) > 1 else several[0]
    return ({n: found[n] for n in names}, {n: v for n, v in found.items() if n not in names})


def _files(path: Path, specs: Sequence[TensorSpec]) -> Iterator[tuple[Path, dict[str, Array]]]:
    if not path.is_dir():
        yield from _runs_of(path)
        return
    files = sorted(f for f in path.iterdir() if f.suffix in (".npz", ".npy") and f.is_file())
    if not files:
        raise PReLUToolsError(
            f"{path} has no .npz or .npy files: expected arrays of inputs as the model expects "
            "them, after any preprocessing"
        )
    for file in files:
        if file.suffix == ".npz":
            yield from _runs_of(file)
        elif len(specs) > 1:
            raise PReLUToolsError(
                f"{file} is one array, and the model has {len(specs)} inputs: expected .npz files "
                f"with {', '.join(spec.name for spec in specs)}"
            )
        else:
            yield file, {specs[0].name: _npy(file)}


def _runs_of(path: Path) -> Iterator[tuple[Path, dict[str, Array]]]:
    """The arrays of a file: of several runs (`run0/x`), where they are numbered."""
    runs: dict[str, dict[str, Array]] = {}
    for name, values in read_arrays(path).items():
        run, slash, plain = name.partition("/")
        numbered = bool(slash) and run.startswith("run") and run[3:].isdigit()
        runs.setdefault(run if numbered else "", {})[plain if numbered else name] = values
    for arrays in runs.values() or [{}]:
        yield path, arrays


def _npy(file: Path) -> Array:
    try:
        return np.asarray(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise PReLUToolsError(
            f"{file} cannot be read as an array of numbers ({' '.join(str(error).split())})"
        ) from error


def _check(path: Path, arrays: dict[str, Array], specs: Sequence[TensorSpec]) -> int:
    """Compare the data with the inputs, and give each its type, in place; the number of rows."""
    for spec in specs:
        values = arrays[spec.name]
        shape = f"[{', '.join(map(str, spec.shape))}]"
        if values.ndim != len(spec.shape) or values.ndim == 0:
            raise PReLUToolsError(
                f"{path}: {spec.name} has the shape {list(values.shape)}; expected "
                f"{shape}, with the examples along the first axis"
            )
        for found, wanted in zip(values.shape[1:], spec.shape[1:], strict=True):
            if not isinstance(wanted, str) and found != wanted:
                raise PReLUToolsError(
                    f"{path}: {spec.name} has the shape {list(values.shape)}; expected {shape}"
                )
        is_float = np.issubdtype(np.dtype(spec.dtype), np.floating)
        if values.dtype.kind == "b" or (not is_float and values.dtype.kind == "f"):
            raise PReLUToolsError(
                f"{path}: {spec.name} is of type {values.dtype}; expected {spec.dtype}"
            )
        _demand_finite(path, spec.name, values, "NaN or infinity")
        with np.errstate(over="ignore"):
            arrays[spec.name] = values.astype(spec.dtype)
        _demand_finite(path, spec.name, arrays[spec.name], f"values too large for {spec.dtype}")
    counts = {name: len(values) for name, values in arrays.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise PReLUToolsError(f"{path} has different numbers of rows: {listed}")
    return min(counts.values(), default=0)


def _demand_finite(path: Path, name: str, values: Array, what: str) -> None:
    wrong = ~np.isfinite(values)
    if wrong.any():
        rows = wrong.reshape(len(values), -1).any(axis=1)
        raise PReLUToolsError(
            f"{path}: {name} holds {what} in {int(rows.sum()):,} of {len(values):,} rows, "
            f"first in row {int(rows.argmax())}: expected numbers"
        )


def _batch(specs: Sequence[TensorSpec]) -> int | None:
    """The number of rows that the model fixes; None if it takes any."""
    fixed = [spec.shape[0] for spec in specs if spec.shape]
    return next((int(size) for size in fixed if not isinstance(size, str)), None)


def _runs(arrays: Mapping[str, Array], rows: Array, size: int) -> Iterator[Feeds]:
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield {name: values[part] for name, values in arrays.items()}


def _notes(path: Path, arrays: Mapping[str, Array], n_rows: int) -> Iterator[str]:
    if n_rows < _FEW:
        yield Reason(
            f"{path} has {n_rows} rows: ranges from so few may not fit other data",
            "calibration_few_rows",
        )
    for name, values in arrays.items():
        if values.dtype.kind == "f" and values.size and float(values.min()) >= 0:
            is_scaled = float(values.max()) <= 1
            wrong = "around 0" if is_scaled else "from 0 to 1 or around 0"
            yield Reason(
                f"{path}: no value of {name} is negative ({values.min():.3g} to "
                f"{values.max():.3g}): the range has to be that of the inputs in use; wrong if "
                f"the model expects values scaled to be {wrong}",
                "calibration_non_negative",
            )
        if (values == values[:1]).all():
            yield Reason(f"{path}: all rows of {name} are equal", "calibration_one_value")
