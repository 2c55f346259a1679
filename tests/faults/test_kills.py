"""Kill -9 at random moments: the old file whole, the new one whole, or nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from killing import Files, Job, Tally, files_of, hidden, kill_at_random, kills_wanted
from onnx import helper
from running import ROOT, cli, start
from tiny_models import save_graph

SEED = 8
# Of a hundred kills; what a framework has to be loaded for is killed in the long run only.
SHARES = {
    "export": 20, "export nothing before": 10, "export external data": 20, "optimize": 10,
    "reports": 15, "inputs": 10, "pt2": 5, "torch": 5, "keras": 5,
}  # fmt: skip
SHORT = {"export": 2, "export nothing before": 1, "export external data": 4, "optimize": 1,
         "reports": 1, "inputs": 1}  # fmt: skip


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a third of a megabyte."""
    draws = np.random.default_rng(0)
    tensors = {
        "w": draws.normal(size=(4, 16000)).astype(np.float32),
        "a": draws.normal(size=(16000,)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"),
        helper.make_node("PRelu", ["h", "a"], ["y"], name="act"),
    ]
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    return save_graph(path, nodes, {"x": ("n", 4)}, {"y": ("n", 16000)}, tensors)


def _old(net: Path, folder: Path, *options: str) -> Files:
    """An older model and its data: the same net in float16."""
    folder.mkdir()
    done = cli("export", net, "-o", folder / "net.onnx", "--dtype", "float16", "-q", *options)
    assert done.code == 0, done.err
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _is_whole(name: str, content: bytes) -> bool:
    """A report is whole if it has its end; it may have figures of the moment."""
    if name.endswith(".json"):
        return json.loads(content)["schema_version"] == 1
    endings = {".html": b"</html>\n", ".png": b"IEND\xaeB`\x82", ".npz": b""}
    return content.endswith(endings[Path(name).suffix])


def _export(source: object, *options: str) -> Callable[[Path], list[object]]:
    return lambda folder: ["export", source, "-o", folder / "net.onnx", "--force", *options]


def _job(name: str, net: Path, folder: Path) -> Job:
    """The job of that name."""
    samples = ROOT / "samples"
    if name == "export external data":
        always = ("--external-data", "always")
        return Job(name, _export(net, *always), _old(net, folder, *always))
    if name == "reports":
        pytest.importorskip("matplotlib")
        return Job(
            name,
            lambda out: [
                "inspect", net, "--report", f"json={out / 'net.json'}",
                "--report", f"html={out / 'net.html'}", "--plot", out / "net.png",
            ],
            {"net.json": b"old", "net.html": b"old", "net.png": b"old"}, _is_whole, each=True,
        )  # fmt: skip
    if name == "inputs":
        return Job(
            name,
            lambda out: [
                "verify", net, net, "--save-inputs", out / "in.npz", "--no-power",
                "--report", f"json={out / 'net.json'}",
            ],
            {"in.npz": b"old"}, _is_whole, each=True,
        )  # fmt: skip
    if name == "optimize":
        return Job(
            name,
            lambda out: ["optimize", net, "-o", out / "net.onnx", "--force", "--no-tune"],
            _old(net, folder),
        )
    if name == "pt2":
        return Job(name, _export(_pt2(folder.with_suffix(".pt2"))), _old(net, folder))
    sources: dict[str, object] = {
        "torch": f"{samples}/torch_layers.py:Mlp",
        "keras": f"{samples}/keras_where.py:article_net",
    }
    before = {} if name == "export nothing before" else _old(net, folder)
    return Job(name, _export(sources.get(name, net)), before)


def _pt2(path: Path) -> Path:
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.PReLU(8))
    batch = {"input": {0: torch.export.Dim("batch")}}
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=batch), path)
    return path


