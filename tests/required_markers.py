"""A pytest plugin: a marker that CI requires, and that ran no test, fails the session.

`PRELU_REQUIRED_MARKERS` names the markers, separated by blanks. Tests that were skipped because a
package is missing are silent otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

VARIABLE = "PRELU_REQUIRED_MARKERS"
_passed = pytest.StashKey[set[str]]()


def _missing(config: pytest.Config) -> list[str]:
    if config.option.collectonly or hasattr(config, "workerinput"):
        return []
    wanted = os.environ.get(VARIABLE, "").split()
    return sorted(set(wanted) - config.stash[_passed])


def pytest_configure(config: pytest.Config) -> None:
    """Start with no marker seen."""
    config.stash[_passed] = set()
    config.pluginmanager.register(_Listener(config), "required-markers-listener")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a test's markers on its report, which reaches the main process from a worker too."""
    report = yield
    report.__dict__["markers"] = sorted({mark.name for mark in item.iter_markers()})
    return report


class _Listener:
    """Sees the reports of every test, wherever it ran."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.passed:
            self._config.stash[_passed].update(getattr(report, "markers", ()))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say in one line what did not run."""
    missing = _missing(config)
    if missing:
        terminalreporter.write_line(
            f"ERROR: {VARIABLE} asks for {' '.join(missing)}, and no such test ran and passed",
            red=True,
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that would pass without them."""
    passing = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if _missing(session.config) and session.exitstatus in passing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
