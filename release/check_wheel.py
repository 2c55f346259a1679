"""Use an installed prelu-tools that has nothing but its base dependencies.

    python release/check_wheel.py      (with the Python of that environment, anywhere but here)

What needs no framework works; all else ends with exit code 3 and the line that installs it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

EXTRAS = ("torch", "tensorflow", "keras", "tf2onnx", "onnxscript", "safetensors", "h5py",
          "matplotlib", "distributed")  # fmt: skip
WORKS = ("--help", "--version", "export --help", "inspect net.onnx", "verify net.onnx net.onnx",
         "inspect net.onnx --report html=net.html --report json=net.json",
         "export net.onnx -o out.onnx", "optimize net.onnx -o fast.onnx --no-tune", "doctor",
         "inspect net.onnx net.onnx")  # fmt: skip
MISSING = {
    "export nets.py:TorchNet -o x.onnx": "torch",
    "export nets.py:keras_net -o x.onnx": "keras",
    "inspect nets.py:TorchNet": "torch",
    "verify nets.py:keras_net net.onnx": "keras",
    "inspect net.onnx --plot net.png": "plot",
    "export net.pt2 -o x.onnx": "torch",
    "inspect net.pt": "torch",
    "inspect net.h5": "keras",
    "export net.keras -o x.onnx": "keras",
}
_NETS = """
def TorchNet():
    import torch
    return torch.nn.PReLU()

def keras_net():
    import keras
    return keras.Sequential([keras.layers.PReLU()])
"""


def _model(path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    values = [helper.make_tensor_value_info(name, 1, ["N", 3, 8, 8]) for name in "xy"]
    slopes = numpy_helper.from_array(np.float32([[[0.25]], [[-0.5]], [[1.5]]]), "a")
    node = helper.make_node("PRelu", ["x", "a"], ["y"], name="act")
    graph = helper.make_graph([node], "net", values[:1], values[1:], [slopes])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def _run(folder: Path, line: str) -> tuple[int, str]:
    program = Path(sys.executable).with_name("prelu-tools")
    done = subprocess.run(
        [program, *line.split()], capture_output=True, text=True, cwd=folder, check=False
    )
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


def main() -> int:
    """Try everything; the exit code is 0 if all came as it should."""
    present = [name for name in EXTRAS if importlib.util.find_spec(name) is not None]
    problems = [f"{name} is installed: this is no empty environment" for name in present]
    n_lines = 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _model(folder / "net.onnx")
        (folder / "nets.py").write_text(_NETS)
        for name in ("net.pt2", "net.pt", "net.h5", "net.keras"):
            (folder / name).write_bytes(b"PK\x03\x04" + bytes(60))
        for line in WORKS:
            code, said = _run(folder, line)
            n_lines += 1
            if code != 0:
                problems.append(f"{line}: exit {code}, expected 0: {said}")
        for line, extra in MISSING.items():
            code, said = _run(folder, line)
            n_lines += 1
            if code != 3 or "Traceback" in said or f"prelu-tools[{extra}]" not in said:
                problems.append(f"{line}: exit {code}, expected 3 and [{extra}]: {said}")
    version = importlib.metadata.version("prelu-tools")
    print("\n".join(problems) or f"prelu-tools {version}: {n_lines} command lines as expected")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
