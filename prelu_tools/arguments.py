"""Python arguments as what the commands are asked with, and what cannot be one."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import Dim, InputOption, SourceOptions
from prelu_tools.core.results.verification import Tolerance
from prelu_tools.core.rounding.tolerance import CALIBRATED

PathLike: TypeAlias = "str | os.PathLike[str]"
Shapes: TypeAlias = "Mapping[str, Sequence[Dim]]"
"""For an input's name its sizes; a dynamic one has a name: `{"x": ("batch", 3, 112, 112)}`."""
Values: TypeAlias = "PathLike | Mapping[str, Any]"
"""An `.npz` file, or for each input's name an array (or what `numpy.asarray` makes one of)."""
Range: TypeAlias = "tuple[float, float]"


def source_options(
    shapes: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> SourceOptions:
    """How sources are read.

    Raises:
        UsageError: a shape is none.
    """
    inputs = []
    for name, shape in (shapes or {}).items():
        sizes = tuple(shape)
        if not all(_is_size(size) for size in sizes) or isinstance(shape, str):
            raise UsageError(
                f"input {name} is given as {shape!r}: expected a size or a name for each "
                'dimension, as in {"x": ("batch", 3, 112, 112)}'
            )
        inputs.append(InputOption(name, sizes))
    named = (custom_objects,) if isinstance(custom_objects, str) else tuple(custom_objects)
    return SourceOptions(tuple(inputs), named, allow_unsafe_load, verbose)


def _is_size(size: object) -> bool:
    if isinstance(size, str):
        return size.isidentifier()
    return isinstance(size, int) and not isinstance(size, bool) and size > 0


def tolerance_of(given: Literal["calibrated"] | tuple[float, float]) -> Tolerance:
    """`calibrated`, or `(rtol, atol)`.

    Raises:
        UsageError: it is neither.
    """
    if given == "calibrated":
        return CALIBRATED
    try:
        rtol, atol = (float(part) for part in given)
    except (TypeError, ValueError):
        rtol = atol = math.nan
    if not (0 <= rtol < math.inf and 0 <= atol < math.inf):
        raise UsageError(
            f"tolerance {given!r}: expected 'calibrated', or (rtol, atol) of numbers from 0 on"
        )
    return Tolerance(rtol, atol, scaled=False, origin="given")


def ranges_of(given: Range | Mapping[str, Range] | None) -> dict[str, Range]:
    """One range for every input, or one by the name of each.

    Raises:
        UsageError: one is none.
    """
    found = dict(given) if isinstance(given, Mapping) else {} if given is None else {"": given}
    for limits in found.values():
        try:
            low, high = limits
            good = -math.inf < low < high < math.inf
        except (TypeError, ValueError):
            good = False
        if not good:
            raise UsageError(f"range {limits!r}: expected (low, high), as in (0, 255)")
    return found


def one_of(name: str, value: str | None, known: Collection[str]) -> None:
    """Compare a word with those that are known; None is fine.

    Raises:
        UsageError: it is none of them.
    """
    if value is not None and value not in known:
        raise UsageError(f"{name} {value!r}: expected one of {', '.join(known)}")


def within(name: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Compare a number with its limits; None is fine.

    Raises:
        UsageError: it is beyond them, or no number.
    """
    if value is None:
        return
    if not isinstance(value, (int, float)) or not low <= value <= high:
        limits = f"from {low:g} on" if high == math.inf else f"from {low:g} to {high:g}"
        raise UsageError(f"{name} {value!r}: expected a number {limits}")


def as_path(value: PathLike | None) -> Path | None:
    """A path; None stays None."""
    return None if value is None else Path(value)


@contextmanager
def values_file(values: Values | None) -> Iterator[Path | None]:
    """The file of inputs: the one that was given, or arrays as one.

    Raises:
        PReLUToolsError: they cannot be written.
    """
    if values is None or isinstance(values, (str, os.PathLike)):
        yield as_path(values)
        return
    import numpy as np

    from prelu_tools.commands.verify.inputs.feeds import save_feeds

    arrays = {name: np.asarray(array) for name, array in values.items()}
    if any(array.dtype == object for array in arrays.values()):
        raise PReLUToolsError("inputs have to be arrays of numbers, one for each input's name")
    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        path = Path(folder) / "inputs.npz"
        save_feeds(path, [arrays])
        yield path
