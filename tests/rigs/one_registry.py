"""torch's exporter reads 500 functions of onnxscript again for each export: here, it does once."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any


def share_registry() -> None:
    """Give each export of this process its own copy of one registry of operators."""
    from torch.onnx._internal.exporter import _registration

    registry = _registration.ONNXRegistry
    made = cache(registry.from_torchlib)

    def shared(*version: Any, **named: Any) -> Any:
        found = copy.copy(made(*version, **named))
        found.functions = {name: list(each) for name, each in found.functions.items()}
        return found

    registry.from_torchlib = staticmethod(shared)
