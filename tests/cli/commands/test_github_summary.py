"""`--format github`: annotations on standard output, and the step's summary beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import cli
from tiny_models import save_dense

from prelu_tools.cli import github

CHECKS = """

[[checks]]
name = "good"
reference = "net.onnx"
candidates = ["net.onnx"]
[[checks]]
name = "bad"
reference = "net.onnx"
candidates = ["other.onnx"]
"""


@pytest.fixture(autouse=True)
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a repository, and a runner's variables."""
    project = tmp_path / "repository/sub"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repository"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    save_dense(Path("net.onnx"))
    save_dense(Path("other.onnx"), slopes=(0.25, -0.5, 1.25))
    Path("prelu-tools.toml").write_text(CHECKS)
    return tmp_path / "summary.md"


def test_a_list_is_annotated_and_summed_up(summary: Path) -> None:
    found = cli("verify", "--format", "github")
    assert found.code == 1
    assert found.out.count("::error ") == 1
    assert "::error file=sub/prelu-tools.toml,line=7,title=prelu-tools verify%3A bad" in found.out
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("## FAIL: `prelu-tools.toml`")


def test_a_single_check_too_and_what_was_there_stays(summary: Path) -> None:
    summary.write_text("before\n")
    assert cli("verify", "net.onnx", "net.onnx", "--format", "github").code == 0
    assert cli("verify", "net.onnx", "other.onnx", "--report", "github=log.txt", "-q").code == 1
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n\n## PASS: `net.onnx`")
    assert "## FAIL: `other.onnx` compared with `net.onnx`" in text
    assert Path("log.txt").read_text().startswith("::error title=")


def test_a_report_to_the_summary_is_put_behind_it(summary: Path) -> None:
    summary.write_text("before\n")
    assert cli("verify", "net.onnx", "net.onnx", "-q", "--report", f"markdown={summary}").code == 0
    assert summary.read_text(encoding="utf-8").startswith("before\n\n## PASS")


def test_other_formats_write_no_summary(summary: Path) -> None:
    assert cli("verify", "net.onnx", "net.onnx").code == 0
    assert not summary.exists()


def test_outside_of_a_runner_there_is_no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    monkeypatch.delenv("GITHUB_WORKSPACE")
    found = cli("verify", "--format", "github")
    assert found.code == 1
    assert "file=prelu-tools.toml,line=7" in found.out


def test_an_error_is_an_annotation_too(summary: Path) -> None:
    found = cli("verify", "gone.onnx", "net.onnx", "--format", "github")
    assert found.code == 3
    assert found.out == (
        "::error title=prelu-tools verify::gone.onnx cannot be read: no such file or directory\n"
    ) or found.out.startswith("::error title=prelu-tools verify::gone.onnx cannot be read")
    assert "gone.onnx cannot be read" in found.err
    assert not summary.exists()
    assert cli("verify", "gone.onnx", "net.onnx", "--format", "github", "-q").out == found.out


def test_a_summary_that_is_too_long_is_cut_between_blocks(
    summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "MOST_BYTES", 400)
    github.append_summary("\n\n".join(f"block {number} " + "x" * 90 for number in range(9)) + "\n")
    text = summary.read_text(encoding="utf-8")
    assert len(text.encode()) <= 400
    assert text.startswith("block 0 ")
    assert text.rstrip().endswith("x\n\n*Truncated: a summary is limited to 1 MB.*")
    for _ in range(5):
        github.append_summary("more\n" * 100)
    assert len(summary.read_bytes()) <= 401


def test_a_summary_that_cannot_be_written_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere/summary.md"))
    found = cli("verify", "net.onnx", "net.onnx", "--format", "github")
    assert found.code == 3
    assert "cannot be written" in found.err
