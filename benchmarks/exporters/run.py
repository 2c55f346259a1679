"""The same models through the raw exporters and through ``prelu-tools export``, in a table.

    python -m benchmarks.exporters.run WORK [--output FILE.md] [--quick] [--model TITLE]

Every export is a process of its own, from its start to its end; ours without the verification.
Raw tf2onnx needs 13 GB for the Keras IResNet-50: what would take the machine's last memory is
stopped, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.exporters.convert import inputs
from benchmarks.exporters.facts import Facts, latencies, read_facts
from benchmarks.exporters.models import FAST, MODELS, OURS, QUICK, ROUTES, Model
from benchmarks.exporters.watch import Watched, watch
from benchmarks.pages import put
from prelu_tools.commands.optimize.equality import processor

HEAD = (
    "model", "route", "nodes", "PRelu", "Transpose", "files", "slopes named", "largest difference",
    "latency", "time", "memory",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One model through one route."""

    model: Model
    """The model."""
    route: str
    """The exporter."""
    watched: Watched
    """How its process went."""
    facts: Facts | None
    """Of the file; None where there is none."""
    latency: float | None
    """Against the file of the first route that made one, 1 thread."""


def export(route: str, model: Model, path: Path) -> Watched:
    """Run one export in a process of its own."""
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(parents=True)
    if route in (OURS, FAST):
        program = Path(sys.executable).parent / "prelu-tools"
        target = "portable" if route == OURS else "onnxruntime-cpu"
        options = ["-o", str(path), "--target", target, "--no-verify"]
        return watch([str(program), "export", model.source, *options])
    module = [sys.executable, "-m", "benchmarks.exporters.convert"]
    return watch([*module, route, model.source, str(path)])


def compare(model: Model, work: Path) -> list[Row]:
    """Export a model by every route, and compare the files with the framework's outputs."""
    stem = work / model.title.replace(", ", "-").replace(" ", "-")
    reference = stem / "reference" / "outputs.npz"
    done = export("outputs", model, reference)
    if done.failed:
        raise RuntimeError(f"{model.title} does not run in its framework: {done.failed}")
    with np.load(reference) as saved:
        expected = [saved[key] for key in saved.files]
    parameters = json.loads(reference.with_suffix(".json").read_text())
    watched, facts, paths = {}, {}, {}
    for route in ROUTES[model.framework]:
        path = stem / route.replace(", ", "-").replace(" ", "-") / "model.onnx"
        watched[route] = export(route, model, path)
        if not watched[route].failed:
            facts[route] = read_facts(path, parameters, inputs(model), expected)
            paths[route] = path
    times = latencies(paths, inputs(model))
    base = next(iter(times.values()), None)
    return [
        Row(
            model,
            route,
            watched[route],
            facts.get(route),
            times[route] / base if base and route in times else None,
        )
        for route in ROUTES[model.framework]
    ]


def table(rows: Sequence[Row]) -> str:
    """Render the rows in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *(_cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: Row) -> list[str]:
    cost = [f"{row.watched.seconds:.1f} s", f"{row.watched.peak / 2**30:.1f} GB"]
    if row.facts is None:
        return [row.model.title, row.route, f"failed: {row.watched.failed}", *[""] * 6, *cost]
    facts = row.facts
    counts = [str(n) for n in (facts.nodes, facts.prelus, facts.transposes, facts.files)]
    named = f"{facts.named} of {facts.layers}"
    latency = "" if row.latency is None else f"{row.latency:.2f}"
    difference = f"{facts.difference:.1e}"
    return [row.model.title, row.route, *counts, named, difference, latency, *cost]


def document(rows: Sequence[Row], quick: bool) -> str:
    """Render the table, with what it was made of."""
    names = ("torch", "keras", "tensorflow", "tf2onnx", "onnxruntime", "prelu-tools")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    warning = "**A quick try of the code: times mean nothing.**\n\n" if quick else ""
    return (
        f"{warning}Measured with {versions}, on {processor()}, {os.cpu_count()} cores.\n\n"
        f"{table(rows)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path, metavar="WORK")
    parser.add_argument("--output", type=Path, metavar="FILE.md")
    parser.add_argument("--quick", action="store_true", help="two small models only")
    parser.add_argument("--model", action="append", default=[], help="by its title; repeatable")
    options = parser.parse_args(arguments)
    wanted = options.model or (QUICK if options.quick else [model.title for model in MODELS])
    if unknown := set(wanted) - {model.title for model in MODELS}:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows: list[Row] = []
    for model in MODELS:
        if model.title in wanted:
            rows += compare(model, options.work)
            print(f"{model.title}: done", file=sys.stderr, flush=True)
    text = document(rows, options.quick)
    if options.output:
        put(options.output, "table", text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
