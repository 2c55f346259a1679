"""Mutation testing of the tool's own verification: how many changes in it do the tests notice?

    python tests/mutation/run.py                    # every module of plan.toml
    python tests/mutation/run.py core.parity ...    # some
    python tests/mutation/run.py core.parity --survivors
    python tests/mutation/run.py --share 5 --seed 1  # 5% of all; the same for the same seed

What was found stays in build/mutants, by the text of the function and of the change: a run that was
broken off goes on, after a change of a function its mutants are tried again, and after a change of
the tests those that no test noticed. Exit code 1 if fewer than 90% were killed, or if one survived:
no test noticed it, and it is not in equivalent.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import re
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from making import Mutant, make_or_recall
from trying import Host

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RESULTS = ROOT / "build" / "mutants"
ENOUGH = 0.9
KILLED = ("killed", "too slow")
_SAVED_EVERY = 100
_QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:xdist", "--tb=native"]
_NO_FRAMEWORK = "not torch and not keras and not real_models and not browser and not matrix"


@dataclass
class Part:
    """One module and what became of its mutants."""

    module: str
    """Below `prelu_tools`."""
    mutants: list[Mutant]
    outcomes: dict[str, str]
    """By the mutant's digest."""

    @property
    def unnoticed(self) -> list[Mutant]:
        """Those that no test noticed: equivalent ones, and survivors."""
        return [m for m in self.mutants if self.outcomes.get(m.digest) not in (*KILLED, None)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is not settled, and say what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="*", help="as in core.parity; all where none is named")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3600.0, help="when to stop")
    parser.add_argument("--each", type=float, default=10.0, help="seconds of tests for a mutant")
    parser.add_argument("--share", type=float, default=100.0, help="percent of them to try")
    parser.add_argument("--seed", type=int, default=0, help="which ones these are")
    parser.add_argument("--fresh", action="store_true", help="forget what was found before")
    parser.add_argument("--survivors", action="store_true", help="show each of them")
    chosen = parser.parse_args(arguments)
    groups = tomllib.loads((HERE / "plan.toml").read_text())
    unknown = set(chosen.modules) - {m for group in groups.values() for m in group["modules"]}
    if unknown:
        parser.error(f"not in plan.toml: {', '.join(sorted(unknown))}")
    until = time.monotonic() + chosen.seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("broken off"))
    parts = []
    for name, group in groups.items():
        parts += _try(name, group, chosen, until)
    for part in parts:
        _say(part, chosen.survivors)
    print(_table(parts))
    return _conclude(parts)


def _try(
    name: str, group: dict[str, list[str]], chosen: argparse.Namespace, until: float
) -> list[Part]:
    """The chosen modules of one group, and what is known of them after trying."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    parts, others, tests = [], {}, group["tests"]
    state = _digest(_files(tests))
    for module in (m for m in group["modules"] if m in chosen.modules or not chosen.modules):
        known = {} if chosen.fresh else _known(RESULTS / f"{module}.json", state)
        every = make_or_recall(_path(module).read_text(), RESULTS)
        mutants = [m for m in every if _is_drawn(module, m, chosen)]
        own = {m.digest for m in mutants}
        others[module] = {digest: known[digest] for digest in known.keys() - own}
        parts.append(Part(module, mutants, {d: known[d] for d in known.keys() & own}))
    left = {f"prelu_tools.{module}": list[Mutant]() for module in group["modules"]}
    for part in parts:
        untried = [m for m in part.mutants if m.digest not in part.outcomes]
        left[f"prelu_tools.{part.module}"] = untried
    by_name = {f"prelu_tools.{part.module}": part for part in parts}
    try:
        if any(left.values()):
            cache = RESULTS / f"reach-{name}.json"
            found = _outcomes(left, tests, chosen, until, cache)
            for count, (module, digest, outcome) in enumerate(found, 1):
                by_name[module].outcomes[digest] = outcome
                if count % _SAVED_EVERY == 0:  # what a killed run has found is kept
                    _save(parts, others, state)
    finally:
        _save(parts, others, state)
    return parts


def _save(parts: Sequence[Part], others: dict[str, dict[str, str]], tests: str) -> None:
    for part in parts:
        document = {"tests": tests, "outcomes": others[part.module] | part.outcomes}
        (RESULTS / f"{part.module}.json").write_text(json.dumps(document, indent=0))


def _is_drawn(module: str, mutant: Mutant, chosen: argparse.Namespace) -> bool:
    """Whether a mutant is one of the chosen share of all."""
    drawn = hashlib.sha256(f"{chosen.seed} {module} {mutant.digest}".encode()).digest()
    return int.from_bytes(drawn[:4]) < chosen.share / 100 * 2**32


def _path(module: str) -> Path:
    return ROOT / "prelu_tools" / Path(*module.split(".")).with_suffix(".py")


def _digest(paths: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def _files(tests: Sequence[str]) -> list[Path]:
    found = [ROOT / name.partition("::")[0] for name in tests]
    return sorted(f for p in found for f in (p.rglob("*.py") if p.is_dir() else [p]))


def _known(store: Path, tests: str) -> dict[str, str]:
    """What was found before; of other tests, only what was killed."""
    if not store.exists():
        return {}
    stored: Any = json.loads(store.read_text())
    same = stored["tests"] == tests
    return {digest: o for digest, o in stored["outcomes"].items() if same or o in KILLED}


def _outcomes(
    mutants: dict[str, list[Mutant]],
    tests: list[str],
    chosen: argparse.Namespace,
    until: float,
    cache: Path,
) -> Iterator[tuple[str, str, str]]:
    """What becomes of mutants, in a fresh process: pytest and the modules are loaded there."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    arguments = (queue, mutants, tests, chosen, until, cache)
    context.Process(target=_serve, args=arguments, daemon=True).start()
    while isinstance(found := queue.get(), tuple):
        yield found
    if found:
        sys.exit(f"these tests fail without any change: {', '.join(found)}")


