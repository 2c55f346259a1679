"""Records of slopes for the active run of W&B."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord
from prelu_tools.training.events import binned

_STEP = "slopes/step"


def is_active() -> bool:
    """Whether the program uses W&B, and has a run."""
    module = sys.modules.get("wandb")
    return module is not None and getattr(module, "run", None) is not None


class WandbRun:
    """Logs to the active run, with their own x-axis: the program's own steps stay as they are."""

    def __init__(self) -> None:
        """Take the active run.

        Raises:
            UsageError: wandb is not installed, or there is no run.
        """
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise UsageError("wandb is not installed, and wandb=True: pip install wandb") from error
        if wandb.run is None:
            raise UsageError("W&B has no active run: call wandb.init() before training starts")
        self._wandb: Any = wandb
        self._run: Any = wandb.run
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("slopes/*", step_metric=_STEP)

    def write(self, record: SlopeRecord) -> None:
        """Log a record."""
        values: dict[str, Any] = {_STEP: record.step}
        for layer in record.layers:
            values |= self._values(layer)
        self._run.log(values)
        for finding in record.findings:
            title = f"{finding.code} {finding.layer or ''}".rstrip()
            self._run.alert(title=title, text=finding.message)

    def close(self) -> None:
        """The run belongs to the program, and stays open."""

    def _values(self, layer: LayerRecord) -> dict[str, Any]:
        statistics, name = layer.statistics, layer.name
        values: dict[str, Any] = {
            f"slopes/{name}/mean": statistics.mean,
            f"slopes/{name}/min": statistics.min,
            f"slopes/{name}/max": statistics.max,
            f"slopes/{name}/negative_share": statistics.n_negative / statistics.count,
            f"slopes/{name}/change": layer.movement.max_change,
            f"slopes/{name}/gradient": layer.gradient,
        }
        finite = layer.slopes[np.isfinite(layer.slopes)].astype(np.float64)
        if finite.size:
            counts, edges = binned(finite)
            pair = (counts.tolist(), edges.tolist())
            values[f"slopes/{name}/histogram"] = self._wandb.Histogram(np_histogram=pair)
        return {key: value for key, value in values.items() if value is not None}
