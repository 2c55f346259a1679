"""Try mutants: each in a child process of one that has collected the tests already.

Starting Python and pytest takes longer than the tests, so that a process for each mutant would take
hours. Here pytest collects once; every mutant is a fork, in which the module's code is exchanged in
place and the tests run that reach the changed function, the module's own first, then the fastest,
until one fails.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from making import Mutant

_PACKAGE = f"{os.sep}prelu_tools{os.sep}"
_MEMORY = 4 << 30
_PATIENCE = (5.0, 10.0)  # seconds, and times as long as the tests take without a change


@dataclass
class Reach:
    """What the tests do without any change."""

    failed: list[str] = field(default_factory=list)
    """Tests that fail all the same."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each takes, by its id."""
    by_scope: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """For each module, the tests that call each of its functions; "" for any of them."""
    files: dict[str, str] = field(default_factory=dict)
    """The hash of the file of each test, as it was run."""

    def without_changed(self, files: Mapping[str, str]) -> Reach:
        """What is still true, now that the files of the tests are these."""
        kept = {name for name, digest in self.files.items() if files.get(name) == digest}
        return Reach(
            [],
            {name: taken for name, taken in self.seconds.items() if name in kept},
            {
                module: {
                    scope: [name for name in names if name in kept]
                    for scope, names in scopes.items()
                }
                for module, scopes in self.by_scope.items()
            },
            {name: self.files[name] for name in kept},
        )


class Host:
    """A pytest plugin: in the place of running the tests, it tries mutants with them."""

    def __init__(
        self,
        mutants: Mapping[str, Sequence[Mutant]],
        jobs: int,
        until: float,
        each: float,
        cache: Path,
        tell: Callable[[str, int, str], None],
    ) -> None:
        """Try nothing yet.

        Args:
            mutants: what to try, by the name of the module.
            jobs: how many at a time.
            until: when to stop, on `time.monotonic`'s clock.
            each: a mutant that lives through so many seconds of tests has survived.
            cache: where it is kept what the tests do, if that is known.
            tell: is told the module, the number and the outcome of each mutant.
        """
        self.mutants, self.jobs, self.until, self.each = mutants, jobs, until, each
        self.cache = cache
        self.tell = tell
        self.reach = Reach()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try them."""
        if session.testsfailed:
            raise session.Failed("the tests cannot be collected")
        for module in self.mutants:
            __import__(module)
        gc.freeze()
        self._items = {item.nodeid: item for item in session.items}
        self._texts = {item.path: item.path.read_text() for item in session.items}
        digests = {item.path: sha256(item.path.read_bytes()).hexdigest() for item in session.items}
        self._files = {item.nodeid: digests[item.path] for item in session.items}
        if self.cache.exists():
            known = Reach(**json.loads(self.cache.read_text()))
            self.reach = known.without_changed(self._files)
        self._measure([name for name in self._items if name not in self.reach.seconds])
        if not self.reach.failed and len(self.reach.seconds) == len(self._items):
            self._try_all()
        return True

    def _measure(self, names: Sequence[str]) -> None:
        """Run the tests that were not run yet, as far as the time goes."""

        def measure() -> int:
            for name in names:
                if time.monotonic() < self.until:
                    _add_reach(self.reach, self._items[name])
                    self.reach.files[name] = self._files[name]
            self.cache.write_text(json.dumps(vars(self.reach)))
            return 0

        with tempfile.TemporaryDirectory() as folder:
            if names and os.waitpid(_fork(measure, folder), 0)[1] == 0:
                self.reach = Reach(**json.loads(self.cache.read_text()))
        if self.reach.failed:
            self.cache.unlink()

    def _try_all(self) -> None:
        waiting = [(name, mutant) for name, every in self.mutants.items() for mutant in every]
        waiting.reverse()
        running: dict[int, tuple[str, Mutant, float, str]] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs and time.monotonic() < self.until:
                module, mutant = waiting.pop()
                tests = self._tests(module, mutant)
                if not tests:
                    self.tell(module, mutant.number, "no test")
                    continue
                least, times = _PATIENCE
                limit = least + times * sum(self.reach.seconds[name] for name in tests)
                folder = tempfile.mkdtemp(prefix="mutant-")
                child = _fork(partial(self._try, module, mutant, tests), folder)
                running[child] = (module, mutant, time.monotonic() + limit, folder)
            if not running:
                return
            self._reap(running)

    def _reap(self, running: dict[int, tuple[str, Mutant, float, str]]) -> None:
        time.sleep(0.002)
        for child, (module, mutant, limit, folder) in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if not done and time.monotonic() < limit:
                continue
            if not done:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            survived = done and os.waitstatus_to_exitcode(status) == 0
            outcome = "survived" if survived else "killed" if done else "too slow"
            self.tell(module, mutant.number, outcome)
            del running[child]
            shutil.rmtree(folder, ignore_errors=True)

    def _tests(self, module: str, mutant: Mutant) -> list[str]:
        named = set(self.reach.by_scope.get(module, {}).get(mutant.scope, []))
        if not mutant.scope:  # a constant: whoever imports it may use it, and call nothing
            named |= {
                name for name, item in self._items.items() if module in self._texts[item.path]
            }
        own = f"{module.rpartition('.')[2]}.py::"  # the tests of just this module come first
        order = sorted(named, key=lambda name: (own not in name, self.reach.seconds[name]))
        spent = accumulate(self.reach.seconds[name] for name in order)
        return [name for name, so_far in zip(order, spent, strict=True) if so_far <= self.each]

    def _try(self, module: str, mutant: Mutant, tests: Sequence[str]) -> int:
        try:
            exchange(sys.modules[module], mutant.source)
        except Exception:
            return 1
        return int(bool(_run([self._items[name] for name in tests], hasty=True)))


def _fork(work: Callable[[], int], folder: str) -> int:
    """Do something in a child process, which writes nothing to the terminal; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        code = work()
    finally:
        os._exit(code)


