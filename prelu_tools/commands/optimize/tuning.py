"""Choose the form of each layer by timing the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from prelu_tools.backends.onnxruntime.running.racing import Budget, Run, open_run, race
from prelu_tools.commands.optimize.rewritable import RewritableLayer
from prelu_tools.core.arrays import Array
from prelu_tools.core.process.progress import ProgressCallback
from prelu_tools.core.process.timing import Ratio, ratio_of
from prelu_tools.core.results.optimization import Chosen
from prelu_tools.core.results.reasons import listed
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.passes.lowering import lower

_CONTENDERS = 5
"""Forms of a group that are timed, besides PRelu."""
_FEWEST, _MOST = 5, 400
"""Rounds that a group gets in any case, and at most."""
_NAMED = 3  # groups that a note names, by one layer each
_ALIKE = 0.01
"""Forms whose times differ by at most this are equally fast."""


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
    """The seed of the order within a round."""

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
    """The forms of the layers, and how they were chosen."""

    forms: dict[str, str]
    """The form of each layer, by name."""
    chosen: dict[str, Chosen]
    """How each form was chosen."""
    groups: dict[str, int] = field(default_factory=dict)
    """Layers with the same number were timed together."""
    gains: dict[str, tuple[float, Ratio]] = field(default_factory=dict)
    """The seconds that a layer saves in the whole model, and its group's ratio against PRelu."""
    notes: list[str] = field(default_factory=list)
    """Notes for the user."""


def by_cost(layers: Sequence[RewritableLayer]) -> Choices:
    """The choices of the cost model."""
    forms = {layer.name: layer.forms[0] for layer in layers}
    return Choices(forms, dict.fromkeys(forms, "cost model"))


def tune(
    bench: Bench, layers: Sequence[RewritableLayer], seconds: float, progress: ProgressCallback
) -> Choices:
    """Time the forms of one group of like layers after the other, in the model itself.

    Forms that are slower than the fastest beyond doubt (the 95% interval of their ratio is above
    1.01) leave the race; it ends when one is left, or when those that are left are equally fast.
    Then the choice of the cost model wins.

    Args:
        bench: how to time.
        layers: the layers.
        seconds: how long this may take (see `Budget`); groups that are not reached keep the cost
            model's choice.
        progress: called with the name of each step.
    """
    choices = by_cost(layers)
    groups = _grouped(layers)
    budget = Budget(seconds, bench.threads)
    unsettled: list[Sequence[RewritableLayer]] = []
    for number, group in enumerate(groups):
        if (left := budget.left) <= 0:
            choices.notes.append(
                f"{len(groups) - number:,} of {len(groups):,} groups of layers were not "
                f"timed within {seconds:g} s and keep the cost model's choice "
                f"({_and_others(groups[number:])})"
            )
            break
        progress(f"timing group {number + 1:,} of {len(groups):,}")
        share = _share(groups[number:])
        if not _tune_group(bench, choices, group, number, left * share):
            unsettled.append(group)
    if unsettled:
        choices.notes.append(
            f"{len(unsettled):,} of {len(groups):,} groups of layers have the form that was "
            f"fastest so far: more than {seconds:g} s would be needed to be sure "
            f"({_and_others(unsettled)}); raise --tune-seconds"
        )
    return choices


def _and_others(groups: Sequence[Sequence[RewritableLayer]]) -> str:
    """A few of the groups, by their first layers."""
    return f"{listed([group[0].name for group in groups], _NAMED)}, and layers like them"


def _grouped(layers: Sequence[RewritableLayer]) -> list[list[RewritableLayer]]:
    """Layers that have all that matters in common, the most expensive first."""
    found: dict[tuple[object, ...], list[RewritableLayer]] = {}
    for layer in layers:
        found.setdefault(layer.kind, []).append(layer)
    return sorted(found.values(), key=lambda group: -_weight(group))


def _share(groups: Sequence[Sequence[RewritableLayer]]) -> float:
    """Which part of the time the first group gets: by its weight, half of it evenly."""
    total = sum(_weight(group) for group in groups) or 1.0
    return 0.5 * _weight(groups[0]) / total + 0.5 / len(groups)


def _weight(group: Sequence[RewritableLayer]) -> float:
    return sum(layer.cost for layer in group)


def _tune_group(
    bench: Bench, choices: Choices, group: Sequence[RewritableLayer], number: int, seconds: float
) -> bool:
    """Choose the form of a group, in place; whether the order of the forms is settled."""
    ranked = [form for form in group[0].forms if form != "prelu"][:_CONTENDERS]
    budget = Budget(seconds, bench.threads)
    runs = {
        form: bench.open({**choices.forms, **{layer.name: form for layer in group}})
        for form in [*ranked, "prelu"]
    }
    rounds = range(_FEWEST, _MOST)
    times = race(
        runs, bench.feeds, budget.left, rounds, bench.seed, bench.threads, undecided
    ).seconds
    best = fastest(times, group[0].forms[0])
    ratio = _ratio(times, best, "prelu")
    gained = _median(times["prelu"]) * (1.0 - ratio.median) / len(group)
    for layer in group:
        choices.forms[layer.name] = best
        choices.chosen[layer.name] = "timing"
        choices.groups[layer.name] = number
        choices.gains[layer.name] = (gained, ratio)
    return not undecided(times)


def undecided(times: Mapping[str, Sequence[float]]) -> list[str]:
    """The forms among which the fastest is; none if that is known, or if they are equally fast.

    Args:
        times: the seconds of each form, round by round; who was slower has fewer rounds.
    """
    first, *others = _leaders(times)
    ratios = {form: _ratio(times, form, first) for form in others}
    left = [form for form, ratio in ratios.items() if ratio.low <= 1.0 + _ALIKE]
    if all(ratios[form].high < 1.0 + _ALIKE and ratios[form].low > 1.0 - _ALIKE for form in left):
        return []
    return [first, *left]


def fastest(times: Mapping[str, Sequence[float]], favourite: str) -> str:
    """The fastest form, or the favourite if it is as fast."""
    leaders = _leaders(times)
    if favourite in leaders and _ratio(times, favourite, leaders[0]).median < 1.0 + _ALIKE:
        return favourite
    return leaders[0]


def _leaders(times: Mapping[str, Sequence[float]]) -> list[str]:
    """Who ran in the last round, the fastest first."""
    most = max(map(len, times.values()))
    return sorted((f for f in times if len(times[f]) == most), key=lambda f: _median(times[f]))


def _ratio(times: Mapping[str, Sequence[float]], first: str, second: str) -> Ratio:
    """The ratio of times over the rounds in which both ran."""
    rounds = min(len(times[first]), len(times[second]))
    return ratio_of(times[first][:rounds], times[second][:rounds])


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
