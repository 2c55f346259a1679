"""A small ONNX file, and what verify is asked of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from text_nets import save

from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.results.verification.candidate import ProviderReport

TENTHS = np.array([0.1, -0.3, 0.7], np.float32).reshape(3, 1, 1)
CPU = ProviderReport("cpu", ("CPUExecutionProvider",), ())


def small_net(folder: Path) -> Path:
    """One layer of three channels."""
    return save(folder / "net.onnx", "[act] y = PRelu(x, a)", a=TENTHS)


def request_of(reference: Path, *candidates: Path, **other: Any) -> VerifyRequest:
    """Without a search; `other` as the request's fields are called."""
    names = tuple(str(path) for path in candidates)
    return replace(VerifyRequest(str(reference), names, search_seconds=0.0), **other)