def _serve(
    queue: Any,
    mutants: dict[str, list[Mutant]],
    tests: list[str],
    chosen: argparse.Namespace,
    until: float,
    cache: Path,
) -> None:
    """Put each outcome in the queue, and a list of what is wrong in the end."""

    def tell(*outcome: object) -> None:
        queue.put(outcome)

    host = Host(mutants, chosen.jobs, until, chosen.each, cache, tell)
    failed = ["(they cannot be collected)"]
    try:
        paths = [str(ROOT / name) for name in tests]
        code = pytest.main(["--rootdir", str(ROOT), *_QUIET, "-m", _NO_FRAMEWORK, *paths], [host])
        loaded = {"torch", "tensorflow", "keras"} & set(sys.modules)
        failed = [f"{name} is loaded" for name in loaded] or host.reach.failed
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            failed = failed or ["(they cannot be collected)"]
    finally:
        queue.put(failed)


def _counts(part: Part) -> Counter[str]:
    """How many mutants there are, and what became of them."""
    equivalent = sum(_is_equivalent(part.module, mutant) for mutant in part.unnoticed)
    return Counter(
        mutants=len(part.mutants),
        killed=sum(outcome in KILLED for outcome in part.outcomes.values()),
        equivalent=equivalent,
        survived=len(part.unnoticed) - equivalent,
    )


def _table(parts: Sequence[Part]) -> str:
    """One line for each package, and one for all, in Markdown: the table of docs/reliability.md."""
    sums: dict[str, Counter[str]] = {}
    for part in parts:
        for name in (part.module.rpartition(".")[0], "all"):
            sums.setdefault(name, Counter()).update(_counts(part))
    return "\n".join(
        f"| {name} | {n['mutants']:,} | {n['killed']:,} ({n['killed'] / max(n['mutants'], 1):.1%}) "
        f"| {n['equivalent']} | {n['survived']} |"
        for name, n in sorted(sums.items(), key=lambda item: (item[0] == "all", item[0]))
    )


def _say(part: Part, survivors: bool) -> None:
    n = _counts(part)
    untried = len(part.mutants) - len(part.outcomes)
    rest = f", {untried} not tried" if untried else ""
    print(
        f"{part.module:22} {n['mutants']:5} mutants, {n['killed']:5} killed "
        f"({n['killed'] / max(n['mutants'], 1):5.1%}), {n['equivalent']} equivalent, "
        f"{n['survived']} survived{rest}",
        flush=True,
    )
    for mutant in part.unnoticed if survivors else ():
        if not _is_equivalent(part.module, mutant):
            print(f"  {mutant.line}: {mutant.key}   [{part.outcomes[mutant.digest]}]")


def _is_equivalent(module: str, mutant: Mutant) -> bool:
    """Whether equivalent.toml names it, or a rule there, which exchanges one piece of text."""
    listed = tomllib.loads((HERE / "equivalent.toml").read_text())
    if any(
        mutant.key in entry["mutants"]
        for entry in listed.get("same", [])
        if entry["module"] == module
    ):
        return True
    return any(
        mutant.after in _exchanged(mutant.before, rule["text"], rule["becomes"])
        for rule in listed.get("rule", [])
    )


def _exchanged(text: str, old: str, new: str) -> list[str]:
    """The text with each one of the occurrences of a pattern exchanged."""
    return [
        text[: found.start()] + found.expand(new) + text[found.end() :]
        for found in re.finditer(old, text)
    ]


def _conclude(parts: Sequence[Part]) -> int:
    total = sum(len(part.mutants) for part in parts)
    killed = sum(outcome in KILLED for part in parts for outcome in part.outcomes.values())
    survived = sum(_counts(part)["survived"] for part in parts)
    untried = total - sum(len(part.outcomes) for part in parts)
    print(
        f"{killed:,} of {total:,} mutants killed ({killed / max(total, 1):.1%}), "
        f"{survived:,} survived"
        + (f"; {untried:,} were not tried: run it again" if untried else "")
    )
    return int(killed < ENOUGH * total or bool(survived) or bool(untried))


if __name__ == "__main__":
    sys.exit(main())
