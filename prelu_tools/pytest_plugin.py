"""The pytest plugin: a fixture that compares models, and their figures with a baseline.

def test_export(net, prelu_parity, tmp_path):
    ...
    prelu_parity(net, tmp_path / "net.onnx", min_coverage=1.0)

It does what `prelu_tools.testing.assert_parity` does, and also fails if a figure is worse than in
the baseline next to the test; `pytest --prelu-update` writes the baselines. Nothing is imported
until a test uses it.

In pytest's summary, a failure of this package is one line: where `CI` is set, pytest would repeat
the whole report there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from prelu_tools.core.results.verification.baseline import Entry
    from prelu_tools.core.results.verification.result import VerifyResult

FOLDER = "prelu_baselines"
"""Where the baselines are, next to the tests."""
_OPTION = "--prelu-update"
_WRITTEN = "prelu_baseline"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--prelu-update`."""
    parser.getgroup("prelu-tools").addoption(
        _OPTION,
        action="store_true",
        help=f"write the figures of prelu_parity to {FOLDER} next to the tests",
    )


class Parity:
    """The type of the fixture `prelu_parity`: a call compares one candidate with one reference."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        """Nothing is read yet."""
        item = request.node
        self._item = item
        self._update = bool(request.config.getoption(_OPTION))
        self._root = request.config.rootpath
        self.path = item.path.parent / FOLDER / item.path.stem / f"{_file_name(item)}.json"
        """The baseline of this test."""
        self._entries: dict[str, Entry] = {}

    def __call__(
        self,
        reference: Any,
        candidate: Any,
        *,
        name: str | None = None,
        factor: float | None = None,
        **options: Any,
    ) -> VerifyResult:
        """Compare a candidate with its reference, and its figures with the baseline.

        Args:
            reference: the correct model: a live model, a path or any other SOURCE.
            candidate: the model to compare with it.
            name: what to call this call; needed where a test makes several.
            factor: how many times as bad as before a figure may be, 1 or more; None for 2.
            **options: those of `prelu_tools.testing.assert_parity`.

        Returns:
            What was found, where it passes.

        Raises:
            AssertionError: they are not the same, a figure got worse, or there is no baseline.
            PReLUToolsError: the reference cannot be read or run, or the baseline cannot be read.
            ValueError: `factor` is less than 1, or two calls have one name.
        """
        __tracebackhide__ = True
        from prelu_tools.testing import assert_parity

        name = "parity" if name is None else name
        if factor is not None and not factor >= 1:
            raise ValueError(f"factor is {factor!r}: expected a number, 1 or more")
        if name in self._entries:
            raise ValueError(
                f"two calls of prelu_parity in one test are called {name!r}: give each a name="
            )
        result = assert_parity(reference, candidate, **options)
        return self._renew(name, result) if self._update else self._hold(name, result, factor)

    def _renew(self, name: str, result: VerifyResult) -> VerifyResult:
        from prelu_tools.commands.verify.baseline import write_baseline
        from prelu_tools.core.results.verification.baseline import entry_of

        self._entries[name] = entry_of(result, _names(result))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_baseline(self.path, self._entries)
        written = (_WRITTEN, self._shown)
        if written not in self._item.user_properties:
            self._item.user_properties.append(written)
        return result

    def _hold(self, name: str, result: VerifyResult, factor: float | None) -> VerifyResult:
        __tracebackhide__ = True
        from prelu_tools.commands.verify.baseline import read_baseline
        from prelu_tools.core.results.verification.baseline import (
            DEFAULT_FACTOR,
            Baseline,
            compared_with,
            entry_of,
        )

        known = read_baseline(self.path).entries if self.path.exists() else {}
        if name not in known:
            raise AssertionError(
                f"there is no baseline for {self._item.name!r} ({name}) in {self._shown}: run "
                f"pytest {_OPTION} {self._item.nodeid!r} to write it, then review and commit it"
            )
        self._entries[name] = entry_of(result, _names(result))
        times = DEFAULT_FACTOR if factor is None else factor
        found = compared_with(result, Baseline(self._shown, known), name, times, _names(result))
        if found.verdict != "pass":
            said = [x.replace("--update-baseline", f"pytest {_OPTION}") for x in found.reasons]
            begin = f"{said[0]}\nworse than last time, or not comparable:"
            raise AssertionError("\n  ".join([begin, *said]))
        return found

    @property
    def _shown(self) -> str:
        return os.path.relpath(self.path, self._root)


@pytest.fixture
def prelu_parity(request: pytest.FixtureRequest) -> Parity:
    """Compare a model with its reference, and its figures with those of the last time."""
    return Parity(request)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Keep a failure of this package to one line in the summary: the first of its message."""
    outcome = yield
    crash = getattr(outcome.get_result().longrepr, "reprcrash", None)
    if crash is None or call.excinfo is None or not call.excinfo.traceback:
        return
    raised_in = call.excinfo.traceback[-1].frame.f_globals.get("__name__")
    if raised_in in (__name__, "prelu_tools.testing"):
        crash.message = crash.message.partition("\n")[0]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many baselines were written; those of pytest-xdist's workers too."""
    if not terminalreporter.config.getoption(_OPTION):
        return
    reports = [r for found in terminalreporter.stats.values() for r in found]
    properties = [p for r in reports for p in getattr(r, "user_properties", ())]
    paths = {path for key, path in properties if key == _WRITTEN}
    number = f"{len(paths)} baseline{'' if len(paths) == 1 else 's'} of prelu_parity"
    terminalreporter.write_line(f"{number} written: review the changes, and commit them")


def _names(result: VerifyResult) -> dict[str, str]:
    """A candidate is often in a temporary folder, whose name changes."""
    return {report.model: "candidate" for report in result.candidates}


def _file_name(item: pytest.Item) -> str:
    """The name of a test, its class included, as a file may be called; no two tests have one."""
    whole = item.nodeid.partition("::")[2].replace("::", ".")
    plain = re.sub(r"[^\w.\-\[\]=,]", "_", whole)[:120]
    if plain == whole:
        return plain
    from hashlib import sha256

    return f"{plain}-{sha256(whole.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"
