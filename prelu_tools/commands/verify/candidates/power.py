"""Plant slope faults in a copy, to see whether the numeric checks catch them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.backends.onnxruntime.running.values import ValueSession
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.commands.verify.candidates.outputs import OutputJudge
from prelu_tools.commands.verify.inputs.feeds import Feeds, n_values
from prelu_tools.commands.verify.layers.isolated import apart, axis_orders, is_off, own_ulps
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.faults import Fault, faults_in
from prelu_tools.core.prelu.slopediff import pair_layers
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.process.effort import effort_of
from prelu_tools.core.process.progress import counted
from prelu_tools.core.results.verification.candidate import Power
from prelu_tools.graph.copies.carrying import TensorPlace, path_of
from prelu_tools.graph.copies.instrument import element_type, with_slopes_as_inputs
from prelu_tools.graph.match.layers import laid_for
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.passes.canonical import prelu_output
from prelu_tools.graph.view import GraphView

_MOST = 200  # faults in all: a sample of the possible ones in nets of more than 25 layers or so
_EFFORT = 60.0  # in large models fewer, as many as can be tried with these seconds of effort


@dataclass(frozen=True)
class PowerPlan:
    """The model to plant faults in, and the checks that have to notice them."""

    references: tuple[PReLULayer, ...]
    """The reference's layers."""
    source: OnnxGraph
    """The candidate."""
    provider: str
    """What runs it."""
    feeds: Sequence[Feeds]
    """The inputs, as the candidate takes them; one a run."""
    outputs: OutputJudge
    """Knows the reference's outputs."""
    reached: CoverageBook
    """Which of the candidate's slopes these inputs reach."""
    seed: int
    """The seed of the choice of faults."""


@dataclass(frozen=True)
class _Target:
    """A layer of the copy."""

    reference: PReLULayer
    layer: PReLULayer
    matches: tuple[Match, ...]
    inputs: tuple[str, ...]
    ends: tuple[tuple[TensorPlace, TensorPlace], ...]


@dataclass(frozen=True)
class Planted:
    """One fault, and who noticed it."""

    fault: Fault
    """The fault."""
    reference: PReLULayer
    """The reference's layer."""
    layer: PReLULayer
    """The candidate's layer that it was planted in."""
    reached: bool
    """Whether the inputs reach any of the slopes that it changes."""
    by_layer: bool
    """Whether the layer by itself noticed."""
    by_output: bool
    """Whether an output of the model noticed."""

    @property
    def noticed(self) -> bool:
        """Whether anybody did."""
        return self.by_layer or self.by_output


def measure_power(plan: PowerPlan) -> Power:
    """Plant faults one at a time, run the copy, and count who notices.

    Raises:
        PReLUToolsError: no fault can be planted, or the copy is not the candidate.
    """
    copy = SlopeCopy(plan)
    faults, sampled = choose_faults(copy, plan, min(_MOST, int(_EFFORT / _least_effort(plan))))
    everything = list(plant(copy, faults, stop_at_first=sampled))
    counted = [
        item for item in everything if item.noticed or (item.reached and copy.shows(item.fault))
    ]
    return Power(
        planted=len(counted),
        detected=sum(item.noticed for item in counted),
        by_layers=sum(item.by_layer for item in counted),
        by_outputs=sum(item.by_output for item in counted),
        escaped=tuple(
            f"{item.reference.name}: {item.fault.description}"
            for item in counted
            if not item.noticed
        ),
        unreached=sum(not (item.noticed or item.reached) for item in everything),
        sampled=sampled,
        hidden=sum(item.reached for item in everything) - sum(item.reached for item in counted),
    )


def _least_effort(plan: PowerPlan) -> float:
    """The effort of the smallest run, of all the values that met a PReLU in all runs."""
    sizes = [n_values(feeds) for feeds in plan.feeds]
    values = (plan.reached.n_values + sum(sizes)) * min(sizes) / max(sum(sizes), 1)
    return effort_of(values, len(plan.references), plan.source.n_parameters)


def _in_order(plan: PowerPlan) -> list[int]:
    """The runs, small ones first."""
    return sorted(range(len(plan.feeds)), key=lambda run: n_values(plan.feeds[run]))


def plant(
    copy: SlopeCopy, faults: Sequence[Fault], stop_at_first: bool = False
) -> Iterator[Planted]:
    """Run the copy with each of these faults.

    Args:
        copy: the copy.
        faults: the faults to plant.
        stop_at_first: whether the first run in which anybody notices is enough.

    Raises:
        PReLUToolsError: the copy differs from the reference even without a fault.
    """
    plan = copy.plan
    order = _in_order(plan)
    for run in order:
        if copy.noticed(None, copy.right, run) != (False, False):
            raise PReLUToolsError(
                "the candidate differs from the reference even without a planted fault"
            )
    for fault in counted(faults, "planting slope faults"):
        target = copy.targets[fault.layer]
        try:
            layer, output = _noticed(copy, fault, order, stop_at_first)
        except PReLUToolsError:
            if fault.kind != "misplaced":
                raise
            continue  # it does not run, so nobody can be misled by it
        reached = bool((fault.touched & plan.reached.reached(target.layer.name)).any())
        yield Planted(fault, target.reference, target.layer, reached, layer, output)


