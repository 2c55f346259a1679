"""What there is to say of an exported file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from benchmarks.latency.measure import Runner, open_runner
from benchmarks.nets.inputs import Floats
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.view import all_views

ROUNDS = 15


@dataclass(frozen=True)
class Facts:
    """Of one file."""

    nodes: int
    """Nodes of the graph."""
    prelus: int
    """PRelu nodes."""
    transposes: int
    """Transpose nodes."""
    files: int
    """Files that were written."""
    named: int
    """PReLU layers whose slopes lie under the name of the source's parameter."""
    layers: int
    """PReLU layers that were recognised."""
    difference: float
    """Largest difference of an output from the framework's."""


def read_facts(
    path: Path, parameters: Sequence[str], x: Floats, expected: Sequence[Floats]
) -> Facts:
    """Read and run a file."""
    kinds = Counter(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)
    layers = locate_layers(all_views(read_model(path)))
    names = set(parameters)
    found = open_runner(path, threads=1).outputs(x)
    gaps = [float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True)]
    return Facts(
        nodes=kinds.total(),
        prelus=kinds["PRelu"],
        transposes=kinds["Transpose"],
        files=len(list(path.parent.iterdir())),
        named=sum(layer.matches[0].parameter in names for layer in layers),
        layers=len(layers),
        difference=max(gaps),
    )


def latencies(paths: Mapping[str, Path], x: Floats) -> dict[str, float]:
    """Return the median seconds of a run of every file, one thread, rounds of all in turn."""
    runners: dict[str, Runner] = {key: open_runner(path, 1) for key, path in paths.items()}
    taken: dict[str, list[float]] = {key: [] for key in runners}
    for _ in range(ROUNDS):
        for key, runner in runners.items():
            taken[key].append(runner.burst(x, 3))
    return {key: float(np.median(values)) for key, values in taken.items()}
