"""A file that crashes its runtime costs the verdict, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from damaged import damaged_bytes
from running import cli
from runtime_files import save_ncnn_net
from tflite_files import save_prelu_net

from prelu_tools.backends.runtimes.litert.source import LiteRTSource
from prelu_tools.backends.runtimes.ncnn.source import NcnnSource
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


def test_layers_that_read_past_the_weights_end_ncnn_alone(tmp_path: Path) -> None:
    path = save_ncnn_net(tmp_path / "net.param")
    lines = path.read_text(encoding="utf-8").replace("in0 0=4\n", "in0 0=30000000\n")
    path.write_text(lines, encoding="utf-8")
    source = NcnnSource(path, "net", SourceOptions())
    inputs = {"in0": np.zeros((1, 30_000_000), np.float32)}
    with source.runner() as runner, pytest.raises(PReLUToolsError, match=r"^ncnn crashes on net"):
        runner.run(inputs)


def test_damaged_files_that_can_be_read_are_run_or_refused(tmp_path: Path) -> None:
    path = save_prelu_net(tmp_path / "net.tflite")
    whole = path.read_bytes()
    for seed in range(60):
        path.write_bytes(damaged_bytes(whole, seed))
        with suppress(PReLUToolsError):
            source = LiteRTSource(path, "net", SourceOptions())
            feeds = {s.name: np.ones((2, *s.example[1:]), s.dtype) for s in source.inputs()}
            with source.runner() as runner:
                runner.run(feeds)
