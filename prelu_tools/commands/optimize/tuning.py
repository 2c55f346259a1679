"""Choose the form of each layer by timing the model with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from prelu_tools.backends.onnxruntime.racing import Run, open_run, race
from prelu_tools.commands.optimize.rewritable import RewritableLayer
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.optimization import Chosen
from prelu_tools.core.timing import Ratio, ratio_of
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.passes.lowering import lower

_CONTENDERS = 5
"""Forms of a group that are timed, beside PRelu."""
_FEWEST, _MOST = 9, 400
"""Rounds that a group gets in any case, and at most."""


@dataclass(frozen=True)
class Bench:
    """How a model is timed."""

    model: OnnxModel
    """Every PReLU is a PRelu node."""
    feeds: Mapping[str, Array]
    """What it is timed on."""
    threads: int
    """Threads inside an operator."""
    seed: int
    """Of the order within a round."""

    def open(self, forms: Mapping[str, str]) -> Run:
        """The model with layers in these forms, loaded.

        Raises:
            PReLUToolsError: onnxruntime does not take it.
        """
        return open_run(self.written(forms), self.threads, "a variant of the model")

    def written(self, forms: Mapping[str, str]) -> OnnxModel:
        """A copy of the model with layers in these forms."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model.proto)
        model = OnnxModel(copy, self.model.file)
        lower(model, forms)
        return model


@dataclass
class Choices:
    """The forms of the layers, and how they were come by."""

    forms: dict[str, str]
    """For each layer's name the form."""
    chosen: dict[str, Chosen]
    """Who chose it."""
    groups: dict[str, int] = field(default_factory=dict)
    """Layers of one number were timed together."""
    gains: dict[str, tuple[float, Ratio]] = field(default_factory=dict)
    """What the whole model gains by a layer in seconds, and its group's ratio against PRelu."""
    notes: list[str] = field(default_factory=list)
    """What the user should know."""


def by_cost(spots: Sequence[RewritableLayer]) -> Choices:
    """What the cost model chooses."""
    forms = {spot.name: spot.forms[0] for spot in spots}
    return Choices(forms, dict.fromkeys(forms, "cost model"))


def tune(
    bench: Bench, spots: Sequence[RewritableLayer], seconds: float, tell: Callable[[str], None]
) -> Choices:
    """Time the forms of one group of like layers after the other, in the model itself.

    A group starts with the choice of the cost model, and leaves it only for a form that was faster
    beyond doubt (the 95 % interval of their ratio lies below 1).

    Args:
        bench: how to time.
        spots: the layers.
        seconds: how long this may take; groups that are not reached keep what the cost model chose.
        tell: is told what is being done.
    """
    choices = by_cost(spots)
    groups = _grouped(spots)
    shares = _shares(groups)
    stop = time.perf_counter() + seconds
    for number, group in enumerate(groups):
        left = stop - time.perf_counter()
        if left <= 0:
            names = ", ".join(spot.name for rest in groups[number:] for spot in rest[:1])
            choices.notes.append(
                f"{len(groups) - number} of {len(groups)} groups of layers were not timed within "
                f"{seconds:g} s and have what the cost model chose ({names}, and layers like them)"
            )
            break
        tell(f"timing group {number + 1} of {len(groups)}")
        _tune_group(bench, choices, group, number, min(left, seconds * shares[number]))
    return choices


def _grouped(spots: Sequence[RewritableLayer]) -> list[list[RewritableLayer]]:
    """Layers that have all that matters in common, the most expensive first."""
    found: dict[tuple[object, ...], list[RewritableLayer]] = {}
    for spot in spots:
        found.setdefault(spot.kind, []).append(spot)
    return sorted(found.values(), key=lambda group: -_weight(group))


def _shares(groups: Sequence[Sequence[RewritableLayer]]) -> list[float]:
    """Which part of the time each group gets: by its weight, half of it evenly."""
    total = sum(_weight(group) for group in groups) or 1.0
    return [0.5 * _weight(group) / total + 0.5 / len(groups) for group in groups]


def _weight(group: Sequence[RewritableLayer]) -> float:
    return sum(spot.cost for spot in group)


def _tune_group(
    bench: Bench, choices: Choices, group: Sequence[RewritableLayer], number: int, seconds: float
) -> None:
    ranked = [form for form in group[0].forms if form != "prelu"][:_CONTENDERS]
    contenders = [*ranked, "prelu"]
    opening = time.perf_counter()
    runs = {
        form: bench.open({**choices.forms, **{spot.name: form for spot in group}})
        for form in contenders
    }
    seconds -= time.perf_counter() - opening
    times = race(runs, bench.feeds, seconds, range(_FEWEST, _MOST), bench.seed)
    best = group[0].forms[0]
    for form in contenders:
        if form != best and ratio_of(times[form], times[best]).high < 1.0:
            best = form
    ratio = ratio_of(times[best], times["prelu"])
    gained = _median(times["prelu"]) * (1.0 - ratio.median) / len(group)
    for spot in group:
        choices.forms[spot.name] = best
        choices.chosen[spot.name] = "timing"
        choices.groups[spot.name] = number
        choices.gains[spot.name] = (gained, ratio)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
