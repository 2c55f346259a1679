"""`verify` against the script that people write by hand: whole processes, as ratios in one run.

    python benchmarks/verify_speed.py

RNet (trained, from PyTorch) and its export. The script imports torch and onnxruntime, runs both and
calls allclose. Runs are interleaved; medians against the script's. The search for inputs is left
out, because it depends on how many slopes are left (`--search-seconds 0`).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = f"{ROOT / 'samples' / 'mtcnn_torch.py'}:RNet"
REPEATS = 9
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import onnxruntime
import torch
from mtcnn_torch import RNet

net = RNet().eval()
x = np.random.default_rng(0).random((16, 3, 24, 24), dtype=np.float32)
with torch.no_grad():
    expected = [y.numpy() for y in net(torch.from_numpy(x))]
session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
found = session.run(None, {session.get_inputs()[0].name: x})
for a, b in zip(expected, found, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
"""


def seconds(command: list[str]) -> float:
    """Wall time of one process, which has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print a Markdown table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    tool = str(Path(sys.executable).parent / "prelu-tools")
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "rnet.onnx")
        subprocess.run([tool, "export", SOURCE, "-o", model, "-q"], check=True)
        verify = [tool, "verify", SOURCE, model, "--search-seconds", "0"]
        plain = ["--no-power", "--tolerance", "1e-3,1e-5"]
        commands = {
            "script": [sys.executable, "-c", SCRIPT, str(ROOT / "samples"), model],
            "verify, no power, float32": [*verify, *plain],
            "verify, power and float64": verify,
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(REPEATS + 1):
            for name, command in commands.items():
                taken = seconds(command)
                times[name] += [taken] if turn else []
    base = statistics.median(times["script"])
    print("| RNet, whole process | wall, script = 1 |\n|---|---:|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values) / base:.2f} |")


if __name__ == "__main__":
    main()
