"""A marker that CI requires, and that ran no test, fails the session; with workers too."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, environment

_TESTS = """
import pytest


@pytest.mark.torch
def test_torch():
    pass


@pytest.mark.keras
@pytest.mark.skip(reason="a package is missing")
def test_keras():
    pass


@pytest.mark.slow
@pytest.mark.xfail(reason="not yet")
def test_slow():
    raise AssertionError


def test_plain():
    pass
"""
_INI = """
[pytest]
addopts = --strict-markers -p required_markers -p no:cacheprovider
markers =
    torch: one
    keras: two
    slow: three
    real_models: four
"""


def _session(folder: Path, required: str, *arguments: str) -> tuple[int, str]:
    (folder / "test_some.py").write_text(_TESTS)
    (folder / "pytest.ini").write_text(_INI)
    path = f"{ROOT / 'tests'}:{ROOT}"
    variables = {"PYTHONPATH": path, "PRELU_REQUIRED_MARKERS": required}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **variables),
        check=False,
    )
    return done.returncode, done.stdout


_WORKERS = ("-p", "xdist", "-n", "2")
_HAS_WORKERS = pytest.mark.skipif(not importlib.util.find_spec("xdist"), reason="needs xdist")


@pytest.mark.parametrize(
    ("required", "missing", "workers"),
    [
        ("", "", ()),
        ("torch keras", "keras", ()),
        ("slow real_models torch", "real_models slow", ()),
        pytest.param("torch", "", _WORKERS, marks=_HAS_WORKERS),
        pytest.param("torch keras", "keras", _WORKERS, marks=_HAS_WORKERS),
    ],
)
def test_a_required_marker_has_to_have_run_and_passed(
    required: str, missing: str, workers: tuple[str, ...], tmp_path: Path
) -> None:
    code, out = _session(tmp_path, required, *workers)
    assert code == (1 if missing else 0), out
    lines = [line for line in out.splitlines() if "PRELU_REQUIRED_MARKERS" in line]
    if missing:
        assert lines == [
            f"ERROR: PRELU_REQUIRED_MARKERS asks for {missing}, and no such test ran and passed"
        ]
    else:
        assert lines == []


def test_no_tests_at_all_do_not_pass(tmp_path: Path) -> None:
    code, out = _session(tmp_path, "torch", "-k", "nothing_like_it")
    assert code == 1
    assert "asks for torch" in out


def test_listing_the_tests_is_no_session(tmp_path: Path) -> None:
    assert _session(tmp_path, "keras", "--collect-only")[0] == 0


def test_this_session_listens() -> None:
    text = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert 'pytest_plugins = ["required_markers"]' in text
