"""What is done stays done: results line by line, torn lines, kill -9, and what counts again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from odd_models import Odd, by_status, documents, results
from running import ROOT, cli, environment, start, until
from tiny_models import save_dense

from prelu_tools.batch import results as results_file
from prelu_tools.core.errors import UsageError


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Odd:
    monkeypatch.chdir(tmp_path)
    return Odd(tmp_path)


def _seconds(path: Path) -> dict[str, float]:
    """How long each took: another run takes another time."""
    return {Path(line["name"]).name: line["seconds"] for line in results(path)}


def test_what_is_known_and_the_same_is_not_done_again(odd: Odd) -> None:
    nets, file = odd.nets(3), Path("r.jsonl")
    first = cli("inspect", "nets", "--results", file, "--format", "json")
    lines = results(file)
    assert [line["document"] for line in lines] == documents(first.json)
    again = cli("inspect", "nets", "--results", file, "--resume", "--format", "json")
    assert again.out == first.out  # workers and times too: nothing was run
    assert results(file) == lines
    save_dense(nets[1], slopes=(7, 8, 9))
    changed = cli("inspect", "nets", "--results", file, "--resume", "--format", "json")
    pairs = zip(changed.json["models"], first.json["models"], strict=True)
    assert [run == old for run, old in pairs] == [True, False, True]
    assert changed.json["models"][1]["document"]["statistics"]["max"] == 9.0


def test_other_options_are_another_result(odd: Odd) -> None:
    odd.nets(2)
    cli("inspect", "nets", "--results", "r.jsonl")
    cli("inspect", "nets", "--results", "r.jsonl", "--resume", "--near", "0.5")
    assert len(results(Path("r.jsonl"))) == 4


def test_an_error_is_tried_again_and_a_verdict_is_not(odd: Odd) -> None:
    first, second = odd.nets(2)
    missing = odd.folder / "nets" / "later.onnx"
    sources = ("inspect", first, second, missing, "--fail-on", "error", "--expect-layers", "2")
    found = cli(*sources, "--results", "r.jsonl")
    assert found.code == 1
    save_dense(missing)
    again = cli(*sources, "--results", "r.jsonl", "--resume", "--format", "json")
    assert by_status(again.json) == {"net0.onnx": "fail", "net1.onnx": "fail", "later.onnx": "fail"}
    assert len(results(Path("r.jsonl"))) == 4
    assert "expected 2 PReLU layers, found 1" in again.json["models"][2]["reasons"][0]


def test_a_torn_line_is_passed_over_and_cut_off(odd: Odd) -> None:
    odd.nets(3)
    file = Path("r.jsonl")
    cli("inspect", "nets", "--results", file)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for torn in (lines[2][:-1], b"\xff\x00"):
        file.write_bytes(b"".join(lines[:2]) + torn)
        found = cli("inspect", "nets", "--results", file, "--resume", "--format", "json")
        assert found.code == 0
        assert len(found.json["models"]) == 3
        assert [line["document"] for line in results(file)] == documents(found.json)


def test_lines_of_another_kind_are_no_results(odd: Odd) -> None:
    odd.nets(1)
    file = Path("r.jsonl")
    cli("inspect", "nets", "--results", file)
    (line,) = results(file)
    del line["files"]
    file.write_text(json.dumps(line) + '\n{"kind": "batch-result"}\n[]\n3\nnonsense\n')
    assert cli("inspect", "nets", "--results", file, "--resume").code == 0
    assert len(file.read_text().splitlines()) == 6


def test_results_that_are_there_are_not_overwritten(odd: Odd) -> None:
    odd.nets(1)
    Path("r.jsonl").write_text("mine\n")
    found = cli("inspect", "nets", "--results", "r.jsonl")
    assert found.code == 2
    assert "use --resume" in found.err
    assert Path("r.jsonl").read_text() == "mine\n"
    assert cli("inspect", "nets", "--results", "gone/r.jsonl").code == 2


def test_a_run_that_ended_while_another_one_began_is_not_appended_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(results_file, "_lock", lambda *_: path.write_text("of the other run\n"))
    with pytest.raises(UsageError, match="already exists"):
        results_file.ResultsFile(path, resume=False)
    assert path.read_text() == "of the other run\n"


def test_runs_that_are_stopped_at_once_keep_their_results_apart(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = list(
            pool.map(lambda _: results_file.save_results(tmp_path, "inspect", []), range(8))
        )
    assert len(set(taken)) == 8


def _start(*arguments: object) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return start(*arguments, **pipes, text=True, env=environment(PYTHONPATH=str(ROOT)))


def _kept(file: Path) -> int:
    """How many results are in a file that another process writes."""
    return file.read_text().count('"kind": "batch-result"') if file.exists() else 0


def _workers_of(file: Path) -> list[int]:
    return [int(line["worker"]["name"].rpartition(":")[2]) for line in results(file)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_kill_9_loses_what_was_at_hand_and_nothing_else(odd: Odd) -> None:
    file = Path("r.jsonl")
    nets = odd.nets(3)
    command = ("inspect", *nets[:2], odd.source("waits"), nets[2], "--results", file)
    running = _start(*command, "--format", "json")
    until(lambda: odd.ready.exists() and _kept(file) == 2, running)
    assert cli(*command, "--resume").code == 2  # one run at a time
    running.kill()
    running.communicate()
    assert len(results(file)) == 2
    (worker,) = set(_workers_of(file))
    end = time.monotonic() + 300
    while _is_alive(worker):  # it sees that nobody waits for it
        assert time.monotonic() < end
        time.sleep(0.05)
    before = _seconds(file)
    odd.go.touch()
    found = cli(*command, "--resume", "--format", "json")
    assert by_status(found.json) == {
        "net0.onnx": "ok", "net1.onnx": "ok", "odd.py:waits": "error", "net2.onnx": "ok",
    }  # fmt: skip
    assert before.items() <= _seconds(file).items()


@pytest.mark.parametrize(("how", "kept"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_a_run_that_is_stopped_says_how_to_go_on(how: signal.Signals, kept: bool, odd: Odd) -> None:
    nets = odd.nets(2)
    file = Path("r.jsonl" if kept else "inspect-results.jsonl")
    command = ("inspect", *nets, odd.source("sleeps"))
    running = _start(*command, *(("--results", file) if kept else ()))
    until(lambda: odd.ready.exists() and (not kept or _kept(file) == 2), running)
    running.send_signal(how)
    out, err = running.communicate(timeout=300)
    assert (running.returncode, out) == (128 + how, "")
    more = "" if kept else f"--results {file} "
    done = len(results(file))
    said = (
        f"{done} of 3 models are done and kept in {file}: run the same command with {more}--resume"
    )
    assert said in err
    assert "Traceback" not in err
    assert done == 2 if kept else done < 3
    assert [pid for pid in _workers_of(file) if _is_alive(pid)] == []
    found = cli(*command, "--results", file, "--resume", "--timeout", "1", "--format", "json")
    assert found.json["summary"] == {"ok": 2, "fail": 0, "error": 1}
    assert len(results(file)) == 3


def test_exports_that_were_begun_are_done_again_and_nothing_else_is_replaced(odd: Odd) -> None:
    nets, file = odd.nets(3), Path("r.jsonl")
    out = Path("out")
    out.mkdir()
    shutil.copy(nets[2], out / "net2.onnx")
    theirs = (out / "net2.onnx").read_bytes()
    command = ("export", *nets, "-o", "out/", "--results", file)
    found = cli(*command)
    assert found.code == 3
    assert "out/net2.onnx already exists: use --force to replace it" in found.words
    # As a kill between the file's renaming and its line leaves it:
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if "batch-begun" in line or "net0" in line]
    file.write_text("".join(kept))
    (out / ".net1.onnx.prelu-tools-abcd_123").mkdir()
    (out / "net1.onnx").write_bytes(b"of the run that was killed")
    again = cli(*command, "--resume", "--format", "json")
    assert by_status(again.json) == {"net0.onnx": "ok", "net1.onnx": "ok", "net2.onnx": "error"}
    assert (out / "net2.onnx").read_bytes() == theirs
    assert sorted(path.name for path in out.iterdir()) == ["net0.onnx", "net1.onnx", "net2.onnx"]
    (out / "net0.onnx").unlink()  # a result whose file is gone is none
    assert cli(*command, "--resume").code == 3
    assert (out / "net0.onnx").exists()


def test_an_export_that_is_killed_leaves_nothing_half_written(odd: Odd) -> None:
    Path("slow.py").write_text(
        "import time\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.act = nn.PReLU()\n\n"
        "    def example_inputs(self):\n        time.sleep(600)\n"
    )
    pytest.importorskip("torch")
    found = cli("export", "slow.py:Net", "-o", "out/", "--timeout", "5", "--format", "json")
    assert found.code == 3
    assert list(Path("out").iterdir()) == []


# What a file is: its content


def test_another_file_of_the_same_size_and_time_is_another_one(odd: Odd) -> None:
    (net,) = odd.nets(1)
    save_dense(net, slopes=(1, 2, 3))
    os.utime(net, (1, 1))
    cli("inspect", "nets", "--results", "r.jsonl")
    before = net.stat()
    save_dense(net, slopes=(1, 2, 4))
    os.utime(net, (1, 1))
    assert (net.stat().st_size, net.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    found = cli("inspect", "nets", "--results", "r.jsonl", "--resume", "--format", "json")
    assert found.json["models"][0]["document"]["statistics"]["max"] == 4.0


def test_the_same_content_at_another_time_is_the_same(odd: Odd) -> None:
    (net,) = odd.nets(1)
    cli("inspect", "nets", "--results", "r.jsonl")
    os.utime(net, (1, 1))
    cli("inspect", "nets", "--results", "r.jsonl", "--resume")
    assert len(results(Path("r.jsonl"))) == 1


_NET = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np, torch
from scale_of_layers import SCALE

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.act = torch.nn.PReLU(3)
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "slopes.npy"), "rb") as f:
            self.act.weight.data = torch.from_numpy(np.load(f)) * SCALE

    def forward(self, x):
        return self.act(x)

    def example_inputs(self):
        return (torch.zeros(1, 3),)
"""


@pytest.mark.torch
@pytest.mark.parametrize("changed", ["the module", "the data", "nothing"])
def test_what_a_python_source_imports_and_reads_counts(odd: Odd, changed: str) -> None:
    folder = odd.folder
    (folder / "net_that_imports.py").write_text(_NET)
    (folder / "scale_of_layers.py").write_text("SCALE = 1.0\n")
    np.save(folder / "slopes.npy", np.array([0.25, -0.5, 0.125], np.float32))
    run = ("inspect", "net_that_imports.py:Net", "--results", "r.jsonl")
    assert cli(*run).code == 0
    if changed == "the module":
        (folder / "scale_of_layers.py").write_text("SCALE = 2.0\n")
    if changed == "the data":
        np.save(folder / "slopes.npy", np.array([0.5, -0.5, 0.125], np.float32))
    again = cli(*run, "--resume", "--format", "json")
    largest = again.json["models"][0]["document"]["statistics"]["max"]
    assert (len(results(Path("r.jsonl"))), largest) == (
        (1, 0.25) if changed == "nothing" else (2, 0.5)
    )
