"""A logger for a training loop of PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prelu_tools.arguments import PathLike
from prelu_tools.core.errors import UsageError
from prelu_tools.training.recorder import EVERY, recorder_for

if TYPE_CHECKING:
    from prelu_tools.backends.torch.running.capture import Capture


class TorchSlopeLogger:
    """Logs the slopes of a `torch.nn.Module`, by a hook on its optimizer.

        with TorchSlopeLogger(model, optimizer, "runs/slopes"):
            for x, y in batches:
                ...
                optimizer.step()

    The first record is made before the first step, then one after every `every` steps. Steps that
    `torch.amp.GradScaler` skips do not count. In distributed training, create one in each process:
    only that of rank 0 writes.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        folder: PathLike,
        *,
        every: int = EVERY,
        step: int = 0,
        example_inputs: Any = None,
        tensorboard: bool | None = None,
        wandb: bool | None = None,
    ) -> None:
        """Put a hook on the optimizer.

        Args:
            model: the module, compiled or in a parallel wrapper or not. It has to hold whole
                parameters: those that FSDP has sharded cannot be read.
            optimizer: what trains it, or a list of several; the steps of the first are counted.
            folder: where `slopes.jsonl` and the files for TensorBoard go: give each logger its own.
            every: steps from one record to the next.
            step: how many steps were taken before, if training resumes: records of that step
                and later ones are replaced.
            example_inputs: what the module can be called with (a tensor, a tuple or a mapping), to
                find its layers by; None for the first call during training.
            tensorboard: whether to log to TensorBoard; None for yes, if it is installed.
            wandb: whether to log to the active run of W&B; None for yes, if there is one.

        Raises:
            UsageError: an argument is not valid.
            MissingExtraError: a requested package is not installed.
        """
        self.step = step
        self._model = model
        several = isinstance(optimizer, Iterable)
        self._optimizers: list[Any] = list(optimizer) if several else [optimizer]
        self._undo: list[Any] = []
        self._capture: Capture | None = None
        options = {"tensorboard": tensorboard, "wandb": wandb}
        self._recorder = recorder_for(folder, every, options)
        if self._recorder is None:
            return
        from prelu_tools.backends.torch.live import example_runs, innermost
        from prelu_tools.backends.torch.running.capture import Capture

        if not self._optimizers:
            raise UsageError("no optimizer is given: expected one, or a list of them")
        self._runs = example_runs(model, example_inputs)
        if not self._runs:
            self._capture = Capture(model)
        first = innermost(self._optimizers[0])
        self._undo = [
            first.register_step_pre_hook(self._before).remove,
            first.register_step_post_hook(self._after).remove,
        ]

    def close(self) -> None:
        """Take the hooks off, and close the files."""
        while self._undo:
            self._undo.pop()()
        self._end_capture()
        if self._recorder is not None:
            self._recorder.close()

    def __enter__(self) -> TorchSlopeLogger:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _before(self, *_details: Any) -> None:
        recorder = self._recorder
        if recorder is None or recorder.is_ready:
            return
        from prelu_tools.backends.torch.live import LiveTorchModel

        runs = self._runs or self._end_capture()
        recorder.begin(lambda: LiveTorchModel(self._model, self._optimizers, runs))
        recorder.record(self.step)

    def _after(self, *_details: Any) -> None:
        self.step += 1
        if self._recorder is not None and self.step % self._recorder.every == 0:
            self._recorder.record(self.step)

    def _end_capture(self) -> list[Any]:
        capture, self._capture = self._capture, None
        if capture is None:
            return []
        capture.close()
        return capture.runs
