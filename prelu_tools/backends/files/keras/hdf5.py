"""HDF5 as Keras writes it: groups of variables, read carefully with h5py."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, explaining

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How every HDF5 file begins."""

_DEEPEST = 64
_MOST_OBJECTS = 1_000_000
_FLOATS = ("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2")
_MOST_EXPANSION = 100  # of compressed slopes


@dataclass(frozen=True)
class Variable:
    """A tensor of the file that has not been read."""

    path: str
    """Where it is in the file."""
    name: str | None
    """Its name in the model, as `alpha`; None if the file only numbers it."""
    shape: tuple[int, ...]
    """Its shape."""
    dtype: str
    """The numpy name of its type."""
    position: int
    """Where its header is in the file: objects written later come later, except in reused holes."""

    @property
    def size(self) -> int:
        """Its elements."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether it can be a slope or a weight."""
        return self.dtype in _FLOATS


@dataclass(frozen=True)
class Group:
    """The variables of one layer."""

    path: str
    """Where the layer is in the file; "" for the model itself."""
    name: str | None
    """The layer's name; None if the file does not say."""
    variables: tuple[Variable, ...]
    """In the layer's order."""


def _type_name(stored: Any, declared: Any) -> str:
    """The type of a dataset; h5py knows none of ml_dtypes', which Keras keeps the name of."""
    if declared is None or stored.kind != "V" or stored.fields is not None:
        return str(stored)
    return declared.decode("utf-8", "replace") if isinstance(declared, bytes) else str(declared)


class Hdf5:
    """An open file; errors of h5py are for `opened` to explain."""

    def __init__(self, file: Any, size: int) -> None:
        """Take an open `h5py.File`, and its size in bytes."""
        self._file = file
        self._size = size

    def attribute(self, path: str, name: str) -> Any:
        """An attribute of the object at a path, text decoded; None if there is none."""
        attributes = self._file[path].attrs
        if name not in attributes:
            return None
        value = attributes[name]
        return value.decode("utf-8") if isinstance(value, bytes) else value

    def texts(self, path: str, name: str) -> list[str]:
        """A list of texts; Keras spreads long ones over `name0`, `name1`..."""
        whole = self.attribute(path, name)
        parts = [whole] if whole is not None else []
        while (part := self.attribute(path, f"{name}{len(parts)}")) is not None:
            parts.append(part)
        found = [text for part in parts for text in np.asarray(part).reshape(-1).tolist()]
        return [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in found]

    def variable(self, path: str, name: str | None) -> Variable | None:
        """The dataset at a path; None if there is none."""
        import h5py

        dataset = self._file.get(path)
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            return None
        info = h5py.h5o.get_info(dataset.id)
        if info.fileno != h5py.h5o.get_info(self._file.id).fileno:
            return None  # a link may name any file on this machine
        declared = dataset.attrs.get("dtype")
        return Variable(
            path=path,
            name=name,
            shape=tuple(int(size) for size in dataset.shape),
            dtype=_type_name(dataset.dtype, declared),
            position=int(info.addr),
        )

    def variables(self) -> Iterator[Variable]:
        """Every dataset that is in the file itself, whatever its place and name."""
        import h5py

        for path in self._objects():
            if self._file.get(path, getclass=True) is h5py.Dataset:
                variable = self.variable(path, None)
                if variable is None and self._file[path].shape is not None:
                    raise ValueError(f"{path} is in another file")
                if variable is not None:
                    yield variable

    def _objects(self) -> Iterator[str]:
        """The path of every object, each once; the attributes of each are read on the way.

        Raises:
            ValueError: a link leads to another file, or there is no end.
        """
        import h5py

        waiting, seen = ["/"], set()
        while waiting:
            path = waiting.pop()
            found = self._file[path]
            address = int(h5py.h5o.get_info(found.id).addr)
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MOST_OBJECTS or path.count("/") > _DEEPEST:
                raise ValueError("its groups are nested without end")
            for name in found.attrs:
                found.attrs[name]
            yield path
            for key in found if isinstance(found, h5py.Group) else ():
                if found.get(key, getclass=True, getlink=True) is h5py.ExternalLink:
                    raise ValueError(f"{path}/{key} is a link to another file")
                waiting.append(f"{path.rstrip('/')}/{key}")

    def groups(self) -> list[Group]:
        """Every group `vars` of Keras 3, in the order of names."""
        import h5py

        found: list[Group] = []
        seen: set[int] = set()

        def visit(path: str, depth: int) -> None:
            group = self._file[path or "/"]
            address = int(h5py.h5o.get_info(group.id).addr)
            if address in seen:
                return
            seen.add(address)
            if depth > _DEEPEST or len(seen) > _MOST_OBJECTS:
                raise ValueError("its groups are nested without end")
            for key in group:
                inside = f"{path}/{key}" if path else str(key)
                if group.get(key, getclass=True, getlink=True) is not h5py.HardLink:
                    continue
                if group.get(key, getclass=True) is not h5py.Group:
                    continue
                if key == "vars":
                    found.append(self._variables(path, inside))
                else:
                    visit(inside, depth + 1)

        visit("", 0)
        return found

    def _variables(self, layer: str, path: str) -> Group:
        keys = sorted(self._file[path], key=lambda key: (len(key), key))  # 2 before 10
        variables = [self.variable(f"{path}/{key}", None) for key in keys]
        name = self.attribute(path, "name")
        return Group(
            layer, str(name) if name is not None else None, tuple(v for v in variables if v)
        )

    def read(self, variable: Variable) -> Array:
        """The values of a variable.

        Raises:
            ValueError: it declares more than the file holds, or is in another file.
        """
        dataset = self._file[variable.path]
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{variable.path} is in another file")
        most = self._size if dataset.chunks is None else self._size * _MOST_EXPANSION
        if variable.size * dataset.dtype.itemsize > most:
            raise ValueError(f"{variable.path} declares more than the file contains")
        values = np.asarray(dataset[()])
        if dataset.dtype.kind == "V" and variable.is_float:
            import ml_dtypes

            return values.view(getattr(ml_dtypes, variable.dtype))
        return values


def _refuse_two_formats(file: Path | BinaryIO) -> None:
    """HDF5 begins at the first byte, and the file is nothing else as well.

    Raises:
        ValueError: it does not, or is.
    """
    if not isinstance(file, Path):
        start = file.read(len(SIGNATURE))
        file.seek(0)
    else:
        with file.open("rb") as opened_file:
            start = opened_file.read(len(SIGNATURE))
        if start == SIGNATURE and zipfile.is_zipfile(file):
            raise ValueError("it is both an HDF5 file and a zip archive")
    if start != SIGNATURE:
        raise ValueError("it does not begin like an HDF5 file")


@contextmanager
def opened(file: Path | BinaryIO, label: str, size: int) -> Iterator[Hdf5]:
    """An HDF5 file, open within the block.

    Args:
        file: its path, or an open binary file.
        label: what to call it in errors.
        size: its bytes.

    Raises:
        MissingExtraError: h5py is not installed.
        PReLUToolsError: it is not HDF5, or is damaged; errors within the block included.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("h5py", "keras", f"to read {label}") from error
    with explaining(f"{label} cannot be read: it is not an HDF5 file, or it is damaged"):
        _refuse_two_formats(file)
        with h5py.File(file, "r") as inner:
            yield Hdf5(inner, size)
