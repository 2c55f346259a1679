"""Twenty faults that are not slopes in each honest net: does `verify` see them?

    python -m benchmarks.honest.attacks [--nets torch/IResNet,...] [--jobs 2] [--quick]

Exits with 1 where fewer than 99 % of the faults are caught. A fault changes an output of the file
by at least 50 times what rounding does to that element, on some input (`effect.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.honest import faults_nodes, report
from benchmarks.honest.check import SHORT, live, shapes_of
from benchmarks.honest.effect import (
    FAULT,
    SUBTLE,
    allclose_fails,
    change,
    honest_file,
    polygraphy_fails,
    polygraphy_feed,
    tensors_inside,
)
from benchmarks.honest.faults import FAULTS, Fault
from benchmarks.honest.numbers import answers, answers_to, feeds
from benchmarks.honest.registry import HonestNet, find
from benchmarks.honest.store import ROOT, Store
from benchmarks.honest.surgery import Graph, node

assert faults_nodes  # its faults are registered

WANTED = 20
ROUNDS = 4
SECONDS = 300


@dataclass(frozen=True)
class Attack:
    """A fault in a net."""

    net: str
    """The net."""
    kind: str
    """The kind of fault."""
    what: str
    """What was done, and where."""
    change: float
    """How far an output moves, as a multiple of its element's rounding."""
    verdict: str
    """What `verify` says: of the honest file for the kind "none"."""
    reasons: tuple[str, ...]
    """Why."""
    allclose: bool
    """Whether allclose fails."""
    polygraphy: bool
    """Whether Polygraphy's default comparison fails."""
    seed: int = 0
    """Of the weights."""


def attack(honest: HonestNet, folder: Path) -> list[Attack]:
    """Plant faults in a net's export, and verify all of them."""
    import prelu_tools

    model = live(honest, 0)
    own = folder / "own.onnx"
    prelu_tools.export(model, own, input=shapes_of(honest), verify=False)
    usual = answers_to(honest, model, [polygraphy_feed(honest)])
    first = answers_to(honest, model, [honest.examples(99)])[0]
    planted = list(plant(honest, model, own, folder))
    files = [own, *(path for path, *_ in planted)]
    said = verdicts(honest, model, files)
    rows = []
    for path, (kind, what, moved), (verdict, reasons) in zip(
        files, [("none", "", 0.0), *(each[1:] for each in planted)], said, strict=True
    ):
        rows.append(Attack(
            honest.name, kind, what, moved, verdict, reasons, allclose_fails(path, first),
            bool(usual) and polygraphy_fails(path, usual[0]),
        ))  # fmt: skip
    return rows


def plant(
    honest: HonestNet, model: Any, own: Path, folder: Path
) -> Iterator[tuple[Path, str, str, float]]:
    """Twenty faults: the file, the kind, what was done, what it moves."""
    base = onnx.load(own)
    known = answers(honest, model, 12)
    known += answers_to(honest, model, list(_wider(honest)))
    good = honest_file(own, known)
    example = honest.examples(99)
    inside = tensors_inside(base, example)
    kinds = {"output element off by 50 times its rounding error": _off_by(good), **FAULTS}
    rng = np.random.default_rng(zlib.crc32(honest.name.encode()))
    seen: set[str] = set()
    count = 0
    for turn in range(ROUNDS):
        for place in rng.permutation(len(kinds)):
            kind = list(kinds)[int(place)]
            graph = Graph(base, np.random.default_rng((turn, int(place))))
            what = kinds[kind](graph, inside)
            if what is None or what in seen:
                continue
            seen.add(what)
            path = folder / f"fault{len(seen)}.onnx"
            onnx.save(graph.model, path)
            moved = change(path, good)
            if moved is None or moved < SUBTLE:
                continue
            yield path, kind, what, moved
            count += moved >= FAULT
            if count == WANTED:
                return


def _wider(honest: HonestNet) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Inputs of other scales, where a net takes them."""
    for number, scale in enumerate((0.1, 3.0, 10.0)):
        for feed in feeds(honest, 1):
            fresh = honest.examples(500 + number, batch=len(next(iter(feed.values()))))
            yield {
                name: (value * np.float32(scale)) if honest.inputs[name].kind == "normal" else value
                for name, value in fresh.items()
            }


def _off_by(good: Any) -> Fault:
    def add(graph: Graph, known: dict[str, Any]) -> str | None:
        names = [value.name for value in graph.graph.output]
        place = int(graph.rng.integers(len(names)))
        found = known[names[place]]
        usual = good.rounding.get((place, found.shape))
        if usual is None or len(graph.fixed_axes(names[place])) < sum(
            n > 1 for n in found.shape[1:]
        ):
            return None
        at = int(graph.rng.integers(found[0].size))
        amount = 50 * 16 * float(usual.max(0).reshape(-1)[at])
        bias = np.zeros(found.shape[1:], np.float32)
        bias.reshape(-1)[at] = amount
        name = graph.constant(bias)
        graph.wrap(names[place], lambda a, b: [node("Add", [a, name], b)])
        return f"element {at} of {names[place]} off by {amount:.3g}"

    return add


def verdicts(
    honest: HonestNet, model: Any, files: Sequence[Path]
) -> list[tuple[str, tuple[str, ...]]]:
    """What `verify` says of each, in one run where that works."""
    import prelu_tools

    def run(*paths: Path) -> list[tuple[str, tuple[str, ...]]]:
        result = prelu_tools.verify(
            model, *paths, input=shapes_of(honest), input_range=honest.ranges, **SHORT
        )
        said = [(report.verdict, tuple(report.reasons)) for report in result.candidates]
        if result.verdict != "pass" and all(verdict == "pass" for verdict, _ in said):
            return [(result.verdict, tuple(result.reasons))] * len(said)
        return said

    try:
        return run(*files)
    except Exception:
        found = []
        for path in files:
            try:
                found += run(path)
            except Exception as error:
                found.append(("error", (f"{type(error).__name__}: {error}",)))
        return found


def run_job(name: str, _seed: int) -> list[dict[str, Any]]:
    """`attack` in a worker, as data."""
    from benchmarks.honest.check import OutOfTimeError, limited, one_thread

    try:
        with limited(SECONDS), tempfile.TemporaryDirectory(prefix="attack-") as folder:
            one_thread()
            return [asdict(row) for row in attack(find(name), Path(folder))]
    except (Exception, OutOfTimeError) as error:
        text = f"{type(error).__name__}: {error}"
        return [asdict(Attack(name, "none", "", 0.0, "error", (text,), False, False))]


def main() -> int:
    """Attack what is missing, and print the table."""
    from benchmarks.honest.run import add_options, chosen, settle, work

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_options(parser, ROOT / "build/honest/attacks.jsonl")
    options = parser.parse_args()
    settle(os.environ)
    store = Store(options.results)
    done = store.done()
    names = chosen(options.nets, quick=options.quick)
    jobs = [(name, 0) for name in names if (name, 0) not in done]
    for number, rows in enumerate(work(jobs, options.jobs, run_job), 1):
        store.add(rows)
        for line in report.misses(rows):
            print(line, flush=True)
        print(f"{number} of {len(jobs)}", file=sys.stderr, flush=True)
    rows = [row for row in store.rows if row["net"] in names]
    print(report.attack_summary(rows))
    report.write_attacks(rows, options.json, options.page)
    return int(report.share_caught(rows) < 0.99)


if __name__ == "__main__":
    raise SystemExit(main())
