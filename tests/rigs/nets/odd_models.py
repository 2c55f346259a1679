"""Python sources that behave badly, and small files beside them: what a batch may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_models import save_dense

_ODD = '''
import ctypes
import os
import pathlib
import time


def segfault():
    ctypes.string_at(0)


def leaves():
    os._exit(7)


def sleeps():
    pathlib.Path({ready!r}).touch()
    time.sleep(600)


def hungry():
    held = bytearray(900_000_000)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(600)


def waits():
    """Fails, but only when it is told to."""
    pathlib.Path({ready!r}).touch()
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.02)
    raise RuntimeError("it went on")
'''


class Odd:
    """A folder with `odd.py` and small ONNX files."""

    def __init__(self, folder: Path) -> None:
        """Write the source."""
        self.folder = folder
        self.ready = folder / "ready"
        self.go = folder / "go"
        (folder / "odd.py").write_text(_ODD.format(ready=str(self.ready), go=str(self.go)))

    def source(self, name: str) -> str:
        """One of the functions."""
        return f"{self.folder}/odd.py:{name}"

    def nets(self, number: int, below: str = "nets") -> list[Path]:
        """So many ONNX files whose slopes differ, in a folder of their own."""
        folder = self.folder / below
        folder.mkdir(exist_ok=True)
        return [
            save_dense(folder / f"net{i}.onnx", slopes=(i / 8, -0.5, 1.5)) for i in range(number)
        ]


def results(path: Path) -> list[dict[str, Any]]:
    """The results in a file of results."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == "batch-result"]


def by_status(document: Any) -> dict[str, str]:
    """The status of each model of a JSON report, by its name's last part."""
    return {run["name"].rpartition("/")[2]: run["status"] for run in document["models"]}


def documents(document: Any) -> list[Any]:
    """Each model's own document in a JSON report."""
    return [model["document"] for model in document["models"]]
