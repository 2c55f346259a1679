"""A model that crashes, exits, hangs or eats memory takes its worker, and not the run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from odd_models import Odd, by_status
from running import cli, start

from prelu_tools.batch import worker as worker_module
from prelu_tools.batch.job import InspectWork, Job
from prelu_tools.batch.worker import NO_LIMITS, Limits, Worker
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.core.results.inspect_gates import InspectGates


@pytest.fixture
def odd(tmp_path: Path) -> Odd:
    return Odd(tmp_path)


def _job(source: object) -> Job:
    work = InspectWork(str(source), InspectRequest(), InspectGates())
    return Job(str(source), work, os.getcwd())  # noqa: PTH109


def test_a_segfault_is_an_error_of_its_model_alone(odd: Odd) -> None:
    first, second, third = odd.nets(3)
    found = cli("inspect", first, odd.source("segfault"), second, third, "--format", "json")
    assert found.code == 3
    assert by_status(found.json) == {
        "net0.onnx": "ok", "odd.py:segfault": "error", "net1.onnx": "ok", "net2.onnx": "ok",
    }  # fmt: skip
    assert found.json["models"][1]["error"] == "its worker was killed by SIGSEGV"
    assert found.json["summary"] == {"ok": 3, "fail": 0, "error": 1}
    ran = [run["worker"] for run in found.json["models"]]
    assert ran[0] == ran[1] != ran[2] == ran[3]  # the worker was replaced, once
    assert {worker["name"] for worker in found.json["workers"]} == set(ran)


def test_limits_are_kept_and_the_others_go_on(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on once the model that sleeps is at work: a busy machine changes nothing.

    Its first reading, from which the limit counts, is before that even if the model is quicker.
    """
    first = iter((0.0,))
    clock = SimpleNamespace(
        monotonic=lambda: next(first, 1000.0 * odd.ready.exists()),
        perf_counter=time.perf_counter,
    )
    monkeypatch.setattr(worker_module, "time", clock)
    (net,) = odd.nets(1)
    sources = (odd.source("sleeps"), odd.source("leaves"), odd.source("hungry"), net)
    limits = ("--timeout", "600", "--memory-limit", "500MB")
    found = cli("inspect", *sources, *limits, "--jobs", "1", "--format", "json")
    assert found.code == 3
    errors = [model.get("error") for model in found.json["models"]]
    assert errors == [
        "it took more than 600 s (--timeout)",
        "its worker ended with exit code 7: the model or its framework called exit",
        "it took more than 500 MB of memory (--memory-limit)",
        None,
    ]


def test_a_worker_keeps_what_it_loaded_and_says_who_it_is(odd: Odd) -> None:
    worker = Worker()
    done = [worker.run(_job(net), NO_LIMITS) for net in odd.nets(2)]
    try:
        assert [one.entry.status for one in done] == ["ok", "ok"]
        assert done[0].worker == done[1].worker
        assert done[0].worker is not None
        assert {"prelu-tools", "numpy", "onnx"} <= set(done[0].worker.versions)
        assert "CPUExecutionProvider" in done[0].worker.providers
        assert worker.resident() > 10_000_000
    finally:
        worker.stop()
    assert worker.resident() == 0


def test_one_that_ended_between_two_jobs_is_replaced(odd: Odd) -> None:
    worker = Worker()
    first, second = odd.nets(2)
    one = worker.run(_job(first), NO_LIMITS)
    assert one.worker is not None
    process = psutil.Process(int(one.worker.name.rpartition(":")[2]))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its last thread is gone too
    other = worker.run(_job(second), NO_LIMITS)
    worker.stop()
    assert other.entry.status == "ok"
    assert other.worker != one.worker


def test_no_temporary_file_is_left_by_one_that_was_killed(odd: Odd) -> None:
    worker = Worker()
    worker.run(_job(odd.nets(1)[0]), NO_LIMITS)
    folder = worker._folder
    assert folder is not None
    assert Path(folder).is_dir()
    done = worker.run(_job(odd.source("sleeps")), Limits(seconds=0.5))
    assert done.entry.status == "error"
    assert not Path(folder).exists()


HOLDING = """
import time
from pathlib import Path
from prelu_tools.core.files.scratch import scratch_folder

def net():
    with scratch_folder(Path({path!r})):
        time.sleep(600)
"""


def test_one_whose_owner_is_killed_puts_away_what_it_has_begun(tmp_path: Path) -> None:
    """The next run may be at the same path by then, and find it in use."""
    out = tmp_path / "out"
    out.mkdir()
    source = tmp_path / "holding.py"
    source.write_text(HOLDING.format(path=str(out / "net.onnx")))
    command = ["inspect", str(source) + ":net", str(source) + ":net", "--each", "--jobs", "1"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    owner = start(*command, cwd=tmp_path, **silent)
    try:
        assert _soon(lambda: any(out.iterdir()))
    finally:
        owner.kill()
        owner.wait()
    assert _soon(lambda: not any(out.iterdir()))


def _soon(holds: Callable[[], bool]) -> bool:
    begun = time.monotonic()
    while not holds() and time.monotonic() - begun < 120:
        time.sleep(0.05)
    return holds()
