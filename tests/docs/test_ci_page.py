"""What docs/ci.md shows is true: lists are read, workflows fit the action, commands run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from running import ROOT, cli, environment
from tiny_models import save_dense

from prelu_tools.batch.lists.jobs import check_jobs
from prelu_tools.batch.lists.keys import FIELDS
from prelu_tools.batch.lists.schema import check_schema
from prelu_tools.reports import formats_of

yaml = pytest.importorskip("yaml")
DOC = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)


def _rows(heading: str) -> list[str]:
    """The first column of the table below a heading."""
    part = DOC.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_list_is_valid_and_read() -> None:
    (text,) = _blocks("toml")
    assert Draft7Validator(check_schema()).is_valid(tomllib.loads(text))
    Path("models/deep").mkdir(parents=True)
    Path("models/deep/a.keras").touch()
    Path("prelu-tools.toml").write_text(text)
    names = [job.name for job in check_jobs().jobs]
    assert names == ["detector", "small a"]


def test_the_commands_run_in_order() -> None:
    save_dense(Path("net.onnx"))
    save_dense(Path("net-fast.onnx"))
    lines = [line[2:] for block in _blocks("console") for line in block.splitlines()]
    ours = [shlex.split(line) for line in lines if line.startswith("prelu-tools ")]
    assert [line[1] for line in ours] == ["init", "verify", "verify", "inspect", "inspect"]
    assert [cli(*line[1:]).code for line in ours] == [0, 0, 0, 0, 0]


def test_the_test_that_is_shown_passes_once_its_baseline_is_written() -> None:
    (text,) = _blocks("python")
    Path("test_net.py").write_text(text)
    save_dense(Path("net.onnx"))
    save_dense(Path("net-fast.onnx"))
    pytest_lines = [line for block in _blocks("console") for line in block.splitlines()]
    runs = [shlex.split(line[2:])[1:] for line in pytest_lines if line.startswith("$ pytest")]
    assert runs == [["--prelu-update"], []]
    for options in runs:
        found = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *_plugin(), *options],
            capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip
        assert found.returncode == 0, found.stdout
    assert Path("prelu_baselines/test_net/test_export.json").exists()


def _plugin() -> tuple[str, ...]:
    name = "prelu_tools.pytest_plugin"
    known = any(one.value == name for one in metadata.entry_points(group="pytest11"))
    return () if known else ("-p", name)


def test_the_workflows_are_yaml_and_use_what_the_action_has() -> None:
    workflow, gitlab, hooks = (yaml.safe_load(text) for text in _blocks("yaml"))
    (step,) = [s for s in workflow["jobs"]["verify"]["steps"] if "prelu-tools" in s["uses"]]
    assert set(step["with"]) <= set(ACTION["inputs"])
    reports = dict(line.split("=") for line in step["with"]["reports"].split())
    assert set(reports) <= set(formats_of("verify"))
    assert gitlab["verify"]["artifacts"]["reports"]["junit"] == "verify.xml"
    assert any("--report junit=verify.xml" in line for line in gitlab["verify"]["script"])
    manifest: Any = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (repo,) = hooks["repos"]
    assert {hook["id"] for hook in repo["hooks"]} == {hook["id"] for hook in manifest}


def test_the_tables_name_every_format_and_every_input() -> None:
    assert set(_rows("Reports")) == set(formats_of("verify"))
    documented = {name for name in _rows("GitHub") if name in ACTION["inputs"]}
    assert documented == set(ACTION["inputs"])
    assert all(f"`{name}`" in DOC for name in ACTION["outputs"])


def test_the_keys_that_may_follow_a_match_are_keys() -> None:
    assert {"candidates", "inputs", "name", "layouts"} <= set(FIELDS)


def test_it_is_linked() -> None:
    assert "(docs/ci.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(ci.md)" in (ROOT / "docs/verify.md").read_text(encoding="utf-8")
