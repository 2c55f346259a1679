"""Make torch run a module's Python code, which modes can observe, not its compiled code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch


@contextmanager
def as_python() -> Iterator[None]:
    """Within the block nothing is compiled, neither by the module nor by `torch.cond`."""
    dynamo = sys.modules.get("torch._dynamo")
    eager = dynamo.set_stance("force_eager") if dynamo is not None else nullcontext()

    def compiled(function: Any = None, **_options: Any) -> Any:
        return function if function is not None else lambda plain: plain

    with eager, scripted_as_python(), patch.object(torch, "compile", compiled):
        yield


@contextmanager
def scripted_as_python() -> Iterator[None]:
    """Within the block scripted functions run as the Python that they were made from."""
    kept: Any = torch.jit.ScriptFunction.__call__

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        plain = getattr(function, "_torchdynamo_inline", None)
        return kept(function, *args, **kwargs) if plain is None else plain(*args, **kwargs)

    with patch.object(torch.jit.ScriptFunction, "__call__", call):
        yield
