"""The line of a model that calls a framework other than the one that it runs on."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

_FRAMEWORKS = {"tensorflow": "TensorFlow", "jax": "JAX"}
_LIBRARIES = {*_FRAMEWORKS, "keras", "torch", "prelu_tools", "optree", "functools", "contextlib"}


def call_outside(run: Callable[[], object]) -> tuple[str, str] | None:
    """Run a model, and look for the first line of its own code that calls another framework.

    Args:
        run: calls the model on PyTorch; may fail.

    Returns:
        The framework, and the line: `nets.py, line 7: return tf.where(x > 0, x, a * x)`; None if no
        such line ran.
    """
    found: list[tuple[str, str]] = []

    def look(frame: FrameType, event: str, _argument: Any) -> None:
        caller = frame.f_back
        if found or event != "call" or caller is None:
            return
        kind = _FRAMEWORKS.get(_package(frame))
        if kind is None or _package(caller) in _LIBRARIES:
            return
        file, line = caller.f_code.co_filename, caller.f_lineno
        text = linecache.getline(file, line).strip()
        found.append((kind, f"{Path(file).name}, line {line}: {text}"))

    kept = sys.getprofile()
    sys.setprofile(look)
    try:
        with suppress(Exception):
            run()
    finally:
        sys.setprofile(kept)
    return found[0] if found else None


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
