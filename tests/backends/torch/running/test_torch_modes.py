"""Modes that watch operators do not load torch's compiler, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, environment

pytestmark = pytest.mark.torch

_SCRIPT = """
import sys
import torch
import prelu_tools

class Net(torch.nn.Sequential):
    def example_inputs(self):
        return (torch.zeros(1, 3),)

net = Net(torch.nn.Linear(3, 4), torch.nn.PReLU(4), torch.nn.Linear(4, 2))
result = prelu_tools.verify(net, net)
print(result.verdict, "torch._dynamo" in sys.modules)
"""


def test_verify_of_a_module_does_not_load_the_compiler(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)), check=False,
    )  # fmt: skip
    assert done.stdout == "pass False\n", done.stderr
