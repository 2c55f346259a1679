"""Measures one net: all variants in one process, in rounds, in an order that is new in each.

A round runs a short burst of every variant, so that what disturbs the machine for longer than a
round disturbs all of them alike; ratios are then taken within a round.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.latency.plan import BOUND, LEAST_ROUNDS, MOST_ROUNDS, Cell
from benchmarks.latency.results import Measured
from benchmarks.nets.inputs import Floats, natural

BURST = 0.03
"""Seconds that a burst of the fastest variant should take."""
SETTLE = 0.002
"""Seconds between bursts on several threads: the last session's pool stops spinning."""


@dataclass(frozen=True)
class Runner:
    """A session with its input."""

    session: Any
    """An onnxruntime.InferenceSession."""
    name: str
    """Of its only input."""

    def outputs(self, x: Floats) -> list[Floats]:
        """Run once."""
        found: list[Floats] = self.session.run(None, {self.name: x})
        return found

    def burst(self, x: Floats, repeats: int) -> float:
        """Return the median seconds of a run, after one that only warms the caches."""
        feeds, run = {self.name: x}, self.session.run
        if repeats > 1:
            run(None, feeds)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter_ns()
            run(None, feeds)
            seconds.append(time.perf_counter_ns() - start)
        return statistics.median(seconds) / 1e9


def open_runner(path: Path, threads: int) -> Runner:
    """Open a file as its user would, on so many threads."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Runner(session, session.get_inputs()[0].name)


def measure(cell: Cell, files: Mapping[str, Path], missing: Mapping[str, str]) -> Measured:
    """Compare the outputs of all files with the raw one's, and time them."""
    runners = {variant: open_runner(path, cell.threads) for variant, path in files.items()}
    shape = runners["raw"].session.get_inputs()[0].shape
    differences = compare(runners, shape)
    x = natural(shape, seed=7)
    fastest = min(runner.burst(x, 2) for runner in runners.values())
    repeats = min(50, max(1, round(BURST / fastest)))
    rounds = _rounds(cell, runners, x, repeats)
    return Measured(
        net=cell.net,
        batch=cell.batch,
        threads=cell.threads,
        repeats=repeats,
        microseconds={
            variant: tuple(round(taken[variant] * 1e6, 1) for taken in rounds)
            for variant in runners
        },
        differences=differences,
        missing=missing,
    )


def _rounds(
    cell: Cell, runners: Mapping[str, Runner], x: Floats, repeats: int
) -> list[dict[str, float]]:
    """Time the variants until the cell's seconds are over; seconds of a run, a dict a round."""
    shuffle = random.Random(0).shuffle
    order = list(runners)
    rounds: list[dict[str, float]] = []
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + cell.seconds
        while len(rounds) < LEAST_ROUNDS or (
            time.perf_counter() < end and len(rounds) < MOST_ROUNDS
        ):
            shuffle(order)
            taken = {}
            for variant in order:
                if cell.threads > 1:
                    time.sleep(SETTLE)
                taken[variant] = runners[variant].burst(x, repeats)
            rounds.append(taken)
    finally:
        gc.enable()
    return rounds


def compare(runners: Mapping[str, Runner], shape: list[int]) -> dict[str, float]:
    """Return the largest difference of each from the raw file's outputs; -1 for equal bits.

    Inputs are those that are timed, and white noise, weak and strong.
    """
    noise = np.random.default_rng(11).normal(size=shape).astype(np.float32)
    inputs = [natural(shape, seed=7), noise, np.float32(0.05) * noise, np.float32(8) * noise]
    found = {variant: -1.0 for variant in runners if variant != BOUND}
    for x in inputs:
        expected = runners["raw"].outputs(x)
        for variant in found:
            for a, b in zip(expected, runners[variant].outputs(x), strict=True):
                found[variant] = max(found[variant], _difference(a, b))
    return found


def _difference(a: Floats, b: Floats) -> float:
    """Return the largest difference, infinity where one is NaN alone; -1 for equal bits."""
    if a.shape != b.shape:
        return float("inf")
    if a.tobytes() == b.tobytes():
        return -1.0
    gap = np.abs(a.astype(np.float64) - b)
    return float("inf") if np.isnan(gap).any() else float(gap.max())
