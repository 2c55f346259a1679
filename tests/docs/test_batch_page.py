"""What docs/batch.md shows is true: its commands run in order, its table is what is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from running import ROOT, cli
from tiny_models import save_dense

DOC = (ROOT / "docs/batch.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models/sub").mkdir(parents=True)
    save_dense(Path("models/net.onnx"))
    save_dense(Path("models/sub/other.onnx"), slopes=(0.125, -0.5, 1.5))


def _commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", DOC, re.DOTALL)
    return [shlex.split(line[2:])[1:] for block in blocks for line in block.splitlines()]


def test_every_command_runs_in_order() -> None:
    Path("pairs.csv").write_text("reference,candidate\nmodels/net.onnx,clean/net.onnx\n")
    commands = _commands()
    assert len(commands) == 9
    for command in commands:
        found = cli(*command)
        assert found.code == 0, f"{command}: {found.words}"
    assert len(Path("slopes.jsonl").read_text().splitlines()) == 2


def test_the_table_is_what_is_printed() -> None:
    Path("models/bad.onnx").write_bytes(b"nonsense")
    (shown,) = re.findall(r"```text\n(.*?)```", DOC, re.DOTALL)
    assert cli("inspect", "models/").out == shown


def test_every_option_and_format_is_named() -> None:
    for word in (
        "--jobs",
        "--results",
        "--resume",
        "--timeout",
        "--memory-limit",
        "--dask",
        "--each",
    ):
        assert word in DOC
        assert word in cli("inspect", "--help").out
    for form in ("table", "markdown", "json", "csv", "html", "junit", "github"):
        assert f"`{form}`" in DOC
