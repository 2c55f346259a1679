"""Write every PReLU of a model in the form that is fastest where it runs, proven equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from prelu_tools.backends.interface import OnnxGraph, Source
from prelu_tools.backends.onnxruntime.racing import (
    Run,
    open_run,
    race,
    runtime_version,
    shortest_time,
)
from prelu_tools.backends.onnxruntime.repaired import RepairedModel, repaired_model
from prelu_tools.backends.onnxruntime.tapped import taps_of
from prelu_tools.backends.registry import open_source, refuse_ignored_options, runs_in_onnxruntime
from prelu_tools.commands.optimize.equality import OriginalOutputs, held, keep_bits
from prelu_tools.commands.optimize.replay import read_choices
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.optimize.rewritable import RewritableLayer, rewritable_layers
from prelu_tools.commands.optimize.timed_inputs import TimedInputs, draw_inputs
from prelu_tools.commands.optimize.tuning import Bench, Choices, by_cost, tune
from prelu_tools.commands.output_check import demand_pass
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.targets import for_target, runtime_of
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import (
    PReLUToolsError,
    UsageError,
)
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.results.optimization import (
    Exactness,
    Held,
    LayerChoice,
    OptimizeResult,
)
from prelu_tools.core.results.verification import ExportVerificationError, VerifyResult
from prelu_tools.core.timing import Latency, ratio_of
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.io.writer import refuse_existing, write_model
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.finish import check_slopes
from prelu_tools.graph.passes.lowering import lowerable
from prelu_tools.graph.passes.portable import to_portable
from prelu_tools.graph.passes.prune import overridable, relist_weights

_SLOW = 1.0  # seconds a run: a slower model is tuned only where that is asked for
_FINAL_SECONDS, _FINAL_ROUNDS = 3.0, range(15, 1000)
_EVALUATED = 2  # rows for onnx's evaluator, which is slow

ProgressCallback = Callable[[str], None]


def _silence(_stage: str) -> None:
    pass


@dataclass(frozen=True)
class _Work:
    """What the steps share."""

    request: OptimizeRequest
    source: OnnxGraph
    repaired: RepairedModel
    """The source with its slopes where they belong."""
    portable: OnnxModel
    """The same with every PReLU as a PRelu node."""
    had: Mapping[str, str]
    """The form that each layer had, by its name."""
    inputs: TimedInputs
    spots: tuple[RewritableLayer, ...]
    tell: ProgressCallback
    inside: tuple[str, ...] = ()
    """The layers that are nowhere but in bodies which nobody can look into, as that of a Scan."""

    @property
    def feeds(self) -> list[Feeds]:
        """Inputs; the first is timed."""
        return self.inputs.feeds

    @property
    def bench(self) -> Bench:
        """Opens the model in other forms, and times it on the first inputs."""
        return Bench(self.portable, self.feeds[0], self.request.threads, DEFAULT_SEED)

    def original(self) -> Run:
        """The file as it is, loaded; the one with PRelu nodes where its slopes were repaired."""
        model = self.portable if self.repaired.reference else self.source.model
        return open_run(model, self.request.threads, self.source.spelled)


def optimize(
    request: OptimizeRequest, tell: ProgressCallback = _silence, opened: Source | None = None
) -> OptimizeResult:
    """Optimize a model.

    Args:
        request: what to optimize, and how.
        tell: is told what is being done.
        opened: the source, where it is open already; None to open it.

    Raises:
        UsageError: the output exists, or the source is not an ONNX file.
        ExportVerificationError: the result is not its source; nothing was written.
        PReLUToolsError: the source cannot be read, has no PReLU, or could not be checked; nothing
            was written.
    """
    refuse_existing(request.output, request.force)
    check_request(request, *([request.source] if opened is None else []))
    if opened is None and not runs_in_onnxruntime(request.source):
        raise _no_graph(request.source)
    tell("reading")
    source = open_source(request.source, request.options) if opened is None else opened
    work = _prepare(source, request, tell)
    choices = _choose(work)
    witness = OriginalOutputs(work.original(), work.feeds)
    if request.exact.kind == "bitwise":
        tell("comparing the outputs' bits")
        keep_bits(work.bench, work.spots, choices, witness)
    latency = _settle(work, choices)
    plain = work.bench.written(choices.forms)
    model = _fitted(work, plain, choices)
    _keep_inputs(work, model)
    with placing(request.output, request.force) as temporary:
        tell("writing")
        n_bytes = write_model(model, temporary).n_bytes
        tell("verifying")
        verification = _verify(work, temporary)
        run = work.bench.open(choices.forms) if model is plain else _loaded(work, model)
        equal = held(work.portable, plain, witness, run, verification)
        _demand(request.exact, equal)
    return OptimizeResult(
        source=request.source,
        path=str(request.output),
        n_bytes=n_bytes,
        target=request.target,
        exact=request.exact,
        layers=_layers(work, choices),
        held=equal,
        latency=latency,
        verification=verification,
        notes=(
            *map(str, work.repaired.repairs),
            *choices.notes,
            *_left(work),
        ),
    )


def _left(work: _Work) -> tuple[str, ...]:
    """What is said of bodies that nobody can look into."""
    if not work.inside or work.request.target != "onnxruntime-cpu":
        return ()
    names = ", ".join(work.inside)
    return (f"in the bodies of a Scan, or of an opset before 13, and left as they are: {names}",)


def _fitted(work: _Work, plain: OnnxModel, choices: Choices) -> OnnxModel:
    """The model as the target reads it right; what was rewritten is said in the choices."""
    target = work.request.target
    if target == "onnxruntime-cpu":
        return plain
    model, told = for_target(plain, target)
    written = {layer.name: layer.form for layer in read_layers(model)}
    choices.forms |= {name: written.get(name, form) for name, form in choices.forms.items()}
    choices.notes += told
    return model


def _loaded(work: _Work, model: OnnxModel) -> Run:
    return open_run(model, work.request.threads, "the model for its target")


def _prepare(source: Source, request: OptimizeRequest, tell: ProgressCallback) -> _Work:
    graph = source.graph
    if graph is None:
        raise _no_graph(request.source)
    refuse_ignored_options([source], request)
    repaired = repaired_model(graph, request.slope_axis)
    if repaired.repairs and not request.repair_slopes:
        first, n = repaired.repairs[0], len(repaired.repairs)
        raise PReLUToolsError(
            f"{first.node} has a slope of shape {list(first.before)} that belongs on axis "
            f"{first.axis} ({first.reason}), as {n} of its slopes do: --repair-slopes writes it so"
        )
    portable = to_portable(repaired.model, hidden=request.target != "onnxruntime-cpu")
    portable.take_in()  # slopes
    check_slopes(portable, "optimized")
    tell("running the model")
    inputs = draw_inputs(graph, portable, request)
    feeds = inputs.feeds
    spots = rewritable_layers(portable, feeds[0], request.exact, runtime_version())
    inside = [i.layer.name for i in graph.located if not taps_of([i])]
    if not spots and inside:
        raise PReLUToolsError(
            f"every PReLU of {request.source} is in the body of a Scan, or of an opset before 13 "
            f"({', '.join(inside)}), which are left as they are: there is nothing to optimize"
        )
    if not spots:
        raise PReLUToolsError(
            f"found no PReLU in {request.source}: there is nothing to optimize (prelu-tools "
            "inspect -v shows near misses)"
        )
    spots = _with_inputs_kept(portable, graph, spots)
    had = {layer.name: layer.form for layer in read_layers(repaired.model)}
    return _Work(request, graph, repaired, portable, had, inputs, spots, tell, tuple(inside))


def _no_graph(source: str) -> UsageError:
    return UsageError(
        f"{source} is not an ONNX file: export it first (prelu-tools export {source} -o model.onnx)"
    )


def _with_inputs_kept(
    portable: OnnxModel, source: OnnxGraph, spots: tuple[RewritableLayer, ...]
) -> tuple[RewritableLayer, ...]:
    """The layers, of which those stay PRelu nodes whose slopes a caller may override."""
    wanted = overridable(source.model.proto)
    kept = {
        item.layer.name
        for item in lowerable(portable)
        for match in item.matches
        if match.node.input[1] in wanted
    }
    return tuple(replace(x, forms=("prelu",)) if x.name in kept else x for x in spots)


def _keep_inputs(work: _Work, model: OnnxModel) -> None:
    """Weights that a caller may override stay so.

    Raises:
        PReLUToolsError: one of them is a constant now.
    """
    lost = relist_weights(model.proto, work.source.model.proto)
    if lost:
        raise PReLUToolsError(
            f"{lost[0]} is an input with a default, which a caller may override, and the model "
            "with its PReLU rewritten would not take it: make it a constant first (prelu-tools "
            f"export {work.request.source} -o constant.onnx), and optimize that"
        )


def _choose(work: _Work) -> Choices:
    request = work.request
    if request.target != "onnxruntime-cpu":
        names = [spot.name for spot in work.spots]
        return Choices(dict.fromkeys(names, "prelu"), dict.fromkeys(names, "target"))
    if request.choices is not None:
        return read_choices(request.choices, work.spots)
    bench = work.bench
    tuned = request.tune
    if tuned is None:
        tuned = shortest_time(bench.open({}), bench.feeds, request.threads) < _SLOW
    if not tuned:
        return by_cost(work.spots)
    return tune(bench, work.spots, request.tune_seconds, work.tell)


def _settle(work: _Work, choices: Choices) -> Latency | None:
    """Time the model before and after; where nothing was gained, it stays as it was, in place."""
    if work.request.target != "onnxruntime-cpu" or not work.request.timed:
        return None
    work.tell("timing the model before and after")
    latency = _latency(work, choices)
    fixed = work.request.choices is not None or work.request.tune is False
    before = _before(work)
    if latency.ratio.low <= 1.0 or fixed or choices.forms == before:
        return latency
    choices.notes.append(
        f"no form was faster than the original (it took {latency.ratio.median:.2f} times as "
        "long): its layers are unchanged"
    )
    for name, form in before.items():
        choices.forms[name] = form
        choices.chosen[name] = "speed"
    choices.gains.clear()
    return _latency(work, choices)


def _before(work: _Work) -> dict[str, str]:
    """The form that each layer had, or PRelu where that one is never written."""
    return {
        spot.name: form if (form := work.had[spot.name]) in spot.forms else "prelu"
        for spot in work.spots
    }


def _latency(work: _Work, choices: Choices) -> Latency:
    first = work.feeds[0]
    runs = {"before": work.original(), "after": work.bench.open(choices.forms)}
    threads = work.request.threads
    times = race(runs, first, _FINAL_SECONDS, _FINAL_ROUNDS, DEFAULT_SEED, threads)
    before, after = times.seconds["before"], times.seconds["after"]
    return Latency(
        before=sorted(before)[len(before) // 2],
        after=sorted(after)[len(after) // 2],
        ratio=ratio_of(after, before),
        threads=threads,
        shapes=tuple((name, values.shape) for name, values in first.items()),
        clock=times.clock,
        waited=times.waited,
        sizes_from=work.inputs.sizes_from,
    )


def _verify(work: _Work, written: Path) -> VerifyResult:
    request = work.request
    result = verify_source(
        work.repaired.reference or work.source,
        VerifyRequest(
            reference=request.source,
            samples=_EVALUATED if work.repaired.reference else None,
            candidates=(str(written),),
            layouts={"reference": "nchw", "candidate": "nchw"},  # the layout stays
            runtimes=runtime_of(request.target),
            search_seconds=0.0,
            power=False,
            options=request.options,
        ),
    )
    return demand_pass(result, "optimized", written, request.output)


def _demand(exact: Exactness, equal: Held) -> None:
    """Compare the result with what `--exact` asks.

    Raises:
        ExportVerificationError: it does not hold.
    """
    wrong = None
    if exact.kind == "approximate" and equal.max_ulps > exact.ulps:
        wrong = f"a layer is off by {equal.max_ulps:,} ulp, where {exact.ulps} were allowed"
    elif exact.kind != "approximate" and not equal.layer:
        wrong = f"a layer does not equal PRelu ({equal.max_ulps:,} ulp apart)"
    elif exact.kind == "bitwise" and not equal.bitwise:
        wrong = "the outputs are not bit for bit those of the original model"
    elif exact.kind == "special" and not equal.special:
        wrong = "infinities or NaN give other results than in the original model"
    if wrong is not None:
        raise ExportVerificationError(f"{wrong} (--exact {exact.kind}): nothing was written")


def _layers(work: _Work, choices: Choices) -> tuple[LayerChoice, ...]:
    found = []
    for spot in work.spots:
        gained, gain = choices.gains.get(spot.name, (None, None))
        found.append(
            LayerChoice(
                name=spot.name,
                shape=spot.shape,
                n_slopes=spot.n_slopes,
                before=work.had[spot.name],
                form=choices.forms[spot.name],
                chosen=choices.chosen[spot.name],
                gained=gained,
                gain=gain,
                group=choices.groups.get(spot.name),
            )
        )
    return tuple(found)
