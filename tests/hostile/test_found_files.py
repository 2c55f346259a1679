"""Files that once ended in a traceback, a hang or worse: each is read or refused in a sentence.

They came out of `make fuzz-files` and `make fuzz`; what breaks an invariant there is put here.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from running import cli

from fuzz.corpus import KINDS
from fuzz.models import MODELS
from fuzz.worker import commands_for, prepare

FOUND = Path(__file__).parent / "found"
NEEDED = {".keras": "h5py", ".h5": "h5py", ".weights.h5": "h5py", ".pt": "torch", ".pt2": "torch",
          ".safetensors": "safetensors"}  # fmt: skip


def _kind(path: Path) -> str:
    return max((kind for kind in (*KINDS, *MODELS) if path.name.endswith(kind)), key=len)


@pytest.mark.parametrize("path", sorted(FOUND.iterdir()), ids=lambda path: path.name)
def test_a_file_that_broke_something(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = _kind(path)
    if kind in NEEDED and importlib.util.find_spec(NEEDED[kind]) is None:
        pytest.skip(f"{NEEDED[kind]} is not installed")
    file = tmp_path / ("prelu-tools.toml" if kind == ".toml" else f"case{kind}")
    shutil.copy(path, file)
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in commands_for(kind, file):
        found = cli(*(argument for argument in command if argument != "-v"))
        assert found.code in (0, 1, 2, 3)
        assert found.words
        assert "This is a bug" not in found.words
        assert "Traceback" not in found.words
        assert "\x1b" not in found.out + found.err
