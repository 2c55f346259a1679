"""The pytest plugin, in processes of its own: baselines beside the tests, and no cost unused."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from running import ROOT
from tiny_models import save_dense

pytest_plugins = ["pytester"]
_ENTRY = "prelu_tools.pytest_plugin"
_FILE = "prelu_baselines/test_net/test_export.json"
TEST = """
def test_export(prelu_parity):
    found = prelu_parity({reference!r}, {candidate!r}, tolerance=(0, 1e-3), {more})
    assert found.verdict == "pass"
"""


def _is_installed() -> bool:
    return any(one.value == _ENTRY for one in metadata.entry_points(group="pytest11"))


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    """A project with two models and a test of them."""
    save_dense(pytester.path / "net.onnx")
    save_dense(pytester.path / "same.onnx")
    _write(pytester)
    return pytester.path


def _write(pytester: pytest.Pytester, more: str = "") -> None:
    text = TEST.format(reference="net.onnx", candidate="same.onnx", more=more)
    pytester.makepyfile(test_net=text)


def _pytest(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    plugin = () if _is_installed() else ("-p", _ENTRY)
    quick = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    return pytester.runpytest_subprocess(*plugin, *quick, *options)


def test_it_is_an_entry_point_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"prelu_tools": _ENTRY}


def test_a_missing_baseline_fails_and_says_how_to_make_it(
    folder: Path, pytester: pytest.Pytester
) -> None:
    found = _pytest(pytester)
    found.assert_outcomes(failed=1)
    said = found.stdout.str()
    assert f"there is no baseline for 'test_export' (parity) in {_FILE}" in said
    assert "run pytest --prelu-update 'test_net.py::test_export' to write it" in said
    assert not (folder / "prelu_baselines").exists()


def test_update_writes_it_and_the_next_run_holds_against_it(
    folder: Path, pytester: pytest.Pytester
) -> None:
    written = _pytest(pytester, "--prelu-update")
    written.assert_outcomes(passed=1)
    assert "1 baseline of prelu_parity written: review the changes" in written.stdout.str()
    first = (folder / _FILE).read_bytes()
    document = json.loads(first)
    assert "candidate[cpu] output y" in document["checks"]["parity"]["figures"]
    held = _pytest(pytester)
    held.assert_outcomes(passed=1)
    assert "written" not in held.stdout.str()
    assert (folder / _FILE).read_bytes() == first
    save_dense(folder / "same.onnx", bias=2e-4)
    worse = _pytest(pytester)
    worse.assert_outcomes(failed=1)
    assert "candidate[cpu] output y: max_abs_diff is 0.0003" in worse.stdout.str()
    _write(pytester, "samples=4")
    other = _pytest(pytester)
    other.assert_outcomes(failed=1)
    assert (
        "and this run on 4 samples with seed 0: update it with pytest --prelu-update"
        in other.stdout.str()
    )


def test_a_failure_shows_the_line_of_the_test_and_none_of_the_library(
    folder: Path, pytester: pytest.Pytester
) -> None:
    save_dense(folder / "other.onnx", slopes=(0.25, -0.5, 1.25))
    pytester.makepyfile(
        test_lines="""
        import unittest
        from prelu_tools.testing import assert_parity, assert_slopes_equal

        def test_parity():
            assert_parity("net.onnx", "other.onnx", power=False)

        def test_slopes():
            assert_slopes_equal("net.onnx", "other.onnx")

        def test_fixture(prelu_parity):
            prelu_parity("net.onnx", "other.onnx", power=False)

        def test_missing():
            assert_slopes_equal("net.onnx", "gone.onnx")

        def test_usage():
            assert_parity("net.onnx", "other.onnx", samples=-1)

        class TestUnit(unittest.TestCase):
            def test_unit(self):
                assert_slopes_equal("net.onnx", "other.onnx")
        """
    )
    found = pytester.runpytest_inprocess("-p", "no:cacheprovider", "test_lines.py")
    found.assert_outcomes(failed=6)
    text = found.stdout.str()
    assert "act: 1 of 3 slopes differ" in text
    assert not [line for line in text.splitlines() if "prelu_tools/" in line or "pathlib" in line]
    assert text.count(">   ") == 6  # one line of code each


def test_the_summary_has_one_line_for_a_failure_and_the_report_is_shown_once(
    folder: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_dense(folder / "other.onnx", slopes=(0.25, -0.5, 1.25))
    _write(pytester, "quick=True")
    pytester.makepyfile(
        test_more="""
        from prelu_tools.testing import assert_parity, assert_slopes_equal

        def test_parity():
            assert_parity("net.onnx", "other.onnx", quick=True)

        def test_slopes():
            assert_slopes_equal("net.onnx", "other.onnx")

        def test_own():
            assert 1 == 2, "first" + chr(10) + "second"
        """
    )
    assert _pytest(pytester, "--prelu-update", "test_net.py").ret == 0
    save_dense(folder / "same.onnx", bias=2e-4)
    monkeypatch.setenv("CI", "true")
    found = _pytest(pytester)
    found.assert_outcomes(failed=4)
    report, _, summary = found.stdout.str().partition("short test summary info")
    assert report.count("max abs diff") == 1
    told = [line.partition(" - ")[2] for line in summary.splitlines() if " - " in line]
    assert [one.partition("act")[0] for one in told[:2]] == [
        "AssertionError: FAIL  other.onnx: ", "AssertionError: "
    ]  # fmt: skip
    assert told[2] == "AssertionError: first"
    assert "second" in summary  # of other tests, pytest shows what it always does
    assert "candidate[cpu] layer act: max_abs_diff is 0.0003" in told[3]
    assert not [more for more in ("max abs diff", "Not equal", "worse than") if more in summary]


def test_models_that_differ_fail_and_are_no_baseline(
    folder: Path, pytester: pytest.Pytester
) -> None:
    save_dense(folder / "same.onnx", slopes=(0.25, -0.5, 1.25))
    found = _pytest(pytester, "--prelu-update")
    found.assert_outcomes(failed=1)
    assert "Not equal: net.onnx (reference), same.onnx" in found.stdout.str()
    assert not (folder / _FILE).exists()


def test_a_baseline_that_cannot_be_read_is_said(folder: Path, pytester: pytest.Pytester) -> None:
    (folder / _FILE).parent.mkdir(parents=True)
    (folder / _FILE).write_text("{")
    found = _pytest(pytester)
    found.assert_outcomes(failed=1)
    assert "is not valid JSON" in found.stdout.str()


def test_each_test_has_a_file_and_each_call_a_name(pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makepyfile(
        test_net="""
        import pytest

        class TestNets:
            @pytest.mark.parametrize("text", ["a/b", "a:b", "plain"])
            def test_two(self, prelu_parity, text):
                for name in ("first", "second"):
                    prelu_parity("net.onnx", "same.onnx", name=name, power=False)

        def test_one_name(prelu_parity):
            prelu_parity("net.onnx", "same.onnx", power=False)
            with pytest.raises(ValueError, match="give each a name="):
                prelu_parity("net.onnx", "same.onnx", power=False)
            with pytest.raises(ValueError, match="1 or more"):
                prelu_parity("net.onnx", "same.onnx", name="x", factor=0.5)
        """
    )
    written = _pytest(pytester, "--prelu-update", "-n", "2")
    written.assert_outcomes(passed=4)
    assert "4 baselines of prelu_parity written" in written.stdout.str()
    files = sorted(path.name for path in (folder / "prelu_baselines/test_net").iterdir())
    assert len(files) == 4
    assert {"TestNets.test_two[plain].json", "test_one_name.json"} <= set(files)
    document: Any = json.loads((folder / "prelu_baselines/test_net" / files[0]).read_text())
    assert set(document["checks"]) == {"first", "second"}
    _pytest(pytester).assert_outcomes(passed=4)


def test_unused_it_loads_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert "prelu_tools.pytest_plugin" in sys.modules
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert loaded & {"numpy", "onnx", "onnxruntime", "torch", "keras", "click"} == set()
            ours = {name for name in sys.modules if name.startswith("prelu_tools.")}
            known = {"pytest_plugin", "core", "core.process", "core.process.lazily"}
            known |= {"core.results", "core.results.showing"}
            assert ours == {f"prelu_tools.{name}" for name in known}
        """
    )
    _pytest(pytester).assert_outcomes(passed=1)
