"""Choose the integer form of each PReLU: the most exact one, unless another is faster here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prelu_tools.backends.onnxruntime.running.racing import Budget, open_run, race
from prelu_tools.commands.optimize.tuning import fastest, undecided
from prelu_tools.commands.quantize.quantizing import Prepared, call_name
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.process.progress import ProgressCallback
from prelu_tools.core.results.quantization import Selected
from prelu_tools.graph.io.model import OnnxModel

_FEWEST, _MOST = 9, 300
"""Rounds that a group gets in any case, and at most."""


@dataclass
class Forms:
    """The form of each call of a layer, and how it was chosen."""

    forms: dict[str, str] = field(default_factory=dict)
    selected: dict[str, Selected] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FormBench:
    """How forms are timed."""

    prepared: Prepared
    """The graph to write them in."""
    feeds: Feeds
    """What it is timed on."""
    threads: int
    """Threads inside an operator."""
    seconds: float
    """How long this may take."""


def most_exact(prepared: Prepared) -> Forms:
    """The most exact form for every call."""
    fitting = prepared.fitting()
    found = Forms({name: forms[0] for name, forms in fitting.items()})
    found.selected = {
        name: "exactness" if len(forms) > 1 else "only one" for name, forms in fitting.items()
    }
    return found


def choose(bench: FormBench, progress: ProgressCallback) -> Forms:
    """The fastest form for every call, by timing.

    Args:
        bench: how to time.
        progress: called with the name of each step.

    Raises:
        PReLUToolsError: onnxruntime does not load a variant.
    """
    fitting, found = bench.prepared.fitting(), most_exact(bench.prepared)
    groups = _groups(bench.prepared, fitting)
    budget = Budget(bench.seconds, bench.threads)
    for number, (forms, names) in enumerate(groups):
        if (left := budget.left) <= 0:
            found.notes.append(
                f"{len(groups) - number:,} of {len(groups):,} groups of layers were not "
                f"timed within {bench.seconds:g} s, and have the most exact form"
            )
            break
        progress(f"timing group {number + 1:,} of {len(groups):,}")
        _choose_for_group(bench, found, forms, names, left / (len(groups) - number))
    return found


def _groups(
    prepared: Prepared, fitting: Mapping[str, tuple[str, ...]]
) -> list[tuple[tuple[str, ...], list[str]]]:
    """Calls with inputs of one shape and the same forms: they are timed together."""
    shapes = {
        call_name(item.layer.name, number): prepared.model.shapes.get(match.x)
        for item in prepared.model.located
        for number, match in enumerate(item.matches)
    }
    found: dict[tuple[object, ...], list[str]] = {}
    for name, forms in fitting.items():
        if len(forms) > 1:
            found.setdefault((shapes[name], forms), []).append(name)
    sizes = {name: _size(shape) for name, shape in shapes.items()}
    order = sorted(found.values(), key=lambda names: -sum(sizes[name] for name in names))
    return [(fitting[names[0]], names) for names in order]


def _size(shape: tuple[int, ...] | None) -> int:
    total = 1
    for size in shape or ():
        total *= size
    return total


def _choose_for_group(
    bench: FormBench, found: Forms, forms: tuple[str, ...], names: list[str], seconds: float
) -> None:
    budget = Budget(seconds, bench.threads)
    runs = {
        form: open_run(
            OnnxModel(bench.prepared.written({**found.forms, **dict.fromkeys(names, form)}), None),
            bench.threads,
            "a variant of the model",
        )
        for form in forms
    }
    rounds = range(_FEWEST, _MOST)
    times = race(
        runs, bench.feeds, budget.left, rounds, DEFAULT_SEED, bench.threads, undecided
    ).seconds
    best = fastest(times, forms[0])
    for name in names:
        found.forms[name] = best
        found.selected[name] = "timing"
