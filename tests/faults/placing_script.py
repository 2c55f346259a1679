"""Put models in place in processes that are ended at every single step: run as a script.

    python placing_script.py FOLDER kill|interrupt BEFORE AFTER
    python placing_script.py FOLDER race force|timid

BEFORE is what is at the path: nothing, never, always (as --external-data), or same (as always, with
the same weights); AFTER: never or always. A child is forked for each call that the placing makes of
the system (as Python's audit hooks tell them), and ends before that call: by SIGKILL, or by the
exception that Ctrl-C raises. What is then at the path is written to standard output, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import ExternalData
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.writer import write_model

RUNS_AT_ONCE, ROUNDS = 4, 25


def _model(seed: int) -> OnnxModel:
    values = [helper.make_tensor_value_info(name, 1, ["N", 64, 8]) for name in "xy"]
    node = helper.make_node("PRelu", ["x", "a"], ["y"], name="act")
    graph = helper.make_graph([node], "net", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    made = OnnxModel(proto, None)
    weights = np.random.default_rng(seed).normal(size=(64, 8)).astype(np.float32)
    proto.graph.initializer.append(made.tensor("a", weights))
    return made


def _put(path: Path, seed: int, external: ExternalData, force: bool = True) -> None:
    with placing(path, force) as temporary:
        write_model(_model(seed), temporary, external)


def _state(path: Path) -> str:
    """A hash of the model at a path, its weights included; or that there is none."""
    if not path.exists():
        return "nothing"
    proto = onnx.load(path)  # raises where the weights are not there
    onnx.checker.check_model(proto)
    return hashlib.sha256(proto.SerializeToString(deterministic=True)).hexdigest()


def _ended_at(step: int, how: str, work: Callable[[], None]) -> bool:
    """Do the work in a child that ends before its call number `step`; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = step

        def count(_event: str, _arguments: tuple[Any, ...]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGINT)

        sys.addaudithook(count)
        try:
            work()
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0 if left > 0 else 1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL if how == "kill" else 130), code
    return code != 0


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _end_everywhere(folder: Path, how: str, before: str, after: ExternalData) -> dict[str, Any]:
    """End the placing at each of its steps, and tell what was there, and what was left over."""
    path, start, done = folder / "net.onnx", folder / "start", folder / "done"
    start.mkdir()
    done.mkdir()
    old, new = (1 if before == "same" else 0), 1
    if before != "nothing":
        _put(start / path.name, old, "always" if before == "same" else before)  # type: ignore[arg-type]
    _put(done / path.name, new, after)
    names = {_state(start / path.name): "nothing" if before == "nothing" else "old"}
    names[_state(done / path.name)] = "same" if _state(done / path.name) in names else "new"
    found: Counter[str] = Counter()
    left_over = not_cleaned = step = 0
    while True:
        work = folder / f"{step}"
        shutil.copytree(start, work)
        step += 1
        reached = _ended_at(step, how, partial(_put, work / path.name, new, after))
        found[names.get(_state(work / path.name), "broken")] += 1
        left_over += _entries(work) not in (_entries(start), _entries(done))
        _put(work / path.name, new, after)
        not_cleaned += _entries(work) != _entries(done)
        if not reached:
            break
    return {
        "steps": step - 1,
        "found": found,
        "left_over": left_over,
        "not_cleaned": not_cleaned,
    }


def _race(folder: Path, force: bool) -> dict[str, Any]:
    """Several processes put models at one path at once, again and again."""
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        path = folder / "net.onnx"
        children = []
        for seed in range(RUNS_AT_ONCE):
            child = os.fork()
            if child == 0:
                try:
                    _put(path, seed, "always", force)
                except UsageError:
                    os._exit(2)
                os._exit(0)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        outcomes[f"codes {sorted(codes)}"] += 1
        outcomes["whole" if _state(path) != "nothing" else "nothing"] += 1
        outcomes[f"{len(_entries(folder))} files"] += 1
        if not force:
            shutil.rmtree(folder)
            folder.mkdir()
    return dict(outcomes)


if __name__ == "__main__":
    _folder, _how, *_rest = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if _how == "race":
        _result = _race(Path(_folder), _rest[0] == "force")
    else:
        _result = _end_everywhere(Path(_folder), _how, _rest[0], _rest[1])  # type: ignore[arg-type]
    print(json.dumps(_result))
