"""The whole tool on real models: train, export, verify, inspect and optimize, in both frameworks.

    python samples/demo.py build/demo

Every command that it runs is printed as it would be typed. The commands run in this one process,
because importing TensorFlow again for each would take most of the time. Files go to the folder
given; nothing else is written.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from prelu_tools.backends.quiet import quiet
from prelu_tools.cli.main import run

HERE = Path(os.path.relpath(Path(__file__).parent))
TORCH = ("OneSlopeNet", "BlockNet", "PerChannel", "Mlp", "ConvNet32", "ConvNet32(shared=True)")
MTCNN = ("PNet", "RNet", "ONet")


def prelu_tools(*arguments: str) -> None:
    """Print a command, run it, and stop the demo where it does not exit 0."""
    print(f"\n$ prelu-tools {shlex.join(arguments)}", flush=True)
    code = run(list(arguments))
    if code != 0:
        raise SystemExit(code)


def heading(text: str) -> None:
    """Print the title of a section."""
    print(f"\n\n{text}\n{'=' * len(text)}", flush=True)


def digits(folder: Path) -> None:
    """Train the ConvNet with ReLU and PReLU, export what was trained, show what was learned."""
    heading("Keras: a ConvNet on digits, trained with ReLU and with PReLU")
    sys.path.insert(0, str(HERE))
    with quiet(show=False):
        import keras_digits

        keras_digits.convnet()  # what TensorFlow has to say, it says now

    arguments = ["--epochs", "3", "--limit", "2000", "--output-dir", str(folder)]
    print(f"\n$ python {HERE / 'keras_digits.py'} {shlex.join(arguments)}\n", flush=True)
    keras_digits.main(arguments)
    for name in ("prelu_from_0", "prelu_from_025"):
        model = str(folder / f"{name}.onnx")
        prelu_tools("export", str(folder / f"{name}.keras"), "-o", model, "--force")
        prelu_tools("inspect", model, "--report", f"json={folder / name}.json")


def torch_layers(folder: Path) -> None:
    """Export every PyTorch sample, and inspect one beside its source."""
    heading("PyTorch: one slope, one per channel, one per feature")
    for call in TORCH:
        name = call.replace("(shared=True)", "_shared").lower()
        source = f"{HERE / 'torch_layers.py'}:{call}"
        prelu_tools("export", source, "-o", str(folder / f"{name}.onnx"), "--force")
    prelu_tools("inspect", f"{HERE / 'torch_layers.py'}:ConvNet32")
    prelu_tools("inspect", str(folder / "convnet32.onnx"))


def mtcnn(folder: Path) -> None:
    """Export MTCNN's three nets from both frameworks, and compare each with the other."""
    heading("MTCNN with its trained weights: PyTorch compared with Keras")
    for net in MTCNN:
        sources = {f: f"{HERE / f'mtcnn_{f}.py'}:{net}" for f in ("torch", "keras")}
        models = {f: str(folder / f"{net.lower()}_{f}.onnx") for f in sources}
        for framework, source in sources.items():
            prelu_tools("export", source, "-o", models[framework], "--force")
        report = f"json={folder / net.lower()}_verify.json"
        prelu_tools(
            "verify", sources["torch"], sources["keras"], *models.values(), "--report", report
        )
    onet, fast = str(folder / "onet_torch.onnx"), str(folder / "onet_fast.onnx")
    prelu_tools("inspect", onet)
    report = f"json={folder / 'onet_fast.json'}"
    prelu_tools("optimize", onet, "-o", fast, "--tune-seconds", "5", "--report", report, "--force")


def main(arguments: Sequence[str]) -> int:
    """Run the demo; the one argument is the folder for its files."""
    folder = Path(arguments[0] if arguments else "build/demo")
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    digits(folder)
    torch_layers(folder)
    mtcnn(folder)
    n_files = len(list(folder.glob("*.onnx")))
    seconds = time.perf_counter() - start
    print(f"\n{n_files} ONNX files, their reports and curves.png are in {folder} ({seconds:.0f} s)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
