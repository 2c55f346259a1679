"""What logging slopes costs a training: steps with a record, against steps without, in one run.

    python -m benchmarks.training [--rounds 30]

On one thread, in CPU time. Each round times a step of training without a logger and one
at which a logger makes a record (of `slopes.jsonl` and of an event file for TensorBoard), in turns.
The median ratio of these is what a record costs; one step in `EVERY` makes one, so a step costs
that much less. The other steps call one empty hook, and are timed as well.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.nets.faces import MobileFaceNet
from prelu_tools.core.process.timing import ratio_of
from prelu_tools.training import TorchSlopeLogger
from prelu_tools.training.recorder import EVERY

Step = Callable[[], None]


def digits() -> nn.Module:
    """About the smallest net that somebody trains: two layers of PReLU on pictures of 28 x 28."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2), nn.PReLU(16), nn.Conv2d(16, 32, 3, 2), nn.PReLU(32),
        nn.Flatten(), nn.Linear(1152, 10),
    )  # fmt: skip


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "digits, batch 64": (digits, (64, 1, 28, 28)),
    "MobileFaceNet, batch 2": (MobileFaceNet, (2, 3, 112, 112)),
}


def training(
    make: Callable[[], nn.Module], shape: tuple[int, ...], folder: Path, every: int | None
) -> Step:
    """A step of a training whose slopes are logged; None for never."""
    torch.manual_seed(0)
    net, x = make().train(), torch.randn(shape)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    if every is not None:
        TorchSlopeLogger(net, optimizer, folder / str(every), every=every)

    def step() -> None:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()

    return step


def seconds(step: Step) -> float:
    """CPU time for a step: what else the machine does is not in it."""
    start = time.process_time()
    step()
    return time.process_time() - start


def row(name: str, rounds: int) -> str:
    """A net's row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        steps = [training(*NETS[name], Path(folder), every) for every in (None, 1, 10**9)]
        times: list[list[float]] = [[], [], []]
        for number in range(rounds + 2):
            for which in np.roll(range(3), number):
                times[which].append(seconds(steps[which]))
        size = (Path(folder) / "1" / "slopes.jsonl").stat().st_size / (rounds + 3)
    plain, recorded, hooked = (kept[2:] for kept in times)  # the first ones find the layers
    record, hook = ratio_of(recorded, plain), ratio_of(hooked, plain)
    cost = float(np.median(np.array(recorded) - np.array(plain)))
    step = float(np.median(plain))
    return (
        f"| {name} | {1e3 * step:.1f} ms | {record.median:.3f} ({record.low:.3f} to "
        f"{record.high:.3f}) | {1e3 * cost:.1f} ms | {100 * cost / step / EVERY:.3f} % | "
        f"{hook.median:.3f} ({hook.low:.3f} to {hook.high:.3f}) | {size / 1e3:.0f} kB |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What logging slopes costs a training.")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, 1 thread, {given.rounds} rounds")
    print(f"| net | step | with a record | a record | of a step, at {EVERY} | other steps | size |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for name in NETS:
        print(row(name, given.rounds), flush=True)


if __name__ == "__main__":
    main()
