"""Vet a `.pt2` archive before torch loads it, with torch's own archive reader.

`torch.export.load` unpickles without restraint, loads compiled libraries and evaluates parts of the
graph as Python: a file from elsewhere can run whatever it likes. Only a graph of known operators,
tensors, and pickles that need nothing but tensors are accepted.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from prelu_tools.backends.files.isolated import run_isolated
from prelu_tools.backends.torch.files.program_text import code_in
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.limits import allowed_memory, is_bomb
from prelu_tools.core.files.pickles import in_words, wanted_by
from prelu_tools.core.files.plain_pickles import is_plain

_WEIGHTS, _CONSTANTS, _MODELS = "data/weights/", "data/constants/", "models/"
_SAMPLES = "data/sample_inputs/"
_PLAIN: Final = (
    _WEIGHTS, _CONSTANTS, _MODELS, _SAMPLES, "extra/", "archive_format", "archive_version",
    "byteorder", "version", ".data/", ".format_version",
)  # fmt: skip
_OLD: Final = ("serialized_exported_program.json", "serialized_state_dict.pt")
_LARGEST_TEXT: Final = 64 << 20
_TEXT_A_BYTE: Final = 8  # torch packs none of it
_LEAST_TEXT: Final = 4 << 20
_MARKS: Final = (b",", b":", b"[", b"{")
_BYTES_A_MARK: Final = 100  # that Python reads as a value of a document
_WIDENED: Final = 1 << 24  # elements that a tensor may have beyond what is stored
_PICKLE: Final = "data.pkl"
_SHOWN: Final = 80


class _Reader:
    """The records of an archive, as torch finds them."""

    def __init__(self, path: Path) -> None:
        self._archive = torch._C.PyTorchFileReader(str(path))
        self.file_size = path.stat().st_size
        self.size: Callable[[str], int]
        """How many bytes a record unpacks to."""
        if hasattr(self._archive, "get_record_size"):
            self.size = self._archive.get_record_size
        else:  # torch before 2.11; a record's name begins after the name of the archive
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
            self.size = {i.filename.partition("/")[2]: i.file_size for i in infos}.__getitem__
        self.names: list[str] = list(self._archive.get_all_records())

    def content(self, name: str) -> bytes:
        """One of them."""
        return bytes(self._archive.get_record(name))

    def document(self, name: str) -> Any:
        """One that is JSON, and takes no more memory than a file of this size may.

        Raises:
            ValueError: it is larger, or no JSON.
        """
        most = min(_LARGEST_TEXT, _LEAST_TEXT + _TEXT_A_BYTE * self.file_size)
        if self.size(name) > most:
            raise ValueError(f"{name} is larger than {most:,} bytes")
        text = self.content(name)
        if _BYTES_A_MARK * sum(map(text.count, _MARKS)) > allowed_memory(self.file_size):
            raise ValueError(f"{name} holds too many values")
        return json.loads(text)


def refuse_unsafe(path: Path) -> None:
    """Reject an archive that torch should not be given.

    Raises:
        PReLUToolsError: it would run code, takes too much time or memory, or is of an older kind
            that cannot be looked at.
        Exception: torch cannot read it; of any kind.
    """
    if zipfile.is_zipfile(path):  # torch falls back to this kind, with its own reader
        with zipfile.ZipFile(path) as archive:
            if any(name.rpartition("/")[2] in _OLD for name in archive.namelist()):
                raise _refused(path, "was written by torch before 2.8: export the program again")
    reader = _Reader(path)
    if not any(record.startswith(_MODELS) for record in reader.names):
        raise ValueError("there is no program in it")
    unpacked = sum(reader.size(record) for record in reader.names)
    if is_bomb(reader.file_size, unpacked):
        raise _refused(path, f"unpacks to {unpacked:,} bytes, like a zip bomb")
    for why in _faults(reader):
        raise _refused(path, f"{why}; use --allow-unsafe-load if you trust it")
    if not all(_is_plain(reader.content(record)) for record in _pickles(reader)):
        for why in run_isolated("prelu_tools.backends.torch.files.vetting:pickle_faults", path):
            raise _refused(path, f"{why}; use --allow-unsafe-load if you trust it")


def _refused(path: Path, why: str) -> PReLUToolsError:
    return PReLUToolsError(f"{path} is rejected: it {why}")


def _faults(reader: _Reader) -> Iterator[str]:
    """Faults of an archive other than its pickles, as the end of a sentence."""
    for record in reader.names:
        if not record.startswith(_PLAIN):
            yield f"contains {record[:_SHOWN]!r}, which may be compiled code"
    for record in reader.names:
        if record.startswith(_MODELS):
            for code in code_in(reader.document(record)):
                yield f"would have torch evaluate {code[:_SHOWN]!r} as code"
    for path, meta in _payloads(reader):
        name = str(meta["path_name"])
        if not name.startswith(("weight_", "tensor_")):
            wanted = in_words(wanted_by(reader.content(path)))
            yield f"would run {wanted} while loading {name[:_SHOWN]!r}"
        elif not meta["use_pickle"]:
            yield from _sizes(meta["tensor_meta"], reader.size(path))


def _payloads(reader: _Reader) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The records that the configurations name, each with what is said of it."""
    for record in reader.names:
        if record.startswith((_WEIGHTS, _CONSTANTS)) and record.endswith("_config.json"):
            folder = record.rpartition("/")[0]
            for meta in dict(reader.document(record)["config"]).values():
                yield f"{folder}/{meta['path_name']}", meta


def _pickles(reader: _Reader) -> Iterator[str]:
    """The records that torch unpickles."""
    models = [r.removeprefix(_MODELS).removesuffix(".json") for r in reader.names]
    legacy = {f"{folder}{name}.pt" for name in models for folder in (_WEIGHTS, _CONSTANTS)}
    for record in reader.names:
        if (record.startswith(_SAMPLES) or record in legacy) and reader.size(record):
            yield record
    yield from (path for path, meta in _payloads(reader) if meta["use_pickle"])


def _is_plain(content: bytes) -> bool:
    """Whether a pickle of torch's is nothing but names and tensors, each no larger than stored."""
    try:
        archive = torch._C.PyTorchFileReader(io.BytesIO(content))
        with zipfile.ZipFile(io.BytesIO(content)) as infos:
            unpacked = sum(info.file_size for info in infos.infolist())
        return unpacked <= len(content) and is_plain(bytes(archive.get_record(_PICKLE)))
    except Exception:
        return False


def pickle_faults(path: Path) -> list[str]:
    """Unpickle what torch would, in a process with limits (`files/isolated.py`).

    Returns:
        What the pickles would run, each as the end of a sentence.
    """
    reader = _Reader(path)
    return [fault for record in _pickles(reader) for fault in _pickled(reader, record)]


def _pickled(reader: _Reader, record: str) -> Iterator[str]:
    content = reader.content(record)
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:
        wanted = in_words(_wanted(content))
        yield f"would run {wanted} while loading {record.rpartition('/')[2][:_SHOWN]!r}"


def _sizes(meta: Mapping[str, Any], held: int) -> Iterator[str]:
    sizes = [size.get("as_int") for size in meta["sizes"]]
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError("a tensor has a size that is not a number")
    if math.prod(sizes) > held + _WIDENED:
        yield f"has a tensor of shape {sizes[:8]} with only {held:,} bytes of data"


def _wanted(content: bytes) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            return tuple(found for name in names for found in wanted_by(archive.read(name)))
    except Exception:
        return wanted_by(content)
