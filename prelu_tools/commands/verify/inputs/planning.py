"""Plan the inputs of a check, using the reference alone to find out what it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.domains import (
    ENOUGH,
    Domains,
    known_domains,
    try_domains,
)
from prelu_tools.commands.verify.inputs.drawing import (
    Drawer,
    DrawPlan,
    Others,
    Shapes,
    known_shapes,
    of_one_batch,
)
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.free_sizes import OtherSizes
from prelu_tools.commands.verify.inputs.row_replacement import RowReplacer
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.inputs.sizes import Sizes
from prelu_tools.commands.verify.inputs.sweeping import sweeps
from prelu_tools.commands.verify.inputs.tables import Probe, find_tables
from prelu_tools.commands.verify.inputs.trial_runs import Trial, trying
from prelu_tools.core.domains import InputDomain, SizesTried, Values
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption
from prelu_tools.core.results.reasons import Reason

_EXAMPLES = (64, 32, 16, 128, 100, 224, 8)  # for dynamic sizes without an example
_ENOUGH_ROWS = 8
_MOST_TRIALS = 48
_SWEEPS = 500  # the number of the first sweeping run


@dataclass
class InputPlan:
    """The inputs of a check."""

    feeds: list[Feeds]
    """One a run."""
    rows: Rows
    """Where their rows are."""
    sizes: SizesTried = field(default_factory=SizesTried)
    """The sizes of dynamic axes."""
    inputs: tuple[InputDomain, ...] = ()
    """What was drawn for each input."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """For an input's name the values that it may take, at the sizes of the example."""
    notes: list[str] = field(default_factory=list)
    """Notes on them for the user."""
    doubts: list[str] = field(default_factory=list)
    """Reasons why a comparison on them would prove nothing."""


def plan_inputs(source: Source, others: Others, plan: DrawPlan) -> InputPlan:
    """Draw inputs that the reference takes.

    A size that any of the models fixes is kept. Otherwise `samples` rows are run in one batch, the
    first of them again alone, and a few at other sizes, smaller and larger, odd and even. Sizes
    that the reference refuses are replaced by multiples of 2, 4, ..., or by equal ones. Inputs that
    index a table take all of its rows. Where the reference fails, or gives NaN for most rows, other
    values are tried; the rows that are left with NaN are replaced by others.

    Args:
        source: the reference.
        others: the candidates.
        plan: what to draw.

    Raises:
        PReLUToolsError: a model fixes a batch of no rows, or the reference accepts none of the
            inputs that were tried.
    """
    shapes = known_shapes(source.inputs(), others)
    with trying(source) as trial:
        return _Planner(source, shapes, plan, trial).planned()


def drawer_within_tables(source: Source, plan: DrawPlan) -> Drawer:
    """A drawer of inputs with ids within their tables; the model is tried on no others."""
    with trying(source) as trial:
        settler = _Planner(source, known_shapes(source.inputs(), []), plan, trial)
        settler.read_tables()
        return settler.drawer()


