"""A logger for `model.fit` of Keras."""

from __future__ import annotations

from typing import Any

from prelu_tools.arguments import PathLike
from prelu_tools.backends.keras.library import keras
from prelu_tools.training.recorder import EVERY, recorder_for


class KerasSlopeLogger(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs the slopes of a `keras.Model`: `fit(..., callbacks=[KerasSlopeLogger(folder)])`.

    Steps are those of `optimizer.iterations`, so a run that resumes from a saved model continues
    the log. In distributed training, only the chief writes.
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        every: int = EVERY,
        sample: Any = None,
        tensorboard: bool | None = None,
        wandb: bool | None = None,
    ) -> None:
        """Check the arguments.

        Args:
            folder: where `slopes.jsonl` and the files for TensorBoard go: give each logger its own.
            every: steps from one record to the next.
            sample: a few rows of inputs. Keras does not show gradients to callbacks; with a sample,
                the warning about a layer that does not move can say whether its inputs are ever
                negative. A subclassed model that is not built yet is built with it; otherwise its
                first record is made after its first step.
            tensorboard: whether to log to TensorBoard; None for yes, if it is installed.
            wandb: whether to log to the active run of W&B; None for yes, if there is one.

        Raises:
            UsageError: an argument is not valid.
            MissingExtraError: a requested package is not installed.
        """
        super().__init__()
        options = {"tensorboard": tensorboard, "wandb": wandb}
        self._recorder = recorder_for(folder, every, options)
        self._sample = sample
        self._step = 0
        self._next = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Find the layers and make the first record; a model that is not built yet waits for it."""
        del logs
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Make a record, where it is time for one."""
        del batch, logs
        # Asking the optimizer at each step would wait for the device.
        self._step += getattr(self.model, "steps_per_execution", None) or 1
        recorder = self._recorder
        if recorder is not None and not recorder.is_ready:
            self._begin()
        elif recorder is not None and self._step >= self._next:
            self._step = int(self.model.optimizer.iterations)
            self._record()

    def on_train_end(self, logs: Any = None) -> None:
        """Close the files."""
        del logs
        if self._recorder is not None:
            self._recorder.close()

    def _begin(self) -> None:
        from prelu_tools.backends.keras.live import LiveKerasModel, is_built

        recorder = self._recorder
        if recorder is None or not (recorder.is_ready or is_built(self.model, self._sample)):
            return
        if not recorder.is_ready:
            model, optimizer = self.model, self.model.optimizer
            recorder.begin(lambda: LiveKerasModel(model, optimizer, self._sample))
        self._step = int(self.model.optimizer.iterations)
        self._record()

    def _record(self) -> None:
        if self._recorder is not None:
            every = self._recorder.every
            self._next = self._step - self._step % every + every
            self._recorder.record(self._step)
