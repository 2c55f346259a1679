"""Where another process of this package finds its modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def import_path() -> list[str]:
    """This process' path, without the current folder: a file there is no module."""
    here = {"", ".", os.getcwd()}  # noqa: PTH109
    package = str(Path(__file__).resolve().parents[3])
    found = [place for place in sys.path if place not in here]
    return found if package in found else [*found, package]
