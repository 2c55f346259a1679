"""Run a reference on the inputs of a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.deciders import turn_plan
from prelu_tools.commands.verify.inputs.drawing import DrawPlan, known_shapes
from prelu_tools.commands.verify.inputs.feeds import replay_feeds
from prelu_tools.commands.verify.inputs.linking import round_feeds
from prelu_tools.commands.verify.inputs.planning import InputPlan, plan_inputs
from prelu_tools.commands.verify.inputs.rows import find_rows
from prelu_tools.commands.verify.inputs.trials import Domain
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.run import ReferencePlan, run_reference
from prelu_tools.commands.verify.reference.searching import SearchPlan
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import UsageError
from prelu_tools.core.inputs import DEFAULT_SAMPLES


def check_ranges(source: Source, request: VerifyRequest) -> None:
    """Reject a range of an input that the reference does not have.

    Raises:
        UsageError: there is one.
    """
    names = [spec.name for spec in source.inputs()]
    for name in request.ranges:
        if name and name not in names:
            raise UsageError(
                f"--input-range {name}: {request.reference} has no such input; it has "
                f"{', '.join(names)}"
            )


@contextmanager
def running(
    source: Source, opened: Sequence[Linked], request: VerifyRequest
) -> Iterator[tuple[Reference, InputPlan]]:
    """Run a reference; its resources are released after the block.

    Args:
        source: the reference.
        opened: the candidates, whose inputs and decisions count too.
        request: the options.

    Raises:
        PReLUToolsError: it cannot be run.
    """
    settled = _inputs(source, opened, request)
    is_searched = not _replays(request)
    plan = ReferencePlan(
        wide=request.tolerance.multiple is not None,
        layers=request.layers,
        search=_search_plan(request) if is_searched else SearchPlan(seconds=0.0),
        seed=request.seed,
        ranges=settled.ranges,
        whole=not settled.rows.names,
        rows=settled.rows,
    )
    domain = Domain(source.inputs(), plan.ranges, plan.whole, plan.rows)
    plan = replace(plan, turning=turn_plan(source, opened, domain, is_searched))
    with run_reference(source, settled.feeds, plan) as reference:
        reference.notes += settled.notes
        reference.doubts += settled.doubts
        yield reference, settled


def _search_plan(request: VerifyRequest) -> SearchPlan:
    required = 0.0 if request.min_coverage is None else request.min_coverage
    return SearchPlan(request.search_seconds, 1.0 if request.min_hits else required)


def _named_ranges(source: Source, request: VerifyRequest) -> dict[str, tuple[float, float]]:
    """The range of each input that has one; "" in the request stands for all others."""
    everything = request.ranges.get("")
    found = {spec.name: request.ranges.get(spec.name, everything) for spec in source.inputs()}
    return {name: limits for name, limits in found.items() if limits is not None}


def _replays(request: VerifyRequest) -> bool:
    """Whether exactly the inputs of a file are used."""
    return request.inputs_file is not None and request.samples is None


def _inputs(source: Source, opened: Sequence[Linked], request: VerifyRequest) -> InputPlan:
    """What to run: drawn, replayed from a file, or both."""
    specs = source.inputs()
    others = [(item.source.inputs(), item.links) for item in opened]
    ranges = _named_ranges(source, request)
    if _replays(request):
        settled = InputPlan([], find_rows(known_shapes(specs, others)), ranges=ranges)
    else:
        samples = DEFAULT_SAMPLES if request.samples is None else request.samples
        settled = plan_inputs(source, others, DrawPlan(samples, request.seed, ranges))
        links = [link for item in opened for link in item.links]
        settled.feeds = [round_feeds(drawn, links) for drawn in settled.feeds]
    if request.inputs_file is not None:
        settled.feeds += replay_feeds(request.inputs_file, specs)
    return settled
