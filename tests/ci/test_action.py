"""`action.yml`: its steps as a runner runs them, with bash, in a project and its environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest
from running import ROOT, cli, environment
from tiny_models import save_dense

yaml = pytest.importorskip("yaml")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
_EXPRESSION = re.compile(r"\$\{\{\s*(\S+?)\s*\}\}")


def _value(text: str, inputs: Mapping[str, str], folder: Path) -> str:
    """An expression as a runner fills it in; every input has its default."""

    def known(found: re.Match[str]) -> str:
        scope, _, name = found[1].partition(".")
        if scope == "inputs":
            return inputs.get(name, ACTION["inputs"][name]["default"])
        return {"github.action_path": str(ROOT), "runner.temp": str(folder / "temp")}[found[1]]

    return _EXPRESSION.sub(known, text)


class Runner:
    """A runner's environment around a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "repository/models"
        self.project.mkdir(parents=True)
        (folder / "temp").mkdir()
        self.output, self.summary = folder / "output", folder / "summary"

    def run(self, name: str, path: str = "", **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run a step by its name; inputs have `_` for `-`."""
        step = STEPS[name]
        given = {
            "working-directory": "models",
            **{k.replace("_", "-"): v for k, v in inputs.items()},
        }
        variables = {k: _value(v, given, self.folder) for k, v in step.get("env", {}).items()}
        where = (
            self.folder
            / "repository"
            / _value(step.get("working-directory", "."), given, self.folder)
        )
        script = self.folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        assert step["shell"] == "bash"
        found = Path(sys.executable).parent
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=where,
            env=environment(
                **variables,
                PATH=f"{path or found}{os.pathsep}{os.environ['PATH']}",
                GITHUB_ACTIONS="true",
                GITHUB_OUTPUT=str(self.output),
                GITHUB_STEP_SUMMARY=str(self.summary),
                GITHUB_WORKSPACE=str(self.folder / "repository"),
            ),
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def outputs(self) -> dict[str, str]:
        """What the last step put out."""
        pairs = (line.partition("=") for line in self.output.read_text().splitlines())
        return {name: value for name, _, value in pairs}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    found = Runner(tmp_path)
    save_dense(found.project / "net.onnx")
    save_dense(found.project / "it is.onnx")
    save_dense(found.project / "wrong.onnx", slopes=(0.25, -0.5, 1.25))
    _list(found, "it is.onnx")
    return found


def _list(runner: Runner, candidate: str) -> None:
    text = f'\n[[checks]]\nreference = "net.onnx"\ncandidates = ["{candidate}"]\n'
    (runner.project / "prelu-tools.toml").write_text(text)


# What it says of itself: the rules of GitHub's metadata for composite actions


def test_the_metadata_keeps_the_rules() -> None:
    assert set(ACTION) == {"name", "description", "branding", "inputs", "outputs", "runs"}
    assert set(ACTION["runs"]) == {"using", "steps"}
    assert ACTION["runs"]["using"] == "composite"
    for name, one in {**ACTION["inputs"], **ACTION["outputs"]}.items():
        assert re.fullmatch(r"[a-z_][a-z0-9_-]*", name)
        assert one["description"].strip().endswith(".")
    for one in ACTION["inputs"].values():
        assert set(one) == {"description", "required", "default"}
        assert (one["required"], type(one["default"])) == (False, str)
    for name, one in ACTION["outputs"].items():
        assert one["value"] == f"${{{{ steps.verify.outputs.{name} }}}}"
    for step in ACTION["runs"]["steps"]:
        known = {"name", "id", "if", "shell", "env", "run", "working-directory", "uses", "with"}
        assert set(step) <= known
        assert ("run" in step) != ("uses" in step)
        assert ("run" in step) == ("shell" in step)


def test_every_input_is_used_and_none_stands_in_a_script() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name in ACTION["inputs"]:
        assert f"inputs.{name} " in text
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", ""), "what a user gives would be code"


def test_nothing_is_uploaded() -> None:
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert used == ["actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065"]


def test_every_action_is_pinned_by_its_commit_and_says_its_version() -> None:
    for path in ("action.yml", "docs/ci.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        found = re.findall(r"uses: (\S+)@(\S+)(.*)", text)
        assert found
        for name, ref, rest in found:
            own = name == "OWNER/prelu-tools" and ref == "COMMIT"
            assert own or re.fullmatch("[0-9a-f]{40}", ref), (path, name, ref)
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", rest), (path, name)


def test_it_needs_no_token() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert "token" not in text.lower()
    assert "secrets" not in text
    workflow = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    assert "permissions:\n  contents: read\n" in workflow


# What it does


def test_a_record_is_verified_without_extras(runner: Runner) -> None:
    net = runner.project / "net.onnx"
    assert cli("record", net, "-o", net.with_suffix(".npz"), "-q").code == 0
    for candidate, verdict in (("net.onnx", "pass"), ("wrong.onnx", "fail")):
        runner.run("Verify", arguments=f"net.npz {candidate}")
        assert runner.outputs["verdict"] == verdict


def test_a_list_that_holds_passes(runner: Runner) -> None:
    found = runner.run("Verify")
    assert found.returncode == 0, found.stderr
    assert "PASS prelu-tools.toml: 1 check, 1 passed" in found.stdout
    report = runner.outputs.pop("report")
    assert Path(report).read_text(encoding="utf-8").startswith('{\n  "schema_version": 2')
    assert {k: v for k, v in runner.outputs.items() if k != "report"} == {
        "verdict": "pass",
        "exit-code": "0",
    }
    summary = runner.summary.read_text(encoding="utf-8")
    assert summary.startswith("## PASS")
    assert "| reference | candidates | max abs diff |" in summary


@pytest.mark.parametrize(
    ("candidate", "code", "verdict"), [("wrong.onnx", 1, "fail"), ("gone.onnx", 3, "inconclusive")]
)
def test_a_list_that_does_not_hold_fails_the_step(
    runner: Runner, candidate: str, code: int, verdict: str
) -> None:
    _list(runner, candidate)
    found = runner.run("Verify")
    assert found.returncode == code
    assert "::error file=models/prelu-tools.toml,line=2," in found.stdout
    assert (runner.outputs["verdict"], runner.outputs["exit-code"]) == (verdict, str(code))


def test_arguments_are_split_as_a_shell_splits_and_never_run(runner: Runner) -> None:
    found = runner.run(
        "Verify",
        arguments="net.onnx 'it is.onnx'\n  --samples 3",
        reports="junit=out 1.xml\n\nhtml=out.html\n",
    )
    assert found.returncode == 0, found.stderr
    assert "3 samples" in found.stdout
    assert (runner.project / "out 1.xml").exists()
    assert (runner.project / "out.html").exists()
    for hostile in ("$(touch pwned) `touch pwned`; touch pwned", "net.onnx 'open"):
        found = runner.run("Verify", arguments=hostile)
        assert found.returncode not in (0, None)
        assert not (runner.project / "pwned").exists()


def test_a_baseline_is_passed_on(runner: Runner) -> None:
    found = runner.run("Verify", baseline="b.json", baseline_factor="3")
    assert found.returncode == 3
    assert "the baseline b.json cannot be read" in found.stdout
    assert runner.outputs["verdict"] == "inconclusive"
    assert "report" not in runner.outputs
    update = runner.run("Verify", baseline="b.json", arguments="--update-baseline")
    assert update.returncode == 0, update.stderr
    assert runner.run("Verify", baseline="b.json", baseline_factor="3").returncode == 0


def test_usage_is_told_apart(runner: Runner) -> None:
    assert runner.run("Verify", arguments="--nonsense").returncode == 2
    assert runner.outputs["verdict"] == "usage"
    summary = runner.summary.read_text(encoding="utf-8")
    assert summary.startswith("## No verdict: exit code 2\n\n```text\n")
    assert "No such option" in summary


def test_a_summary_without_a_result_cannot_be_broken_out_of(runner: Runner) -> None:
    found = runner.run("Verify", arguments="'```\n# owned\n' net.onnx")
    assert found.returncode == 3
    summary = runner.summary.read_text(encoding="utf-8")
    assert summary.count("```") == 2
    assert "\n# owned" not in summary


def test_it_installs_itself(runner: Runner, tmp_path: Path) -> None:
    """The real pip, in an environment of its own; what it would download is there already."""
    source = tmp_path / "action"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "prelu_tools", source / "prelu_tools")
    made = tmp_path / "venv"
    venv.create(made, with_pip=False, symlinks=True)
    outer = next(p for p in sys.path if p.endswith("site-packages"))
    (site,) = made.glob("lib/python*/site-packages")
    (site / "outer.pth").write_text(f"{outer}\n")
    quiet = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    os.environ.update(quiet)  # the last one means: no isolation
    try:
        found = runner.run("Install prelu-tools", str(made / "bin"), package=str(source))
    finally:
        for name in quiet:
            del os.environ[name]
    assert found.returncode == 0, found.stdout + found.stderr
    assert (site / "prelu_tools/prelu-tools.schema.json").exists()
    assert (site / "prelu_tools/reports/assets/page.html").exists()


@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        ({}, str(ROOT)),
        ({"extras": "torch,keras"}, f"{ROOT}[torch,keras]"),
        ({"package": "prelu-tools==0.1.0", "extras": "torch"}, "prelu-tools[torch]==0.1.0"),
        ({"package": "prelu-tools", "extras": "torch"}, "prelu-tools[torch]"),
        ({"package": "./sub", "extras": "torch"}, "./sub[torch]"),
    ],
)
def test_what_pip_is_given(runner: Runner, inputs: dict[str, str], target: str) -> None:
    shim = runner.folder / "bin"
    shim.mkdir()
    (shim / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (shim / "python").chmod(0o755)
    found = runner.run("Install prelu-tools", str(shim), **inputs)
    assert found.stdout.split("\n")[:5] == [
        "-m", "pip", "install", "--disable-pip-version-check", target,
    ]  # fmt: skip