class _Planner:
    """Plans one thing after the other, in the order in which they need each other."""

    def __init__(self, source: Source, shapes: Shapes, plan: DrawPlan, trial: Trial) -> None:
        self._source = source
        self._specs = source.inputs()
        self._shapes = shapes
        self._plan = plan
        self._trial = trial
        self._domains = known_domains(self._specs, plan.ranges)
        self._examples: Sizes = {}

    def planned(self) -> InputPlan:
        """See `settle`."""
        self.read_tables()
        self._choose_rows()
        self._try()
        drawer = self.drawer()
        mender = RowReplacer(drawer, self._trial)
        feeds = mender.mended(drawer.usual())
        sizes = OtherSizes(drawer, self._trial, len(feeds))
        feeds += mender.mended(sizes.runs(min(3, self._plan.samples)))
        feeds += sweeps(drawer, feeds, self._plan.seed, _SWEEPS)
        limits = {name: values.limits(drawer.sizes) for name, values in self._domains.items()}
        return InputPlan(
            feeds=feeds,
            rows=drawer.rows,
            sizes=sizes.record,
            inputs=tuple(self._used(spec, limits[spec.name]) for spec in self._specs),
            ranges={name: known for name, known in limits.items() if known is not None},
            notes=[*self._notes(), *mender.notes(), *sizes.notes()],
            doubts=[*mender.doubts(self._domains)],
        )

    def drawer(self, domains: Domains | None = None) -> Drawer:
        """A drawer within these values, or within the known ones."""
        known = self._domains if domains is None else domains
        return Drawer(self._specs, self._shapes, self._plan, known, self._examples)

    def read_tables(self) -> None:
        """See which inputs index something; floating ones may, too."""
        kinds = {spec.name: np.dtype(spec.dtype).kind for spec in self._specs}
        names = [n for n, kind in kinds.items() if self._domains[n].origin != "asked"]
        names = [name for name in names if kinds[name] in "iuf"]
        if names:
            tables = find_tables(self._source.lookups, names, self._probes())
            whole = {name: replace(v, is_whole=kinds[name] == "f") for name, v in tables.items()}
            self._domains |= whole

    def _probes(self) -> list[Probe]:
        drawer = self.drawer()
        least = drawer.rows.count(drawer.run({}, 1, 0)) if not drawer.rows.names else 2
        wanted: list[tuple[Sizes, int]] = [({}, least)]
        if drawer.rows.names:
            wanted.append(({}, least + 1))
        if drawer.free:
            wanted.append(({name: size + 1 for name, size in drawer.free.items()}, least))
        runs = [drawer.run(sizes, count, 0) for sizes, count in wanted]
        return [Probe(run, drawer.sizes_of(run)) for run in runs]

    def _choose_rows(self) -> None:
        """See whether rows are dynamic where another input has a fixed first size."""
        fixed = of_one_batch(self._shapes)
        drawer = self.drawer()
        if fixed is None or not drawer.rows.names:
            return
        if not self._trial.takes(drawer.usual()[:2], drawer.rows):
            self._shapes = fixed
            self._domains = known_domains(self._specs, self._plan.ranges)
            self.read_tables()

    def _try(self) -> None:
        """Look for sizes and values that the reference takes, where it refuses the usual ones."""
        score = self._score(self._domains)
        free = self.drawer().free
        for size in _EXAMPLES if score < 0 and free else ():
            self._examples = dict.fromkeys(free, size)
            score = self._score(self._domains)
            if score >= 0:
                break
        else:
            self._examples = {}
        if score >= ENOUGH:
            return
        score_finite = partial(self._score, is_finite=True)
        found = try_domains(self._specs, self._shapes, self._domains, score_finite, _MOST_TRIALS)
        if found.score < 0:
            raise self._refusal()
        self._domains = found.domains

    def _score(self, domains: Domains, is_finite: bool = False) -> float:
        """The share of usable rows, see `Trial.usable`; -1 if the reference fails."""
        usable: list[bool] = []
        drawer = self.drawer(domains)
        for run in drawer.usual():
            found = self._trial.usable(run, drawer.rows, is_finite)
            if found is None:
                return -1.0
            usable += found.tolist()
            if len(usable) >= _ENOUGH_ROWS:
                break
        return float(np.mean(usable)) if usable else 1.0

    def _refusal(self) -> PReLUToolsError:
        self._score(self._domains)  # its error on the usual ones
        names = ", ".join(spec.name for spec in self._specs)
        sizes = ", ".join(InputOption(spec.name, spec.shape).text for spec in self._specs)
        return PReLUToolsError(
            f"{self._trial.error}. No inputs of the sizes {sizes} were found that it accepts: "
            f"check the sizes (--input), or set the values of {names} with --input-range "
            "NAME=LOW,HIGH, or a file of inputs with --inputs"
        )

    def _used(self, spec: TensorSpec, limits: tuple[float, float] | None) -> InputDomain:
        values = self._domains[spec.name]
        low, high = (None, None) if limits is None else limits
        return InputDomain(spec.name, spec.dtype, str(values), values.origin, low, high)

    def _notes(self) -> list[Reason]:
        """Which values were used, where the user did not say and the type does not."""
        return [
            Reason(f"input {name}: {values}", "input_domain")
            for name, values in self._domains.items()
            if _is_told(values)
        ]


def _is_told(values: Values) -> bool:
    return values.origin in ("table", "example", "tried")
