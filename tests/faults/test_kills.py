"""Kill -9 at random moments: the old file whole, the new one whole, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from killing import Files, Job, Tally, kill_at_random, kills_wanted
from onnx import helper
from running import ROOT, cli
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
