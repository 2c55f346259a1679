"""Time variants of a model in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from prelu_tools.backends.onnxruntime.running.messages import sentence
from prelu_tools.backends.onnxruntime.running.session import (
    import_onnxruntime,
    load_session,
    session_options,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.timing import Clock
from prelu_tools.graph.io.reader import OnnxModel

_FINE = 1e-5  # seconds; Windows counts the time of a thread in ticks of 16 ms
_PATIENCE = 4.0  # how many times longer than requested a race may take on a busy machine
_TURN, _MOST_REPEATS = 0.01, 10  # seconds of a turn if a run is shorter

Run = Callable[[Mapping[str, Array]], list[Array]]
"""A model that is loaded: its outputs, in order, for inputs by name."""


def runtime_version() -> str:
    """The version of onnxruntime."""
    return str(import_onnxruntime().__version__)


def open_run(model: OnnxModel, threads: int, label: str) -> Run:
    """Load a model on the CPU provider.

    Args:
        model: its weights may be in a file.
        threads: how many onnxruntime may use inside an operator.
        label: the model's name for messages.

    Raises:
        PReLUToolsError: onnxruntime cannot load it; or, when it is called, run it.
    """
    options = session_options(model.folder)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = load_session(model.proto.SerializeToString(), options, label)

    def run(feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return list(session.run(None, dict(feeds)))
        except Exception as error:
            raise PReLUToolsError(
                f"onnxruntime {runtime_version()} cannot run {label}: {sentence(error)}"
            ) from error

    return run


def shortest_time(run: Run, feeds: Mapping[str, Array], threads: int) -> float:
    """The seconds of the faster of two runs, after one that is not timed."""
    _, clock = _clock(threads)
    run(feeds)
    return _shortest(run, feeds, 2, clock)


class Budget:
    """Seconds that may be spent: of the processor where one thread is timed, otherwise on the wall.

    So a busy machine gives as many rounds as a quiet one; it may take four times as long for them.
    """

    def __init__(self, seconds: float, threads: int) -> None:
        """Start now."""
        self._walls = seconds * (_PATIENCE if threads == 1 else 1.0)
        self._processor = seconds if threads == 1 else float("inf")
        self._start = time.perf_counter(), time.process_time()

    @property
    def left(self) -> float:
        """The seconds that are left; 0 or less if there are none."""
        wall, processor = self._start
        return min(
            self._processor - (time.process_time() - processor),
            self._walls - (time.perf_counter() - wall),
        )


@dataclass(frozen=True)
class Times:
    """What a race took."""

    seconds: dict[str, list[float]]
    """For each name its seconds, round by round; who left early has fewer."""
    clock: Clock
    """What was read."""
    waited: float
    """The share of the time in which the processor did something else; 0 if `clock` is `wall`."""


Judge = Callable[[Mapping[str, Sequence[float]]], Collection[str]]
"""Told the seconds of each round so far, returns who continues; when it returns none, the race is
over."""


def race(
    runs: Mapping[str, Run],
    feeds: Mapping[str, Array],
    seconds: float,
    rounds: range,
    seed: int,
    threads: int = 1,
    judge: Judge | None = None,
) -> Times:
    """Run each in every round, in an order that is drawn again; before that once, untimed.

    What runs on one thread is timed by the CPU time of that thread: what other processes take
    is not counted. A short run is repeated within its turn and the shortest one counts, so that
    neither an interruption nor what the others left in the cache does.

    Args:
        runs: what to time, by name.
        feeds: the inputs of all.
        seconds: how long to go on, at most; see `Budget`.
        rounds: at least its start, and at most its stop.
        seed: of the order.
        threads: how many each of them uses.
        judge: called now and then after the first `rounds.start` rounds.
    """
    generator = random.Random(seed)
    kind, clock = _clock(threads)
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    repeats = _repeats(min(_shortest(runs[name], feeds, 1, clock) for name in names))
    budget, start = Budget(seconds, threads), time.perf_counter()
    taken, asked = 0.0, rounds.start
    for number in range(rounds.stop):
        if number >= rounds.start and budget.left <= 0:
            break
        if judge is not None and number >= asked:
            staying = judge(times)
            names = [name for name in names if name in staying]
            asked += max(1, number // 3)
            if not names:
                break
        generator.shuffle(names)
        for name in names:
            before = clock()
            times[name].append(_shortest(runs[name], feeds, repeats, clock))
            taken += clock() - before
    passed = time.perf_counter() - start
    return Times(times, kind, max(0.0, 1.0 - taken / passed) if kind == "processor" else 0.0)


def _clock(threads: int) -> tuple[Clock, Callable[[], float]]:
    """What to read: the thread's own time, if there is one thread and its clock is fine."""
    if threads == 1 and time.get_clock_info("thread_time").resolution <= _FINE:
        return "processor", time.thread_time
    return "wall", time.perf_counter


def _repeats(seconds: float) -> int:
    return max(1, min(_MOST_REPEATS, round(_TURN / max(seconds, 1e-9))))


def _shortest(
    run: Run, feeds: Mapping[str, Array], repeats: int, clock: Callable[[], float]
) -> float:
    found = []
    for _ in range(repeats):
        start = clock()
        run(feeds)
        found.append(clock() - start)
    return min(found)
