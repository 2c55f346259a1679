"""`.pre-commit-hooks.yaml`: pre-commit itself runs the hooks, on the files of a real commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, environment
from tiny_models import save_dense, save_prelu

yaml = pytest.importorskip("yaml")
pytest.importorskip("pre_commit")
if shutil.which("git") is None:
    pytest.skip("git is not installed", allow_module_level=True)

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
HOOKS: list[dict[str, Any]] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
LIST = '[[checks]]\nreference = "net.onnx"\ncandidates = ["same.onnx"]\n'


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    found = Path(sys.executable).parent
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment(
            PATH=f"{found}{os.pathsep}{os.environ['PATH']}",
            PRE_COMMIT_HOME=str(Path.cwd() / ".cache"),
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_CONFIG_SYSTEM=os.devnull,
        ),
    )


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that has the hooks as its own, run with what is installed here."""
    monkeypatch.chdir(tmp_path)
    assert _run("git", "init", "-q").returncode == 0
    hooks = [{**hook, "language": "system"} for hook in HOOKS]
    config = {"repos": [{"repo": "local", "hooks": hooks}]}
    Path(".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    Path(".gitignore").write_text(".cache\n")
    save_dense(tmp_path / "net.onnx")
    save_dense(tmp_path / "same.onnx")
    Path("prelu-tools.toml").write_text(LIST)
    return tmp_path


def _commit(*names: str) -> subprocess.CompletedProcess[str]:
    """What pre-commit says to a commit of these files."""
    assert _run("git", "add", *names, ".gitignore", ".pre-commit-config.yaml").returncode == 0
    return _run(sys.executable, "-m", "pre_commit", "run", "--color", "never")


def test_pre_commit_takes_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = _run(sys.executable, "-m", "pre_commit", "validate-manifest", MANIFEST)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_hooks_are_installed_with_the_package_and_described() -> None:
    assert [hook["id"] for hook in HOOKS] == ["prelu-tools-verify", "prelu-tools-inspect"]
    assert {hook["language"] for hook in HOOKS} == {"python"}
    assert all(hook["description"].endswith(".") for hook in HOOKS)


def test_a_commit_of_good_models_passes(repository: Path) -> None:
    found = _commit("net.onnx", "same.onnx", "prelu-tools.toml")
    assert found.returncode == 0, found.stdout
    assert found.stdout.count("Passed") == 2


def test_a_commit_of_a_model_that_differs_is_refused(repository: Path) -> None:
    save_dense(repository / "same.onnx", slopes=(0.25, -0.5, 1.25))
    found = _commit("net.onnx", "same.onnx", "prelu-tools.toml")
    assert found.returncode == 1
    assert "1.25, expected 1.5" in " ".join(found.stdout.split())


def test_a_commit_of_models_with_findings_is_refused_whichever_it_is(repository: Path) -> None:
    bad = save_prelu(repository / "bad.onnx", slopes=(0.25, float("nan"), 1.5))
    found = _commit("net.onnx", bad.name, "same.onnx")
    assert found.returncode == 1
    assert "bad.onnx has findings that --fail-on error rejects" in found.stdout
    assert "same.onnx" in found.stdout


def test_other_files_run_no_hook(repository: Path) -> None:
    Path("notes.txt").write_text("x")
    found = _commit("notes.txt")
    assert found.returncode == 0
    assert found.stdout.count("(no files to check)Skipped") == 2
