"""PyTorch: live modules, with weights from state dicts; converted by torch.onnx (dynamo)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import nn

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.torch.files.weights import load_weights
from prelu_tools.backends.torch.prepare import initialise, prepared, unwrapped
from prelu_tools.backends.torch.source import TorchSource
from prelu_tools.core.options import SourceOptions


def from_object(model: object, label: str, weights: Path | None, options: SourceOptions) -> Source:
    """Take a live module, and load its weights where a file is given.

    Raises:
        PReLUToolsError: the weights cannot be read, or do not fit.
    """
    module, notes = unwrapped(cast(nn.Module, model), label)
    if weights is not None:
        notes += load_weights(module, weights, options.allow_unsafe_load)
    initialise(module, label, options)
    ready = prepared(module)
    ready = replace(ready, notes=notes + ready.notes)
    return TorchSource(ready.module, label, options, ready)
