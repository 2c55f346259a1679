"""A mistyped command, the version, and colours: what a user meets first."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import cli
from tiny_models import save_dense

from prelu_tools import __version__

ESCAPE = "\033["


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("inspct", "inspect"), ("verfy", "verify"), ("optimise", "optimize"), ("exports", "export")],
)
def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    found = cli(typed, "net.onnx")
    assert found.code == 2
    assert f"there is no command '{typed}': did you mean {meant}?" in found.err


def test_a_command_like_none_is_answered_with_all() -> None:
    found = cli("xyz")
    assert found.code == 2
    assert "expected completion, doctor, export, init, inspect, optimize" in found.err


def test_an_option_before_the_command_is_no_command() -> None:
    found = cli("--nothing", "inspect")
    assert found.code == 2
    assert "No such option" in found.err


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(flag: str) -> None:
    found = cli(flag)
    assert (found.code, found.out) == (0, f"prelu-tools, version {__version__}\n")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_colours_are_forced_and_refused_by_the_usual_variables(
    variables: dict[str, str], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = save_dense(tmp_path / "net.onnx")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = cli("verify", net, net)
    assert found.code == 0
    assert (ESCAPE in found.out) is expected
    report = tmp_path / "report.txt"
    assert cli("verify", net, net, "--report", f"table={report}").code == 0
    assert ESCAPE not in report.read_text()
