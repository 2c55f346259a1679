"""Types of the library's arguments, and arrays turned into the file that the commands read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import Dim

PathLike: TypeAlias = "str | os.PathLike[str]"
Shapes: TypeAlias = "Mapping[str, Sequence[Dim]]"
"""Sizes by input name; a dynamic size is a name: `{"x": ("batch", 3, 112, 112)}`."""
Values: TypeAlias = "PathLike | Mapping[str, Any]"
"""An `.npz` file, or arrays by input name (or anything that `numpy.asarray` accepts)."""
Range: TypeAlias = "tuple[float, float]"


@contextmanager
def values_file(values: Values | None) -> Iterator[Path | None]:
    """The file of inputs: the one that was given, or arrays as one.

    Raises:
        PReLUToolsError: they cannot be written.
    """
    if values is None or isinstance(values, (str, os.PathLike)):
        yield None if values is None else Path(values)
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
