"""`.keras`: the zip archive of Keras 3, read according to its configuration."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from prelu_tools.backends.files.keras.hdf5 import SIGNATURE, Group, Hdf5, opened
from prelu_tools.backends.files.keras.layers import Entry, is_entry, is_state, leaves_of
from prelu_tools.backends.files.keras.slopes import read_slopes
from prelu_tools.backends.files.source import Contents, source_of, told_by_names
from prelu_tools.core.errors import PReLUToolsError, explaining
from prelu_tools.core.files.archives import faults_of
from prelu_tools.core.files.limits import is_bomb

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Source
    from prelu_tools.core.options import SourceOptions

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_IN_MEMORY = 64 << 20  # bytes of weights; more go to a temporary file
_LARGEST_JSON = 16 << 20  # as Python objects it takes twenty times as much


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read a `.keras` archive, in its own process.

    Raises:
        PReLUToolsError: it is not such a archive, or damaged.
    """
    return source_of("prelu_tools.backends.files.keras.archive:read", path, label, "keras")


def read(path: Path) -> Contents:
    """What an archive says about its slopes.

    Raises:
        MissingExtraError: h5py is not installed.
        PReLUToolsError: it is not such a archive, or damaged.
    """
    with _opened_archive(path) as archive:
        root = _json(archive, _CONFIG, path)
        if not is_entry(root):
            raise PReLUToolsError(f"{path} is not a Keras archive: its {_CONFIG} has no model")
        version = _version(archive, path)
        with _weights(archive, path) as weights:
            size = archive.getinfo(_WEIGHTS).file_size
            with opened(weights, f"{path} ({_WEIGHTS})", size) as file:
                return describe(file, file.groups(), root, version)


def read_config(path: Path) -> Mapping[str, Any]:
    """The configuration of an archive's model.

    Raises:
        PReLUToolsError: it is not such a archive, or damaged.
    """
    with _opened_archive(path) as archive:
        return _json(archive, _CONFIG, path)


def read_version(path: Path) -> str:
    """The version of Keras that wrote an archive; "" if it does not say.

    Raises:
        PReLUToolsError: it is not such a archive, or damaged.
    """
    with _opened_archive(path) as archive:
        return _version(archive, path)


@contextmanager
def open_weights(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file of weights in an archive, and its size.

    Raises:
        PReLUToolsError: it is not such a archive, or damaged; errors within the block included.
    """
    with _opened_archive(path) as archive, _weights(archive, path) as weights:
        yield weights, archive.getinfo(_WEIGHTS).file_size


@contextmanager
def _opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with explaining(f"{path} cannot be read as a Keras archive"):
        try:
            with zipfile.ZipFile(path) as archive:
                _refuse_odd(archive, path)
                yield archive
        except zipfile.BadZipFile as error:
            raise PReLUToolsError(_no_archive(path, error)) from error


def describe(file: Hdf5, groups: Sequence[Group], root: Entry, version: str) -> Contents:
    """The slopes of a model whose configuration is known.

    Args:
        file: where the weights are.
        groups: the variables of each layer.
        root: the model as Keras serializes it.
        version: of Keras; "" if it is not known.
    """
    leaves = leaves_of(root, groups)
    found = read_slopes(file, leaves)
    notes = []
    if hiding := sorted({leaf.hidden_in for leaf in leaves if leaf.hidden_in}):
        notes.append(
            f"the file does not say which layers {', '.join(hiding)} contains: those with "
            "weights were identified by name and shape, in file order"
        )
    if found.told:
        notes.append(told_by_names(found.told, "their classes are not Keras' own"))
    return Contents(
        framework="keras",
        producer=f"keras {version}".strip(),
        n_parameters=count_parameters(groups),
        layers=found.layers,
        notes=tuple(notes),
        has_model=True,
    )


def _version(archive: zipfile.ZipFile, path: Path) -> str:
    known = _METADATA in archive.namelist()
    return str(_json(archive, _METADATA, path).get("keras_version") or "") if known else ""


def count_parameters(groups: Sequence[Group]) -> int:
    """Elements of all weights, as `model.weights` has them."""
    weights = [group for group in groups if not is_state(group)]
    return sum(variable.size for group in weights for variable in group.variables)


@contextmanager
def _weights(archive: zipfile.ZipFile, path: Path) -> Iterator[BinaryIO]:
    """A copy of the weights that can be read in any order; their checksum is verified."""
    size = _checked_size(archive, _WEIGHTS, path)
    with io.BytesIO() if size <= _IN_MEMORY else tempfile.TemporaryFile() as copy:
        with archive.open(_WEIGHTS) as member:
            shutil.copyfileobj(member, copy, 1 << 20)
        copy.seek(0)
        yield copy


def _json(archive: zipfile.ZipFile, name: str, path: Path) -> Mapping[str, Any]:
    if _checked_size(archive, name, path) > _LARGEST_JSON:
        raise PReLUToolsError(
            f"{path} is rejected: its {name} is larger than {_LARGEST_JSON:,} bytes"
        )
    found = json.loads(archive.read(name))
    if not isinstance(found, dict):
        raise PReLUToolsError(f"{path} is not a Keras archive: its {name} is not a JSON object")
    return found


def _checked_size(archive: zipfile.ZipFile, name: str, path: Path) -> int:
    try:
        return archive.getinfo(name).file_size
    except KeyError as error:
        raise PReLUToolsError(
            f"{path} is not a Keras archive: it has no {name} (expected {_CONFIG}, {_METADATA} and "
            f"{_WEIGHTS}, as model.save writes them)"
        ) from error


def _refuse_odd(archive: zipfile.ZipFile, path: Path) -> None:
    """Reject an archive that can be read in two ways, reaches outside, or is a bomb.

    Weights hardly compress: an archive that unpacks to more than weights can does not contain any.
    """
    size = path.stat().st_size
    for fault in faults_of(archive, path):
        raise PReLUToolsError(f"{path} is rejected: {fault}")
    others = [n for n in archive.namelist() if n.startswith("model.weights") and n != _WEIGHTS]
    if others:
        raise PReLUToolsError(f"{path} is rejected: it also has weights in {others[0]!r}")
    unpacked = sum(info.file_size for info in archive.infolist())
    if is_bomb(size, unpacked):
        raise PReLUToolsError(
            f"{path} is rejected: it unpacks from {size:,} to {unpacked:,} bytes, like a zip bomb"
        )


def _no_archive(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(len(SIGNATURE))
    if start == SIGNATURE:
        return f"{path} is an HDF5 file, not a Keras archive: rename it to {path.stem}.h5"
    return (
        f"{path} cannot be read as a Keras archive: it is not a zip file, or is damaged ({error})"
    )
