"""Try mutants: each in a child process of one that has collected the tests already.

Starting Python and pytest takes longer than the tests, so that a process for each mutant would take
hours. Here pytest collects once; every mutant is a fork, in which the module's code is exchanged in
place and the tests run that execute the changed statement, until one fails. The likeliest come
first: those that are fast and have killed other mutants of the same function.
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
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
_PROCESSOR = (2.0, 10.0)  # seconds of it for a test, and times as long as it takes unchanged
_PATIENCE = (60.0, 100.0)  # the same for all of them on the clock, where a mutant waits
_FREE = 0.01  # seconds: so short a test runs however many there are, and those of the module do
_KILLER = "killer"


@dataclass
class Run:
    """What one test does without any change."""

    file: str
    """The hash of its file."""
    seconds: float = 0.0
    """How long it takes, of CPU time: a busy machine changes nothing."""
    scopes: dict[str, list[str]] = field(default_factory=dict)
    """The functions that it calls, by the module of the package."""
    lines: dict[str, list[int]] = field(default_factory=dict)
    """The lines that it executes in the modules that are changed."""

    def reaches(self, module: str, mutant: Mutant) -> bool:
        """Whether it may notice a change there."""
        if not mutant.scope:
            return module in self.scopes
        if mutant.statement is None:
            return mutant.scope in self.scopes.get(module, ())
        first, last = mutant.statement
        return any(first <= line <= last for line in self.lines.get(module, ()))


@dataclass
class Reach:
    """What the tests do without any change."""

    modules: dict[str, str] = field(default_factory=dict)
    """The hash of each module of the package as it was then."""
    runs: dict[str, Run] = field(default_factory=dict)
    """By the test's id."""
    failed: list[str] = field(default_factory=list)
    """Tests that fail all the same."""

    @classmethod
    def read(cls, path: Path) -> Reach:
        """As it was written; empty, if it was not."""
        if not path.exists():
            return cls()
        found = json.loads(path.read_text())
        runs = {name: Run(**run) for name, run in found["runs"].items()}
        return cls(found["modules"], runs, found["failed"])

    def as_of(self, modules: dict[str, str], files: Mapping[str, str]) -> Reach:
        """What is still true of tests with these files, of modules with these sources."""
        changed = {name for name, digest in modules.items() if self.modules.get(name) != digest}
        kept = {
            name: run
            for name, run in self.runs.items()
            if files.get(name) == run.file and not changed & set(run.scopes)
        }
        return Reach(modules, kept)


class _Killers:
    """Which tests killed mutants so far, for the order of those to come."""

    def __init__(self) -> None:
        self._tried: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._killed: defaultdict[tuple[str, str], int] = defaultdict(int)

    def note(self, places: Sequence[str], tests: Sequence[str], killer: str | None) -> None:
        """These tests ran on a mutant there; the last of them killed it, or none did."""
        for place in places:
            for test in tests:
                self._tried[place, test] += 1
            if killer:
                self._killed[place, killer] += 1

    def rate(self, places: Sequence[str], test: str, guess: float) -> float:
        """The share of mutants that a test is expected to kill; wide places come first."""
        for place in places:
            guess = (self._killed[place, test] + guess) / (self._tried[place, test] + 1)
        return guess


@dataclass
class _Trial:
    module: str
    mutant: Mutant
    tests: list[str]
    until: float
    folder: Path

    @property
    def places(self) -> tuple[str, str]:
        return self.module, f"{self.module}:{self.mutant.scope}"


