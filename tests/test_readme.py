"""What the README shows is what the commands print; numbers may differ by machine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from page import agree, blocks_of, commands_of

from prelu_tools.cli.main import run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.torch
@pytest.mark.keras
@pytest.mark.real_models
def test_every_command_prints_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    blocks = [block for block in blocks_of(README) if block.language == "console"]
    assert len(blocks) >= 4
    for block in blocks:
        ((command, expected),) = commands_of(block)
        assert command.startswith("prelu-tools ")
        assert run(shlex.split(command)[1:]) == 0, command
        printed = capfd.readouterr().out
        assert not expected or agree(expected, printed), command


@pytest.mark.torch
def test_the_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 4, 3, stride=4), nn.PReLU(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.conv(x))

    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(block, {"net": Net()})
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx", "fast.onnx"}


def test_the_readme_names_every_command_and_exit_code() -> None:
    for word in ("export", "verify", "inspect", "optimize", "doctor", "make demo", "make test"):
        assert word in README
    (codes,) = re.findall(r"^## Exit codes\n\n(.*?)\n\n", README, re.DOTALL | re.MULTILINE)
    assert re.findall(r"\b(\d): ", codes) == ["0", "1", "2", "3"]


def test_a_reader_decides_within_30_lines() -> None:
    head = README.splitlines()[:30]
    for word in ("![", "prelu-tools export", "prelu-tools verify", "**Why.**", "pip install"):
        assert any(word in line for line in head), word
    assert len(README.splitlines()) < 165
