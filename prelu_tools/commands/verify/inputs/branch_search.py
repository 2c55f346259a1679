"""Search for inputs that change a model's decisions, so that each branch is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.runners import Runner
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.trials import Domain, as_given, by_sizes, by_values
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.effort import Budget
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.decisions import Decision, DecisionBook

_EFFORT, _SECONDS = 10.0, 100.0  # for all trials of one model; see `core/process/effort.py`
_FEWEST: Final = 8  # trials of a large model
NOT_TAKEN: Final = "branch_not_taken"
"""The code of a decision with a way that no input took."""
BRANCH_FOUND: Final = "branch_found"
"""The code of a way that only inputs that were looked for took."""


@dataclass(frozen=True)
class Decider:
    """A model whose decisions are to be changed."""

    name: str
    """The candidate as the user spelled it; empty for the reference."""
    decisions: Callable[[Sequence[Feeds]], Sequence[Decision]]
    """See `Source.decisions`, for inputs of the reference."""


@dataclass(frozen=True)
class BranchPlan:
    """The models whose decisions should change, and the means to change them."""

    deciders: Sequence[Decider]
    """The models, the reference first."""
    domain: Domain
    """What the inputs may be."""
    is_searched: bool
    """Whether inputs are searched for in addition to those given."""
    fits: Callable[[Feeds], bool]
    """Whether the candidates take inputs of these sizes."""


@dataclass
class BranchSearch:
    """The outcome of the search."""

    feeds: list[Feeds] = field(default_factory=list)
    """Inputs to run in addition to the others: each takes a branch that those before it did not."""
    doubts: dict[str, list[Reason]] = field(default_factory=dict)
    """For each decider's name: the branches that no input took."""
    notes: list[Reason] = field(default_factory=list)
    """Notes on branches that only the search took, or that no tried size took."""


def search_branches(
    source: Source, feeds: Sequence[Feeds], plan: BranchPlan, effort: float = 0.0
) -> BranchSearch:
    """Find out which branches the inputs take, and search for inputs that take the others.

    A trial counts only where the reference runs on it and gives finite outputs.

    Args:
        source: the reference.
        feeds: its inputs.
        plan: the models with decisions, and what may be tried.
        effort: that of a run of all inputs (see `core/process/effort.py`).
    """
    most = max(_FEWEST, int(_EFFORT / max(effort, 1e-3)))
    turned = BranchSearch()
    for decider in plan.deciders:
        where = decider.name or "the reference"
        try:
            book = _book(decider, [*feeds, *turned.feeds])
        except PReLUToolsError as error:
            text = f"its decisions that depend on values could not be watched ({error})"
            turned.notes.append(Reason(text, "decisions_not_watched").within(where))
            continue
        if book is None:
            continue
        budget = Budget(most, _SECONDS)  # of trials, each of which counts as 1
        if plan.is_searched:
            _search(source, decider, book, feeds, plan, turned, budget)
        is_late = budget.ended_by == "clock"
        doubts = [_doubt(one, is_late) for one in book.untaken(by_sizes=False)]
        turned.doubts[decider.name] = doubts
        turned.notes += [_note(one).within(where) for one in book.untaken(by_sizes=True)]
    return turned


def _book(decider: Decider, feeds: Sequence[Feeds]) -> DecisionBook | None:
    decisions = decider.decisions(feeds)
    if not decisions:
        return None
    book = DecisionBook()
    book.add(decisions)
    return book


def _search(
    source: Source,
    decider: Decider,
    book: DecisionBook,
    feeds: Sequence[Feeds],
    plan: BranchPlan,
    turned: BranchSearch,
    budget: Budget,
) -> None:
    """Try inputs until each way is taken."""
    with source.runner() as runner:
        for sizes in (False, True):
            draw = by_sizes if sizes else by_values
            weak: list[tuple[Feeds, Sequence[Decision]]] = []
            trials = _tried(draw(feeds, plan.domain), feeds, plan, budget)
            while book.untaken(by_sizes=sizes) and (trial := next(trials, None)) is not None:
                decisions, worth = _tell(decider, book, runner, trial)
                if worth == "much":
                    _take(decider, book, trial, decisions, turned)
                elif worth == "little":
                    weak.append((trial, decisions))
            for trial, decisions in weak:
                if book.news(decisions):
                    _take(decider, book, trial, decisions, turned)


def _take(
    decider: Decider,
    book: DecisionBook,
    trial: Feeds,
    decisions: Sequence[Decision],
    turned: BranchSearch,
) -> None:
    """Keep a trial, and say what it shows."""
    for name, way in book.news(decisions):
        text = f"{name} {way} only for inputs from the search"
        turned.notes.append(Reason(text, BRANCH_FOUND).within(decider.name or "the reference"))
    turned.feeds.append(trial)
    book.add(decisions)


def _tried(
    trials: Iterator[Feeds], feeds: Sequence[Feeds], plan: BranchPlan, budget: Budget
) -> Iterator[Feeds]:
    for trial in trials:
        if not budget.spend(1):
            return
        given = as_given(trial, feeds)
        if plan.fits(given):
            yield given


def _tell(
    decider: Decider, book: DecisionBook, runner: Runner, trial: Feeds
) -> tuple[Sequence[Decision], Literal["much", "little", "nothing"]]:
    """The decisions of a trial, and its value: little if each output has only one value."""
    try:
        decisions = decider.decisions([trial])
        if not book.news(decisions):
            return (), "nothing"
        outputs = runner.run(trial)
    except PReLUToolsError:
        return (), "nothing"
    floating = [v for v in outputs.values() if np.issubdtype(v.dtype, np.floating)]
    if not all(np.isfinite(values).all() for values in floating):
        return (), "nothing"
    varies = any(v.size and v.min() != v.max() for v in outputs.values())
    return decisions, "much" if varies else "little"


def _doubt(decision: Decision, is_late: bool) -> Reason:
    within = f" within {_SECONDS:g} s" if is_late else ""
    return Reason(
        f"{decision.name} never {' and never '.join(decision.untaken)}: no inputs were found"
        f"{within} that change this, so that part of the model is not proven; use inputs that do "
        "(--inputs or --input-range)",
        NOT_TAKEN,
    )


def _note(decision: Decision) -> Reason:
    return Reason(
        f"{decision.name} never {' and never '.join(decision.untaken)} at the sizes that were "
        "tried",
        NOT_TAKEN,
    )
