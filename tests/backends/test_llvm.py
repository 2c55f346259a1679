"""triton and TensorFlow in one process: in one order only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from running import environment

_SCRIPT = """
import sys
if sys.argv[1] == "late":
    import tensorflow
from prelu_tools.backends.llvm import load_triton_first
load_triton_first()
import tensorflow
try:
    import triton
except ImportError:
    triton = None
print("order", [n for n in sys.modules if n in ("tensorflow", "triton._C.libtriton")], triton)
"""


def _order(when: str, folder: Path) -> str:
    """What a process with packages of these names imports; the real ones crash."""
    (folder / "triton" / "_C").mkdir(parents=True)
    for path in ("triton/__init__.py", "triton/_C/__init__.py", "triton/_C/libtriton.py"):
        (folder / path).write_text("")
    (folder / "tensorflow.py").write_text("")
    script = f"import sys; sys.path.insert(0, {str(folder)!r})\n{_SCRIPT}"
    found = subprocess.run(
        [sys.executable, "-c", script, when],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    return found.stdout


def test_triton_is_loaded_before_tensorflow(tmp_path: Path) -> None:
    words = _order("early", tmp_path)
    assert words.startswith("order ['triton._C.libtriton', 'tensorflow']")


def test_where_tensorflow_is_there_triton_stays_out(tmp_path: Path) -> None:
    assert _order("late", tmp_path) == "order ['tensorflow'] None\n"
