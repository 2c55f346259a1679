"""Time variants of a model against each other, in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

from prelu_tools.backends.onnxruntime.session import import_onnxruntime, sentence
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.reader import OnnxModel

Run = Callable[[Mapping[str, Array]], list[Array]]
"""A model that is loaded: its outputs, in order, for inputs by name."""


def runtime_version() -> str:
    """The version of onnxruntime."""
    return str(import_onnxruntime().__version__)


def open_run(model: OnnxModel, threads: int, spelled: str) -> Run:
    """Load a model on the CPU provider.

    Args:
        model: its weights may lie in a file.
        threads: how many onnxruntime may use inside an operator.
        spelled: the model's name for messages.

    Raises:
        PReLUToolsError: onnxruntime cannot load it; or, when it is called, run it.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if model.file is not None:
        key = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(key, str(model.file.parent.resolve()))
    try:
        with quiet(show=False):
            session = ort.InferenceSession(
                model.proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
    except Exception as error:
        raise PReLUToolsError(
            f"onnxruntime {ort.__version__} cannot load {spelled}: {sentence(error)}"
        ) from error

    def run(feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return list(session.run(None, dict(feeds)))
        except Exception as error:
            raise PReLUToolsError(
                f"onnxruntime {ort.__version__} cannot run {spelled}: {sentence(error)}"
            ) from error

    return run


def race(
    runs: Mapping[str, Run],
    feeds: Mapping[str, Array],
    seconds: float,
    rounds: range,
    seed: int,
) -> dict[str, list[float]]:
    """Run each in every round, in an order that is drawn again; before that once, untimed.

    Args:
        runs: what to time, by name.
        feeds: the inputs of all.
        seconds: how long to go on.
        rounds: at least its start, and at most its stop.
        seed: of the order.

    Returns:
        For each name its seconds, round by round.
    """
    generator = random.Random(seed)
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        runs[name](feeds)
    stop = time.perf_counter() + seconds
    for number in range(rounds.stop):
        if number >= rounds.start and time.perf_counter() >= stop:
            break
        generator.shuffle(names)
        for name in names:
            start = time.perf_counter()
            runs[name](feeds)
            times[name].append(time.perf_counter() - start)
    return times
