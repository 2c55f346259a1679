"""A real Trainer whose slopes are logged."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from prelu_tools.core.files.slope_log import read_log
from prelu_tools.training import SlopeWarning

pytest.importorskip("torch")
lightning = pytest.importorskip("pytorch_lightning")
import torch  # noqa: E402
from torch import nn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.lightning]


class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
    """A module that is trained by way of a part of it."""

    def __init__(self, by_hand: bool = False) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 4), nn.PReLU(4), nn.Linear(4, 3))
        self.automatic_optimization = not by_hand

    def training_step(self, batch: Any, _index: int) -> Any:
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        if not self.automatic_optimization:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.01)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _batches() -> Any:
    data = torch.utils.data.TensorDataset(torch.randn(64, 6), torch.randint(0, 3, (64,)))
    return torch.utils.data.DataLoader(data, batch_size=8)


def _fitted(folder: Path, module: Any, checkpoint: Path | None = None, **options: Any) -> Any:
    from prelu_tools.training import LightningSlopeLogger

    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        callbacks=[LightningSlopeLogger(folder, every=4, tensorboard=False)],
        **options,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlopeWarning)
        trainer.fit(module, _batches(), ckpt_path=checkpoint)
    ours = [str(each.message) for each in said if each.category is SlopeWarning]
    assert [text.split(":")[0] for text in ours] == ["slopes_decay"]
    return trainer


def _steps(folder: Path) -> list[int]:
    return [record.step for record in read_log(folder / "slopes.jsonl")[0]]


def test_a_training_and_one_that_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    first = Module()
    trainer = _fitted(tmp_path, first, max_epochs=2)
    assert _steps(tmp_path) == [0, 4, 8, 12, 16]
    last = read_log(tmp_path / "slopes.jsonl")[0][-1].layers[0]
    assert (last.name, last.parameter, last.weight_decay) == ("net.1", "net.1.weight", 0.01)
    assert last.slopes.astype("float32").tolist() == first.net[1].weight.tolist()
    assert last.gradient is not None
    checkpoint = tmp_path / "at-16.ckpt"
    trainer.save_checkpoint(checkpoint)
    _fitted(tmp_path, Module(), checkpoint, max_epochs=3)
    assert _steps(tmp_path) == [0, 4, 8, 12, 16, 20, 24]


@pytest.mark.parametrize(
    ("by_hand", "options", "steps"),
    [
        (True, {}, [0, 4, 8]),
        (False, {"accumulate_grad_batches": 2, "precision": "bf16-mixed"}, [0, 4]),
        (False, {"accumulate_grad_batches": 3}, [0]),
    ],
)
def test_steps_are_those_of_the_optimizer(
    tmp_path: Path, by_hand: bool, options: dict[str, Any], steps: list[int]
) -> None:
    _fitted(tmp_path, Module(by_hand), max_epochs=1, **options)
    assert _steps(tmp_path) == steps


def test_a_training_that_breaks_off_leaves_its_log(tmp_path: Path) -> None:
    class Breaks(Module):
        def training_step(self, batch: Any, index: int) -> Any:
            if index == 6:
                raise RuntimeError("broken off")
            return super().training_step(batch, index)

    with pytest.raises(RuntimeError, match="broken off"):
        _fitted(tmp_path, Breaks(), max_epochs=1)
    assert _steps(tmp_path) == [0, 4]


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prelu_tools.training import LightningSlopeLogger

    monkeypatch.setattr(lightning.Trainer, "is_global_zero", False)
    logger = LightningSlopeLogger(tmp_path / "run", every=1)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, max_epochs=1, callbacks=[logger],
    )  # fmt: skip
    trainer.fit(Module(), _batches())
    assert trainer.global_step == 8
    assert not (tmp_path / "run").exists()