def choose_faults(copy: SlopeCopy, plan: PowerPlan, most: int = _MOST) -> tuple[list[Fault], bool]:
    """The faults to plant, and whether they are a sample: for each layer as many as fit, or one."""
    slopes = [target.matches[0].slopes for target in copy.targets]
    reached = [plan.reached.reached(target.layer.name) for target in copy.targets]
    found = [
        list(faults_in(i, slopes, reached[i], _last(target), plan.seed))
        for i, target in enumerate(copy.targets)
    ]
    if sum(map(len, found)) <= most:
        return [fault for group in found for fault in group], False
    generator = np.random.default_rng(plan.seed)
    each = max(1, most // len(found))
    chosen = [
        [group[i] for i in sorted(generator.permutation(len(group))[:each])] for group in found
    ]
    return [fault for group in chosen for fault in group], True


def _last(target: _Target) -> int:
    """The last dimension of a layer's input; 0 if it is not known."""
    shape = target.layer.input_shape
    return (shape[-1] or 0) if shape else 0


def _noticed(
    copy: SlopeCopy, fault: Fault, order: Sequence[int], stop_at_first: bool
) -> tuple[bool, bool]:
    """Whether the layer notices, and whether an output does, in any of the runs."""
    target = copy.targets[fault.layer]
    slopes = copy.right | _planted(target, fault.slopes)
    layer = output = False
    for run in order:
        seen = copy.noticed(target, slopes, run)
        layer, output = layer or seen[0], output or seen[1]
        if (layer and output) or (stop_at_first and (layer or output)):
            break
    return layer, output


def _planted(target: _Target, slopes: Array) -> dict[str, Array]:
    """Wrong slopes of a layer in each of its calls, if they broadcast there."""
    first = target.matches[0]
    calls = list(zip(target.inputs, target.matches, strict=True))
    if slopes.shape == first.slopes.shape:
        return {name: laid_for(match, first, slopes) for name, match in calls}
    return {name: slopes for name, match in calls if match.slopes.shape == first.slopes.shape}


class SlopeCopy:
    """A copy of the candidate in which slopes are inputs."""

    def __init__(self, plan: PowerPlan) -> None:
        """Make it.

        Raises:
            PReLUToolsError: no layer of the candidate can be changed so.
        """
        located = [
            item
            for item in plan.source.located
            if all(path_of(view) is not None for view, _ in item.calls)
            and not plan.source.is_unread(item.layer.name, {})
        ]
        pairs = pair_layers(plan.references, [item.layer for item in located]).pairs
        by_layer = {other.name: mine for mine, other in pairs}
        located = [item for item in located if item.layer.name in by_layer]
        if not located:
            raise PReLUToolsError("none of its layers can be observed")
        model = located[0].calls[0][0].model
        calls = [(path_of(view) or (), match) for item in located for view, match in item.calls]
        proto, names = with_slopes_as_inputs(model.proto, calls)
        self.outputs = [value.name for value in model.proto.graph.output]
        self.plan = plan
        given = iter(names)
        self.targets = [
            _Target(
                by_layer[item.layer.name],
                item.layer,
                item.matches,
                tuple(next(given) for _ in item.matches),
                tuple(_ends(view, match) for view, match in item.calls),
            )
            for item in located
        ]
        ends = [end for target in self.targets for pair in target.ends for end in pair]
        copy = replace(model, proto=proto)
        self._session = ValueSession(copy, ends, plan.provider, plan.source.label)
        self.right = {
            name: np.ascontiguousarray(match.slopes)
            for target in self.targets
            for name, match in zip(target.inputs, target.matches, strict=True)
        }

    def noticed(
        self, target: _Target | None, slopes: dict[str, Array], run: int
    ) -> tuple[bool, bool]:
        """Whether the layer notices these slopes, and whether an output does, in one run."""
        ends = () if target is None else target.ends
        places = [end for pair in ends for end in pair]
        feeds = {**self.plan.feeds[run], **slopes}
        found, outputs = self._session.fetch(feeds, places, self.outputs)
        layer = target is not None and any(
            self._off(target, x, y) for one, other in ends for x, y in _calls(found, one, other)
        )
        return layer, self.plan.outputs.notices(outputs, run)

    def shows(self, fault: Fault) -> bool:
        """Whether it changes its layer's output, in any run, by more than rounding does.

        Faults without an effect need not be noticed: nearly equal slopes, inputs near 0.
        """
        target = self.targets[fault.layer]
        slopes = self.right | _planted(target, fault.slopes)
        for feeds in self.plan.feeds:
            places = [end for pair in target.ends for end in pair]
            found, _ = self._session.fetch({**feeds, **slopes}, places)
            if any(
                is_off(apart(match.slopes, x, y))
                for match, ends in zip(target.matches, target.ends, strict=True)
                for x, y in _calls(found, *ends)
            ):
                return True
        return False

    def _off(self, target: _Target, x: Array, y: Array) -> bool:
        orders = axis_orders(target.reference, target.layer, x.shape, None)
        return is_off(own_ulps(target.reference, orders, x, y))


def _ends(view: GraphView, match: Match) -> tuple[TensorPlace, TensorPlace]:
    """The input and the output of a PReLU in the copy."""
    path, kind = path_of(view) or (), element_type(view, match)
    return TensorPlace(path, match.x, kind), TensorPlace(path, prelu_output(match), kind)


def _calls(
    found: Mapping[TensorPlace, Sequence[Array]], x: TensorPlace, y: TensorPlace
) -> Iterator[tuple[Array, Array]]:
    return zip(found[x], found[y], strict=True)
