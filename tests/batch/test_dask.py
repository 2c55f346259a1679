"""A real scheduler and real workers on loopback: the same results, and none twice or lost."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from odd_models import Odd, by_status, documents, results
from running import ROOT, cli, environment, start, until

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.dask


@contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=f"{ROOT}"),
    )
    try:
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=300)


@contextmanager
def _scheduler() -> Iterator[str]:
    with _process(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            found = re.search(r"Scheduler at:\s+(tcp://\S+)", line)
            if found:
                yield found[1]
                return
    raise AssertionError("the scheduler did not start")


@contextmanager
def _worker(address: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    named = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
    with _process(*named, "--no-nanny", *options) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "Registered to" in line:
                yield running
                return
    raise AssertionError("the worker did not start")


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Odd:
    monkeypatch.chdir(tmp_path)
    return Odd(tmp_path)


def _descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_one_worker_is_killed_and_every_model_has_exactly_one_result(odd: Odd) -> None:
    odd.nets(12)
    (odd.folder / "nets" / "bad.onnx").write_bytes(b"nonsense")
    alone = cli("inspect", "nets", "--format", "json").json
    command = ["inspect", "nets", odd.source("waits")]
    with ExitStack() as stack:
        address = stack.enter_context(_scheduler())
        first = stack.enter_context(_worker(address))
        options = ["--dask", address, "--results", "r.jsonl", "--format", "json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running = start(
            *command, *options, **pipes, text=True, env=environment(PYTHONPATH=str(ROOT))
        )
        until(odd.ready.exists, running)  # the first has the model that waits
        owned = _descendants(first.pid)
        first.kill()
        first.wait()
        odd.ready.unlink()
        second = stack.enter_context(_worker(address))
        until(odd.ready.exists, running)  # and now the second
        odd.go.touch()
        out, err = running.communicate(timeout=300)
        assert running.returncode == 3, err
        gone, alive = psutil.wait_procs(owned, timeout=300)
        assert (len(gone), alive) == (len(owned), [])
        left = _descendants(second.pid)
        psutil.wait_procs(left, timeout=300)
        assert _descendants(second.pid) == []  # nothing is left on the cluster
    names = [line["name"] for line in results(Path("r.jsonl"))]
    assert len(names) == len(set(names)) == 14
    found = json.loads(out)
    assert documents(found)[:-1] == documents(alone)
    assert found["summary"] == {"ok": 12, "fail": 0, "error": 2}
    assert "RuntimeError: it went on" in found["models"][-1]["error"]
    for worker in found["workers"]:
        assert worker["name"].startswith("tcp://127.0.0.1:")
        assert worker["host"] == socket.gethostname()
        assert {"prelu-tools", "onnx", "numpy"} <= set(worker["versions"])
        assert "CPUExecutionProvider" in worker["providers"]


@pytest.mark.slow
def test_faults_and_limits_are_those_of_one_machine(odd: Odd) -> None:
    (net,) = odd.nets(1)
    sources = (odd.source("segfault"), odd.source("sleeps"), net)
    found = cli("inspect", *sources, "--dask", "local", "--timeout", "5", "--format", "json")
    assert found.code == 3
    assert by_status(found.json) == {
        "odd.py:segfault": "error", "odd.py:sleeps": "error", "net0.onnx": "ok",
    }  # fmt: skip
    errors = [model.get("error") for model in found.json["models"]]
    assert errors[:2] == ["its worker was killed by SIGSEGV", "it took more than 5 s (--timeout)"]


def test_no_scheduler_and_no_worker_are_no_verdict(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd.nets(1)
    with monkeypatch.context() as patch:
        patch.setattr("prelu_tools.batch.cluster.CONNECT_SECONDS", 0.5)
        found = cli("inspect", "nets", "--dask", "tcp://127.0.0.1:1")
    assert (found.code, found.out) == (3, "")
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in found.err
    wait = distributed.Client.wait_for_workers
    monkeypatch.setattr(
        distributed.Client, "wait_for_workers", lambda client, n, timeout: wait(client, n, 0.1)
    )
    with _scheduler() as address:
        found = cli("inspect", "nets", "--dask", address)
    assert found.code == 3
    assert f"the scheduler at {address} has no workers" in found.err


def test_a_worker_of_other_versions_is_noted(odd: Odd) -> None:
    """Its onnx says that it is another: by a package that shadows the metadata alone."""
    odd.nets(1)
    faked = odd.folder / "faked" / "onnx-0.0.1.dist-info"
    faked.mkdir(parents=True)
    (faked / "METADATA").write_text("Metadata-Version: 2.1\nName: onnx\nVersion: 0.0.1\n")
    with _scheduler() as address:
        named = environment(PYTHONPATH=f"{faked.parent}{os.pathsep}{ROOT}")
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny",
             "--nthreads", "1", "--no-dashboard"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=named,
        )  # fmt: skip
        try:
            found = cli("inspect", "nets", "--dask", address, "--format", "json")
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
    assert found.code == 0
    (note,) = found.json["notes"]
    assert "has different versions: onnx 0.0.1 (here" in note


@pytest.mark.slow
@pytest.mark.torch
def test_exports_and_verifications_are_spread_over_a_cluster(odd: Odd) -> None:
    source = f"{ROOT}/samples/torch_layers.py"
    Path("list.csv").write_text(
        f"name,source\nmlp,{source}:Mlp\nconv,{source}:BlockNet\n", encoding="utf-8"
    )
    found = cli("export", "list.csv", "-o", "out", "--dask", "local", "--jobs", "2")
    assert found.code == 0, found.err
    Path("pairs.csv").write_text(
        "name,reference,candidate\n"
        f"mlp,{source}:Mlp,out/mlp.onnx\nconv,{source}:BlockNet,out/conv.onnx\n"
        f"crossed,{source}:Mlp,out/conv.onnx\n"
    )
    held = cli("verify", "pairs.csv", "--dask", "local", "--jobs", "2", "--format", "json")
    assert [run["status"] for run in held.json["models"]][:2] == ["pass", "pass"]
    assert held.json["models"][2]["status"] != "pass"
    assert held.code in (1, 3)
