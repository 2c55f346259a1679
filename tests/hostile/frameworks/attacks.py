"""Objects and files that make a marker when something in them is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz.corpus import SEEDS

NET = SEEDS / "functional.keras"
OLD = SEEDS / "functional.h5"


class Attack:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._marker),)


def pickled(marker: Path, protocol: int = 2) -> bytes:
    """The attack as a pickle."""
    return pickle.dumps(Attack(marker), protocol)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a zip archive; each member is what `change` makes of it, or gone."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = change(info.filename, old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
    return target


def with_json(ending: str, change: Callable[[Any], Any]) -> Callable[[str, bytes], bytes]:
    """For `rewritten`: the JSON document whose name ends so, changed in place."""

    def changed(name: str, content: bytes) -> bytes:
        if not name.endswith(ending):
            return content
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return changed


def torch_saved(value: object) -> bytes:
    """What `torch.save` writes."""
    import torch

    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


def configured(target: Path, change: Callable[[Any], Any]) -> Path:
    """A Keras file, of the format that its name says, whose configuration is another."""
    import h5py

    if target.suffix == ".keras":
        return rewritten(NET, target, with_json("config.json", change))
    target.write_bytes(OLD.read_bytes())
    with h5py.File(target, "r+") as file:
        document = json.loads(file.attrs["model_config"])
        change(document)
        file.attrs["model_config"] = json.dumps(document)
    return target
