"""A logger for Lightning's Trainer, from `lightning` or `pytorch_lightning`."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from prelu_tools.arguments import PathLike
from prelu_tools.core.errors import MissingExtraError
from prelu_tools.training.recorder import EVERY, Recorder

if TYPE_CHECKING:
    from prelu_tools.backends.torch.running.capture import Capture

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def _base() -> Any:
    """The Callback of the package that the program uses: a Trainer takes no other one's."""
    loaded = [name for name in _PACKAGES if name in sys.modules]
    installed = [name for name in _PACKAGES if find_spec(name.split(".")[0]) is not None]
    for name in (*loaded, *installed):
        return importlib.import_module(name).Callback
    raise MissingExtraError("pytorch_lightning", "lightning", "for LightningSlopeLogger")


class LightningSlopeLogger(_base()):  # type: ignore[misc]
    """Logs the slopes of a LightningModule: `Trainer(callbacks=[LightningSlopeLogger(folder)])`.

    Steps are those of `trainer.global_step`, so a run that resumes from a checkpoint continues the
    log. Only the process of rank 0 writes. With several optimizers, all of their steps count.
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        every: int = EVERY,
        tensorboard: bool | None = None,
        wandb: bool | None = None,
    ) -> None:
        """Check the arguments; see `TorchSlopeLogger` for the arguments.

        Raises:
            UsageError: an argument is not valid.
            MissingExtraError: a requested package is not installed.
        """
        super().__init__()
        self._recorder = Recorder(folder, every, tensorboard=tensorboard, wandb=wandb)
        self._capture: Capture | None = None
        self._next = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Watch what the module is called with, in the first process."""
        if not trainer.is_global_zero or self._recorder.is_ready:
            return
        from prelu_tools.backends.torch.running.capture import Capture

        self._capture = Capture(pl_module)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Find the layers and make the first record, before the first step."""
        del optimizer
        if self._capture is None:
            return
        from prelu_tools.backends.torch.live import LiveTorchModel, example_runs

        capture, self._capture = self._capture, None
        capture.close()
        runs = example_runs(pl_module, None) or capture.runs
        self._recorder.begin(lambda: LiveTorchModel(pl_module, trainer.optimizers, runs))
        self._record(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Make a record, where it is time for one."""
        del pl_module, outputs, batch, batch_idx
        if self._recorder.is_ready and trainer.global_step >= self._next:
            self._record(trainer.global_step)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the files."""
        del trainer, pl_module
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the files."""
        del trainer, pl_module, exception
        self._end()

    def _record(self, step: int) -> None:
        self._next = step - step % self._recorder.every + self._recorder.every
        self._recorder.record(step)

    def _end(self) -> None:
        if self._capture is not None:
            self._capture.close()
            self._capture = None
        self._recorder.close()
