"""The models whose decisions a check's inputs should change: the reference and each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.branch_search import BranchPlan, Decider
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.linking import move
from prelu_tools.commands.verify.inputs.trials import Domain
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.core.results.verification.decisions import Decision


def turn_plan(
    source: Source, opened: Sequence[Linked], domain: Domain, is_searched: bool
) -> BranchPlan:
    """How the decisions of a reference and of its candidates are turned.

    Args:
        source: the reference.
        opened: the candidates.
        domain: what inputs may be.
        is_searched: whether inputs are searched for in addition to those given.
    """

    def fits(feeds: Feeds) -> bool:
        return all(_takes(item, feeds) for item in opened)

    deciders = [Decider("", source.decisions)]
    deciders += [Decider(item.label, partial(_decisions, item)) for item in opened]
    return BranchPlan(deciders, domain, is_searched, fits)


def _decisions(item: Linked, runs: Sequence[Feeds]) -> Sequence[Decision]:
    return item.source.decisions([move(feeds, item.links) for feeds in runs])


def _takes(item: Linked, feeds: Feeds) -> bool:
    """Whether the sizes of the reference's inputs are those that a candidate fixes."""
    found = move(feeds, item.links)
    shapes = [(spec.shape, found[spec.name].shape) for spec in item.source.inputs()]
    return all(
        isinstance(wanted, str) or wanted == size
        for shape, sizes in shapes
        for wanted, size in zip(shape, sizes, strict=True)
    )
