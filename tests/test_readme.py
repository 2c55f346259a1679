"""What the README shows is what the commands print; numbers may differ by machine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from shown import normal

from prelu_tools.cli.main import run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


@pytest.mark.torch
@pytest.mark.keras
@pytest.mark.real_models
def test_every_command_prints_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    blocks = _BLOCK.findall(README)
    assert len(blocks) >= 4
    for block in blocks:
        command, _, expected = block.partition("\n")
        assert command.startswith("$ prelu-tools ")
        code = run(shlex.split(command)[2:])
        printed = capfd.readouterr().out
        assert code == (3 if "cuda" in command else 0), command
        assert normal(printed) == normal(expected), command


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
    for code in ("| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 130 |"):
        assert code in README
    assert "{" not in re.sub(r"```.*?```", "", README, flags=re.DOTALL)