class Host:
    """A pytest plugin: in the place of running the tests, it tries mutants with them."""

    def __init__(
        self,
        mutants: Mapping[str, Sequence[Mutant]],
        jobs: int,
        until: float,
        each: float,
        cache: Path,
        tell: Callable[[str, str, str], None],
    ) -> None:
        """Try nothing yet.

        Args:
            mutants: what to try, by the name of the module; none of a module that is watched only.
            jobs: how many at a time.
            until: when to stop, on `time.monotonic`'s clock.
            each: a mutant that lives through so many seconds of tests has survived.
            cache: where it is kept what the tests do, if that is known.
            tell: is told the module, the digest and the outcome of each mutant.
        """
        self.mutants, self.jobs, self.until, self.each = mutants, jobs, until, each
        self.cache = cache
        self.tell = tell
        self.reach = Reach()
        self._killers = _Killers()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try them."""
        if session.testsfailed:
            raise session.Failed("the tests cannot be collected")
        for module in self.mutants:
            __import__(module)
        files = {module: str(sys.modules[module].__file__) for module in self.mutants}
        self._sources = {module: Path(file).read_text() for module, file in files.items()}
        gc.freeze()
        self._items = {item.nodeid: item for item in session.items}
        self._texts = {item.path: item.path.read_text() for item in session.items}
        digests = {path: sha256(text.encode()).hexdigest() for path, text in self._texts.items()}
        tests = {item.nodeid: digests[item.path] for item in session.items}
        self.reach = Reach.read(self.cache).as_of(_sources(), tests)
        self._measure({name: file for name, file in tests.items() if name not in self.reach.runs})
        if not self.reach.failed and tests.keys() <= self.reach.runs.keys():
            self._try_all()
        return True

    def _measure(self, files: Mapping[str, str]) -> None:
        """Run the tests that were not run yet, as far as the time goes."""

        def measure() -> int:
            for name, file in files.items():
                if time.monotonic() < self.until:
                    run = self.reach.runs[name] = Run(file)
                    self.reach.failed += _watch(run, self._items[name], set(self.mutants))
            self.cache.write_text(json.dumps(asdict(self.reach)))
            return 0

        with tempfile.TemporaryDirectory() as folder:
            if files and os.waitpid(_fork(measure, folder), 0)[1] == 0:
                self.reach = Reach.read(self.cache)
        if self.reach.failed:
            self.cache.unlink()

    def _try_all(self) -> None:
        waiting = [(name, mutant) for name, every in self.mutants.items() for mutant in every]
        waiting.reverse()
        running: dict[int, _Trial] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs and time.monotonic() < self.until:
                module, mutant = waiting.pop()
                tests = self._tests(module, mutant)
                if not tests:
                    self.tell(module, mutant.digest, "no test")
                    continue
                least, times = _PATIENCE
                limit = least + times * sum(self.reach.runs[name].seconds for name in tests)
                folder = Path(tempfile.mkdtemp(prefix="mutant-"))
                trial = _Trial(module, mutant, tests, time.monotonic() + limit, folder)
                running[_fork(partial(self._try, trial), str(folder))] = trial
            if not running:
                return
            self._reap(running)

    def _reap(self, running: dict[int, _Trial]) -> None:
        time.sleep(0.002)
        for child, trial in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if not done and time.monotonic() < trial.until:
                continue
            if not done:
                os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
            code = os.waitstatus_to_exitcode(status)
            outcome = {0: "survived", -signal.SIGPROF: "too slow", -signal.SIGKILL: "too slow"}
            self.tell(trial.module, trial.mutant.digest, outcome.get(code, "killed"))
            self._learn(trial, code)
            del running[child]
            shutil.rmtree(trial.folder, ignore_errors=True)

    def _learn(self, trial: _Trial, code: int) -> None:
        store = trial.folder / _KILLER
        killer = store.read_text() if store.exists() else None
        if killer:
            ran = trial.tests[: trial.tests.index(killer) + 1]
            self._killers.note(trial.places, ran, killer)
        elif code == 0:
            self._killers.note(trial.places, trial.tests, None)

    def _tests(self, module: str, mutant: Mutant) -> list[str]:
        """The tests that may notice it, the likeliest for their time first."""
        runs = self.reach.runs
        named = {name for name, run in runs.items() if run.reaches(module, mutant)}
        if not mutant.scope:  # a constant: whoever imports it may use it, and call nothing
            named |= {
                name for name, item in self._items.items() if module in self._texts[item.path]
            }
        own = f"{module.rpartition('.')[2]}.py::"  # the tests of just this module
        places = (module, f"{module}:{mutant.scope}")

        def cost(name: str) -> float:
            rate = self._killers.rate(places, name, 0.5 if own in name else 0.2)
            return (runs[name].seconds + 0.005) / rate

        order = sorted(named & self._items.keys(), key=lambda name: (cost(name), name))
        free = {name for name in order if own in name or runs[name].seconds < _FREE}
        spent = accumulate(runs[name].seconds * (name not in free) for name in order)
        chosen = zip(order, spent, strict=True)
        return [name for name, so_far in chosen if name in free or so_far <= self.each]

    def _try(self, trial: _Trial) -> int:
        _limit(1.0)
        try:
            source = trial.mutant.applied(self._sources[trial.module])
            exchange(sys.modules[trial.module], source)
        except Exception:
            return 1
        seconds = [self.reach.runs[name].seconds for name in trial.tests]
        failed = _run([self._items[name] for name in trial.tests], seconds)
        if failed:
            (trial.folder / _KILLER).write_text(failed[0])
        return int(bool(failed))


def _sources() -> dict[str, str]:
    """The hash of each module of the package that is loaded."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if _PACKAGE in file and name.startswith("prelu_tools"):
            found[name] = sha256(Path(file).read_bytes()).hexdigest()
    return found


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


def _limit(seconds: float) -> None:
    """End this process after so much more time of the processor; 0 for no limit."""
    least, times = _PROCESSOR
    signal.setitimer(signal.ITIMER_PROF, least + times * seconds)


def _run(items: Sequence[pytest.Item], seconds: Sequence[float] = ()) -> list[str]:
    """Run tests; the ids of those that fail.

    Args:
        items: the tests.
        seconds: what each takes as a rule: then the first that fails ends it, and one that takes
            far longer ends the process.
    """
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
    for i, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
        if seconds:
            _limit(seconds[i])
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failed and seconds:
            break
    return failed


def _processor_time() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _watch(run: Run, item: pytest.Item, modules: set[str]) -> list[str]:
    """Run one test, and note what it reaches, and how long it takes; its id where it fails."""
    scopes, lines = defaultdict[str, set[str]](set), defaultdict[str, set[int]](set)

    def note(frame: FrameType, _event: str, _argument: Any) -> Any:
        if _PACKAGE not in frame.f_code.co_filename:
            return None
        module = str(frame.f_globals.get("__name__"))
        scopes[module].add(frame.f_code.co_qualname.partition(".<locals>")[0])
        if module not in modules:
            return None
        seen = lines[module]

        def note_line(frame: FrameType, _event: str, _argument: Any) -> Any:
            seen.add(frame.f_lineno)
            return note_line

        return note_line

    began = _processor_time()
    threading.settrace(note)
    sys.settrace(note)
    failed = _run([item])
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    run.seconds = _processor_time() - began
    run.scopes = {module: sorted(found) for module, found in scopes.items()}
    run.lines = {module: sorted(found) for module, found in lines.items()}
    return failed


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
