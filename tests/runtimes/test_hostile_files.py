"""A file that crashes its runtime costs the verdict, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from damaged import damaged_bytes
from running import cli
from tflite_files import save_prelu_net

from prelu_tools.backends.litert.source import LiteRTSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

pytestmark = pytest.mark.runtimes
_CRASHES = 20  # a seed whose file ai-edge-litert 2.3.0 does not survive


def test_a_file_that_crashes_the_interpreter_is_no_verdict(tmp_path: Path) -> None:
    right = save_prelu_net(tmp_path / "right.tflite")
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(damaged_bytes(right.read_bytes(), _CRASHES))
    found = cli("verify", right, wrong, "--samples", "2")
    assert found.code == 3, found.words
    assert "LiteRT crashes on" in found.words


def test_damaged_files_that_can_be_read_are_run_or_refused(tmp_path: Path) -> None:
    import numpy as np

    path = save_prelu_net(tmp_path / "net.tflite")
    whole = path.read_bytes()
    for seed in range(60):
        path.write_bytes(damaged_bytes(whole, seed))
        with suppress(PReLUToolsError):
            source = LiteRTSource(path, "net", SourceOptions())
            feeds = {s.name: np.ones((2, *s.example[1:]), s.dtype) for s in source.inputs()}
            with source.runner() as runner:
                runner.run(feeds)
