"""Look at a `.pt2` archive before torch loads it, with torch's own reader of archives.

`torch.export.load` unpickles without restraint, loads compiled libraries and evaluates parts of
the graph as Python: a file from elsewhere can run whatever it likes. What is let through here is a
graph of known operators, tensors, and pickles that need nothing but tensors.
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

from prelu_tools.backends.torch.files.program_text import code_in
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.limits import is_bomb
from prelu_tools.core.files.pickles import in_words, wanted_by

_WEIGHTS, _CONSTANTS, _MODELS = "data/weights/", "data/constants/", "models/"
_SAMPLES = "data/sample_inputs/"
_PLAIN: Final = (
    _WEIGHTS, _CONSTANTS, _MODELS, _SAMPLES, "extra/", "archive_format", "archive_version",
    "byteorder", "version", ".data/", ".format_version",
)  # fmt: skip
_OLD: Final = ("serialized_exported_program.json", "serialized_state_dict.pt")
_LARGEST_TEXT: Final = 64 << 20
_WIDENED: Final = 1 << 24  # elements that a tensor may have beyond what is stored
_SHOWN: Final = 80


class _Reader:
    """The records of an archive, as torch finds them."""

    def __init__(self, path: Path) -> None:
        self._archive = torch._C.PyTorchFileReader(str(path))
        self.size: Callable[[str], int]
        """How many bytes a record unpacks to."""
        if hasattr(self._archive, "get_record_size"):
            self.size = self._archive.get_record_size
        else:  # torch before 2.11; a record's name begins behind the name of the archive
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
            self.size = {i.filename.partition("/")[2]: i.file_size for i in infos}.__getitem__

    def names(self) -> list[str]:
        """All of them."""
        return list(self._archive.get_all_records())

    def content(self, name: str) -> bytes:
        """One of them."""
        return bytes(self._archive.get_record(name))


def refuse_unsafe(path: Path) -> None:
    """Reject an archive that torch should not be given.

    Raises:
        PReLUToolsError: it would run code, unpacks to too much, or is of an older kind that cannot
            be looked at.
        Exception: torch cannot read it; of any kind.
    """
    if zipfile.is_zipfile(path):  # torch falls back to this kind, with a reader of its own
        with zipfile.ZipFile(path) as archive:
            if any(name.rpartition("/")[2] in _OLD for name in archive.namelist()):
                raise _refused(path, "was written by torch before 2.8: export the program anew")
    reader = _Reader(path)
    records = reader.names()
    if not any(record.startswith(_MODELS) for record in records):
        raise ValueError("there is no program in it")
    unpacked = sum(reader.size(record) for record in records)
    if is_bomb(path.stat().st_size, unpacked):
        raise _refused(path, f"unpacks to {unpacked:,} bytes, as only a zip bomb does")
    for why in _faults(reader, records):
        raise _refused(path, f"{why}; give --allow-unsafe-load if you trust it")


def _refused(path: Path, why: str) -> PReLUToolsError:
    return PReLUToolsError(f"{path} is refused: it {why}")


def _faults(reader: _Reader, records: list[str]) -> Iterator[str]:
    """What is wrong with an archive, as the end of a sentence."""
    for record in records:
        if not record.startswith(_PLAIN):
            yield f"holds {record[:_SHOWN]!r}, which may be compiled code"
    for record in records:
        if record.startswith(_SAMPLES) or record in _legacy(records):
            yield from _pickled(reader.content(record), record)
        elif record.startswith((_WEIGHTS, _CONSTANTS)) and record.endswith("_config.json"):
            yield from _payloads(reader, record)
        elif record.startswith(_MODELS):
            document = _json(reader, record)
            for code in code_in(document):
                yield f"would have torch evaluate {code[:_SHOWN]!r} as code"


def _legacy(records: list[str]) -> set[str]:
    """Weights and constants of a model as one pickle."""
    names = {
        r.removeprefix(_MODELS).removesuffix(".json") for r in records if r.startswith(_MODELS)
    }
    return {f"{folder}{name}.pt" for name in names for folder in (_WEIGHTS, _CONSTANTS)} & set(
        records
    )


def _json(reader: _Reader, record: str) -> Any:
    if reader.size(record) > _LARGEST_TEXT:
        raise ValueError(f"{record} is larger than {_LARGEST_TEXT:,} bytes")
    return json.loads(reader.content(record))


def _payloads(reader: _Reader, record: str) -> Iterator[str]:
    """The tensors of a configuration: stored as they are, and not larger than that."""
    folder = record.rpartition("/")[0]
    document = _json(reader, record)
    for meta in dict(document["config"]).values():
        name = str(meta["path_name"])
        if not name.startswith(("weight_", "tensor_")):
            content = reader.content(f"{folder}/{name}")
            yield f"would run {in_words(wanted_by(content))}, as it loads {name[:_SHOWN]!r}"
        elif meta["use_pickle"]:
            yield from _pickled(reader.content(f"{folder}/{name}"), name)
        else:
            yield from _sizes(meta["tensor_meta"], reader.size(f"{folder}/{name}"))


def _sizes(meta: Mapping[str, Any], held: int) -> Iterator[str]:
    sizes = [size.get("as_int") for size in meta["sizes"]]
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError("a tensor has a size that is no number")
    if math.prod(sizes) > held + _WIDENED:
        yield f"has a tensor of shape {sizes[:8]}, of which {held:,} bytes are stored"


def _pickled(content: bytes, record: str) -> Iterator[str]:
    """A pickle that torch would load whatever it wants to run."""
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:
        wanted = in_words(_wanted(content))
        yield f"would run {wanted}, as it loads {record[:_SHOWN]!r}"


def _wanted(content: bytes) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            return tuple(found for name in names for found in wanted_by(archive.read(name)))
    except Exception:
        return wanted_by(content)
