"""Records a model's slopes at a step, and warns; the same for every framework."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from prelu_tools.arguments import PathLike
from prelu_tools.backends.protocol.living import LayerState, LiveModel
from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.errors import MissingExtraError, UsageError
from prelu_tools.core.files.slope_log import as_line
from prelu_tools.core.prelu.movement import SlopeTrack
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.statistics import slope_health, slope_statistics
from prelu_tools.core.process.callers import level_of_caller
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord
from prelu_tools.training.ranks import is_first_process
from prelu_tools.training.rules import Seen, WarningRules
from prelu_tools.training.weights_and_biases import WandbRun, is_active

EVERY = 100
"""Steps from one record to the next, by default."""
MOST_SLOPES = 4096
"""Slopes of one layer that a record holds; of more, that many at even distances."""
LOG_NAME = "slopes.jsonl"


class SlopeWarning(UserWarning):
    """A warning about slopes during training; begins with a stable code."""


class _Sink(Protocol):
    def write(self, record: SlopeRecord) -> None: ...

    def close(self) -> None: ...


class Recorder:
    """Records the slopes of one model, in the first process of a training alone."""

    def __init__(
        self,
        folder: PathLike,
        every: int = EVERY,
        *,
        tensorboard: bool | None = None,
        wandb: bool | None = None,
    ) -> None:
        """Check the arguments; nothing is written yet.

        Args:
            folder: where `slopes.jsonl` and the files for TensorBoard go; it is made if need be.
            every: steps from one record to the next.
            tensorboard: whether to log to TensorBoard; None for yes, if it is installed.
            wandb: whether to log to the active run of W&B; None for yes, if there is one.

        Raises:
            UsageError: `every` is not a number of steps, or wandb is not installed.
            MissingExtraError: tensorboard is requested, and is not installed.
        """
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UsageError(f"every={every!r}: expected a number of steps, 1 or more")
        if tensorboard and find_spec("tensorboard") is None:
            raise MissingExtraError("tensorboard", "training", "to log to TensorBoard")
        if wandb and "wandb" not in sys.modules and find_spec("wandb") is None:
            raise UsageError("wandb is not installed, and wandb=True: pip install wandb")
        self.folder = Path(folder)
        self.every = every
        self._wants = {"tensorboard": tensorboard, "wandb": wandb}
        self._is_off = False
        self._sinks: list[_Sink] | None = None
        self._model: LiveModel | None = None
        self._tracks: list[SlopeTrack] = []
        self._rules: WarningRules | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the model is known, or cannot be."""
        return self._model is not None or self._is_off

    def begin(self, find: Callable[[], LiveModel]) -> None:
        """Take the model that a function finds; where it cannot, nothing is recorded."""
        try:
            self.take(find())
        except Exception as error:
            self._stop("not_read", f"the layers of the model cannot be found: {error}")

    def take(self, model: LiveModel) -> None:
        """Take the model whose slopes are to be recorded."""
        self._model = model
        self._tracks = [SlopeTrack() for _ in model.layers]
        self._rules = WarningRules(model.shows_gradients)
        for note in model.notes:
            self._warn("found_by_name", note)
        if not model.layers:
            self._warn("no_prelu", "the model has no PReLU layer: no slopes are recorded")

    def record(self, step: int) -> None:
        """Record all layers as they are after a number of optimizer steps.

        If something cannot be read or written, a warning is given and recording stops, but
        training goes on.

        Raises:
            UsageError: W&B is requested, and has no run.
        """
        model, rules = self._model, self._rules
        if model is None or rules is None or not model.layers or self._is_off:
            return
        try:
            states = model.look()
        except Exception as error:
            self._stop("not_read", f"slopes cannot be read (are they sharded?): {error}")
            return
        seen = []
        for layer, state, track in zip(model.layers, states, self._tracks, strict=True):
            track.add(state.slopes)
            seen.append(Seen(layer.name, state, track, state.slopes.dtype.name))
        findings = rules.findings(step, seen, model.negatives)
        layers = tuple(map(_layer_record, model.layers, states, self._tracks))
        record = SlopeRecord(step, time.time(), layers, tuple(findings))
        try:
            if self._sinks is None:
                self._sinks = self._open()
            for sink in self._sinks:
                sink.write(record)
        except OSError as error:
            self._stop("not_written", f"{self.folder} cannot be written: {error.strerror or error}")
        for finding in findings:
            self._warn(finding.code, finding.message, finding.layer)

    def close(self) -> None:
        """Close all files; a record after this opens them again."""
        for sink in self._sinks or ():
            with suppress(OSError):
                sink.close()
        self._sinks = None

    def _open(self) -> list[_Sink]:
        self.folder.mkdir(parents=True, exist_ok=True)
        sinks: list[_Sink] = [_LogFile(self.folder / LOG_NAME)]
        wanted = self._wants["tensorboard"]
        if wanted or (wanted is None and find_spec("tensorboard") is not None):
            from prelu_tools.training.events import EventFile

            sinks.append(EventFile(self.folder))
        wanted = self._wants["wandb"]
        if wanted or (wanted is None and is_active()):
            sinks.append(WandbRun())
        return sinks

    def _stop(self, code: str, why: str) -> None:
        self.close()
        self._is_off = True
        self._warn(code, f"{' '.join(why.split())}; slopes are no longer recorded")

    def _warn(self, code: str, message: str, layer: str | None = None) -> None:
        where = f" {layer}" if layer else ""
        warnings.warn(f"{code}{where}: {message}", SlopeWarning, stacklevel=level_of_caller())


def recorder_for(folder: PathLike, every: int, options: Mapping[str, Any]) -> Recorder | None:
    """A recorder in the first process of a training run; None in the others."""
    recorder = Recorder(folder, every, **options)  # in every process: all say what is wrong
    return recorder if is_first_process() else None


class _LogFile:
    """`slopes.jsonl`: a record a line, after those of the run that this one goes on from."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            _cut_torn_line(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: SlopeRecord) -> None:
        self._file.write(as_line(record))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    """Take off what a process that was killed wrote of its last record."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        start, found = end, -1
        while start and found < 0:
            start = max(0, start - 65536)
            file.seek(start)
            found = file.read(min(65536, end - start)).rfind(b"\n")
        file.truncate(start + found + 1)


def _layer_record(layer: PReLULayer, state: LayerState, track: SlopeTrack) -> LayerRecord:
    slopes = state.slopes
    return LayerRecord(
        name=layer.name,
        parameter=layer.parameter,
        form=layer.form,
        slopes=frozen(_some(slopes)),
        is_sampled=slopes.size > MOST_SLOPES,
        statistics=slope_statistics(slopes),
        health=slope_health(slopes),
        trends=track.trends(),
        movement=track.movements[-1],
        gradient=state.gradient,
        weight_decay=state.weight_decay,
        is_trained=state.is_trained,
    )


def _some(slopes: Array) -> Array:
    if slopes.size <= MOST_SLOPES:
        return slopes
    return slopes[np.linspace(0, slopes.size - 1, MOST_SLOPES).round().astype(np.int64)]
