"""`.safetensors`: tensors by name, read one by one, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (numpy knows bfloat16 by name from here on)
from safetensors import safe_open

from prelu_tools.backends.files.named_weights import NamedTensors, contents_of
from prelu_tools.backends.files.naming import natural, strip_prefixes
from prelu_tools.backends.files.source import FileSource
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import explaining
from prelu_tools.core.options import SourceOptions

_READABLE = ("F64", "F32", "F16", "BF16")


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read the header of a file, and the tensors that are slopes.

    Raises:
        PReLUToolsError: it is not such a file, or damaged.
    """
    with (
        explaining(f"{path} cannot be read: it is not a safetensors file, or it is damaged"),
        safe_open(path, framework="np") as file,
    ):
        return FileSource(label, contents_of(_Safetensors(file)))


class _Safetensors(NamedTensors):
    """The tensors of an open file; it keeps no order of its own, so names are sorted."""

    def __init__(self, file: Any) -> None:
        stored = sorted(file.keys(), key=natural)
        self._stored, prefixes = strip_prefixes({name: name for name in stored})
        self.producer = "safetensors"
        self.ordered = False
        self.unwrapped = tuple(prefixes)
        self._file = file
        self._slices = {name: file.get_slice(key) for name, key in self._stored.items()}

    def names(self) -> list[str]:
        """See `NamedTensors.names`: sorted, numbers by value."""
        return list(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `NamedTensors.shape`."""
        return tuple(self._slices[name].get_shape())

    def is_float(self, name: str) -> bool:
        """See `NamedTensors.is_float`: 8-bit floats are weights at most."""
        return self._slices[name].get_dtype() in _READABLE

    def read(self, name: str) -> Array:
        """See `NamedTensors.read`."""
        values: Array = self._file.get_tensor(self._stored[name])
        return values
