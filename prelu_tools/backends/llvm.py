"""Import Triton before TensorFlow: both contain LLVM, and in the other order the process crashes.

torch's CUDA build includes triton, which torch imports with its compiler and `torch.export`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec


def load_triton_first() -> None:
    """Load what triton brings, if it is installed, before anything may import TensorFlow.

    Where TensorFlow is there already, triton is kept out of the process: torch does without it on
    a CPU.
    """
    if "triton" in sys.modules or find_spec("triton") is None:
        return
    if "tensorflow" in sys.modules:
        sys.modules["triton"] = None  # type: ignore[assignment]  # an import of it fails cleanly
        return
    with suppress(ImportError):
        import_module("triton._C.libtriton")
