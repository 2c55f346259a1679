"""Watch slopes while they are learned: loggers for PyTorch, Lightning and Keras.

    from prelu_tools.training import TorchSlopeLogger, slope_parameter_groups

    optimizer = torch.optim.SGD(slope_parameter_groups(model, weight_decay=5e-4), lr=0.1)
    with TorchSlopeLogger(model, optimizer, "runs/slopes"):
        train()

Each logger writes statistics, health and every slope of each layer to a folder, once in `every`
steps: `slopes.jsonl`, which `prelu-tools inspect` shows as a series; event files for TensorBoard,
if it is installed; and to the active W&B run, if there is one. During training, it warns about
layers that do not move from their initial values, that leave [-1, 2], or that weight decay pulls to
0.

Importing this loads no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prelu_tools.core.process.lazily import lazy_names

if TYPE_CHECKING:
    from prelu_tools.training.decay import (
        exclude_slopes_from_weight_decay,
        slope_parameter_groups,
    )
    from prelu_tools.training.keras_callback import KerasSlopeLogger
    from prelu_tools.training.lightning_callback import LightningSlopeLogger
    from prelu_tools.training.recorder import SlopeWarning
    from prelu_tools.training.series import inspect_series
    from prelu_tools.training.torch_hook import TorchSlopeLogger

__all__ = [
    "KerasSlopeLogger",
    "LightningSlopeLogger",
    "SlopeWarning",
    "TorchSlopeLogger",
    "exclude_slopes_from_weight_decay",
    "inspect_series",
    "slope_parameter_groups",
]

_HOMES = {
    "KerasSlopeLogger": "keras_callback",
    "LightningSlopeLogger": "lightning_callback",
    "SlopeWarning": "recorder",
    "TorchSlopeLogger": "torch_hook",
    "exclude_slopes_from_weight_decay": "decay",
    "inspect_series": "series",
    "slope_parameter_groups": "decay",
}

if not TYPE_CHECKING:  # otherwise a type checker would accept any name
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