def _run(items: Sequence[pytest.Item], hasty: bool) -> list[str]:
    """Run tests; the ids of those that fail, or of the first."""
    failed: list[str] = []

    class Listener:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.append(report.nodeid)

    if not items:
        return failed
    manager = items[0].config.pluginmanager
    reporter = manager.getplugin("terminalreporter")
    if reporter is not None:
        manager.unregister(reporter)
    manager.register(Listener())
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failed and hasty:
            break
    return failed


def _add_reach(reach: Reach, item: pytest.Item) -> None:
    """Run one test, and note which functions of the package it calls, and how long it takes."""
    seen = set[tuple[str, str]]()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and _PACKAGE in frame.f_code.co_filename:
            scope = frame.f_code.co_qualname.partition(".<locals>")[0]
            seen.add((str(frame.f_globals.get("__name__")), scope))

    began = time.monotonic()
    threading.setprofile(note)
    sys.setprofile(note)
    reach.failed += _run([item], hasty=False)
    sys.setprofile(None)
    reach.seconds[item.nodeid] = time.monotonic() - began
    for module, scope in {*seen, *((module, "") for module, _ in seen)}:
        reach.by_scope.setdefault(module, {}).setdefault(scope, []).append(item.nodeid)


def exchange(module: ModuleType, source: str) -> None:
    """Run other source in a loaded module, and keep the functions and classes that others hold."""
    names = vars(module)
    before = dict(names)
    exec(compile(source, str(module.__file__), "exec"), names)
    for name, old in before.items():
        new = names[name]
        if new is old or name.startswith("__"):
            continue
        if isinstance(old, type) and isinstance(new, type):
            names[name] = _exchange_class(old, new)
        elif _is_plain(old) and _is_plain(new):
            names[name] = _exchange_function(old, new)
        else:
            _hand_out(name, old, new)


def _is_plain(value: object) -> bool:
    return isinstance(value, FunctionType) and not (value.__closure__ or value.__dict__)


def _exchange_function(old: FunctionType, new: FunctionType) -> FunctionType:
    old.__code__ = new.__code__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
    return old


def _exchange_class(old: type, new: type) -> type:
    for name, value in vars(new).items():
        if name not in ("__dict__", "__weakref__", "__doc__", "__module__"):
            setattr(old, name, value)
    return old


def _hand_out(name: str, old: object, new: object) -> None:
    """Other modules that imported a value get the new one."""
    for other in list(_ours()):
        if vars(other).get(name) is old:
            setattr(other, name, new)


def _ours() -> Iterator[ModuleType]:
    for module in sys.modules.values():
        file = getattr(module, "__file__", None) or ""
        if "prelu_tools" in module.__name__ or "/tests/" in file:
            yield module