def _kill(name: str, kills: int, net: Path, folder: Path) -> Tally:
    tally = kill_at_random(_job(name, net, folder / "before"), folder / "work", kills, SEED)
    found = ", ".join(f"{what} {count}" for what, count in sorted(tally.found.items()))
    print(
        f"\n{name}: {kills} kills, {tally.killed} in time; at the path: {found}; "
        f"temporary files after {tally.left}, which the next run removed"
    )
    return tally


@pytest.mark.parametrize("name", SHORT)
def test_a_kill_leaves_whole_files(name: str, net: Path, tmp_path: Path) -> None:
    tally = _kill(name, SHORT[name], net, tmp_path)
    assert sum(tally.found.values()) == SHORT[name]


@pytest.mark.kill
@pytest.mark.parametrize("name", SHARES)
def test_many_kills_leave_whole_files(name: str, net: Path, tmp_path: Path) -> None:
    for package in {"pt2": ("torch",), "torch": ("torch",), "keras": ("keras",)}.get(name, ()):
        pytest.importorskip(package)
    kills = max(1, round(SHARES[name] * kills_wanted() / 100))
    tally = _kill(name, kills, net, tmp_path)
    assert tally.killed > kills // 3


_NETS, _IN_BATCH = 8, 10


@pytest.fixture
def batch(net: Path, tmp_path: Path) -> tuple[list[str], Path, Files]:
    """A command that exports some nets, where to, and what an undisturbed run makes there."""
    nets = tmp_path / "nets"
    nets.mkdir()
    for number in range(_NETS):
        (nets / f"net{number:02}.onnx").write_bytes(net.read_bytes())
    undisturbed = tmp_path / "undisturbed"
    assert cli("export", nets, "-o", f"{undisturbed}/", "-q").code == 0
    out = tmp_path / "out"
    command = ["export", str(nets), "-o", f"{out}/", "--jobs", "2", "-q"]
    return [*command, "--results", str(tmp_path / "r.jsonl")], out, files_of(undisturbed)


def _kill_a_batch(command: list[str], kills: int, out: Path, new: Files) -> Counter[str]:
    """Kill one run again and again, each time after another while; then let it end."""
    random, found, results = Random(SEED), Counter[str](), Path(command[-1])
    for _ in range(kills):
        resume = ["--resume"] if results.exists() else []
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = start(*command, *resume, cwd=ROOT, **silent)
        begun, at_first = time.monotonic(), len(list(out.glob("*"))) if out.exists() else 0
        while running.poll() is None and time.monotonic() - begun < 300:
            if out.exists() and len(list(out.iterdir())) > at_first:
                break
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.3))
        running.send_signal(signal.SIGKILL)
        found["killed" if running.wait() == -signal.SIGKILL else "ended"] += 1
        for name, content in files_of(out).items() if out.exists() else ():
            assert content == new[name], f"{name} is half a file"
        if running.returncode == 0:
            break
    return found


def _completes(command: list[str], out: Path, new: Files) -> None:
    done = cli(*command, "--resume", "--format", "json")
    assert done.code == 0, done.err
    assert files_of(out) == new
    begun = time.monotonic()
    while hidden(out) and time.monotonic() - begun < 60:  # its worker notices the kill itself
        time.sleep(0.05)
    assert not hidden(out)


def test_a_batch_that_is_killed_completes(batch: tuple[list[str], Path, Files]) -> None:
    command, out, new = batch
    assert _kill_a_batch(command, 1, out, new)["killed"] == 1
    _completes(command, out, new)


@pytest.mark.kill
def test_a_batch_that_is_killed_many_times_completes(
    batch: tuple[list[str], Path, Files], tmp_path: Path
) -> None:
    command, out, new = batch
    found: Counter[str] = Counter()
    while found["killed"] < max(1, round(_IN_BATCH * kills_wanted() / 100)):
        found += _kill_a_batch(command, 3, out, new)
        _completes(command, out, new)
        for path in out.iterdir():
            path.unlink()
        (tmp_path / "r.jsonl").unlink()
    print(
        f"\nbatch: {sum(found.values())} kills, {found['killed']} in time; --resume completed each"
    )
