"""Write every PReLU of a model in the fastest form for its runtime, and prove it equal."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.onnxruntime.running.racing import Run, open_run, race, shortest_time
from prelu_tools.backends.opening import open_source
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.registry import runs_in_onnxruntime
from prelu_tools.commands.optimize.equality import OriginalOutputs, equality_of, keep_bits
from prelu_tools.commands.optimize.preparing import Work, no_graph, prepare
from prelu_tools.commands.optimize.replay import read_choices
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.optimize.tuning import Choices, by_cost, tune
from prelu_tools.commands.output_check import demand_pass
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.targets import for_target, runtime_of
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.process.progress import ProgressCallback, silent
from prelu_tools.core.process.timing import Latency, ratio_of
from prelu_tools.core.results.optimization import (
    EqualityReport,
    Exactness,
    LayerChoice,
    OptimizeResult,
)
from prelu_tools.core.results.verification.result import ExportVerificationError, VerifyResult
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.io.writer import refuse_existing, write_model
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.prune import relist_weights

_SLOW = 1.0  # seconds per run: a slower model is tuned on request only
_FINAL_SECONDS, _FINAL_ROUNDS = 3.0, range(15, 1000)
_EVALUATED = 2  # rows for onnx's evaluator, which is slow


def optimize(
    request: OptimizeRequest, progress: ProgressCallback = silent, opened: Source | None = None
) -> OptimizeResult:
    """Optimize a model.

    Args:
        request: what to optimize, and how.
        progress: called with the name of each step.
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
        raise no_graph(request.source)
    progress("reading")
    source = open_source(request.source, request.options) if opened is None else opened
    work = prepare(source, request, progress)
    choices = _choose(work)
    originals = OriginalOutputs(work.original(), work.feeds)
    if request.exact.kind == "bitwise":
        progress("comparing the outputs' bits")
        keep_bits(work.bench, work.layers, choices, originals)
    latency = _settle(work, choices)
    plain = work.bench.written(choices.forms)
    model = _fitted(work, plain, choices)
    _keep_inputs(work, model)
    with placing(request.output, request.force) as temporary:
        progress("writing")
        n_bytes = write_model(model, temporary).n_bytes
        progress("verifying")
        verification = _verify(work, temporary)
        run = work.bench.open(choices.forms) if model is plain else _loaded(work, model)
        equal = equality_of(work.portable, plain, originals, run, verification)
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


def _left(work: Work) -> tuple[str, ...]:
    """The note on bodies that cannot be observed."""
    if not work.inside or work.request.target != "onnxruntime-cpu":
        return ()
    names = ", ".join(work.inside)
    return (f"left unchanged, in the bodies of a Scan or of an opset before 13: {names}",)


def _fitted(work: Work, plain: OnnxModel, choices: Choices) -> OnnxModel:
    """The model in a form that the target reads correctly; the choices say what was rewritten."""
    target = work.request.target
    if target == "onnxruntime-cpu":
        return plain
    model, told = for_target(plain, target)
    written = {layer.name: layer.form for layer in read_layers(model)}
    choices.forms |= {name: written.get(name, form) for name, form in choices.forms.items()}
    choices.notes += told
    return model


def _loaded(work: Work, model: OnnxModel) -> Run:
    return open_run(model, work.request.threads, "the model for its target")


def _keep_inputs(work: Work, model: OnnxModel) -> None:
    """Weights that a caller may override stay so.

    Raises:
        PReLUToolsError: one of them is a constant now.
    """
    lost = relist_weights(model.proto, work.source.model.proto)
    if lost:
        raise PReLUToolsError(
            f"{lost[0]} is an input with a default that a caller may override, and the rewritten "
            "model would not have it: make it a constant first (prelu-tools export "
            f"{work.request.source} -o constant.onnx), and optimize that file"
        )


def _choose(work: Work) -> Choices:
    request = work.request
    if request.target != "onnxruntime-cpu":
        names = [layer.name for layer in work.layers]
        return Choices(dict.fromkeys(names, "prelu"), dict.fromkeys(names, "target"))
    if request.choices is not None:
        return read_choices(request.choices, work.layers)
    bench = work.bench
    tuned = request.tune
    if tuned is None:
        tuned = shortest_time(bench.open({}), bench.feeds, request.threads) < _SLOW
    if not tuned:
        return by_cost(work.layers)
    return tune(bench, work.layers, request.tune_seconds, work.progress)


def _settle(work: Work, choices: Choices) -> Latency | None:
    """Time the model before and after; if nothing was gained, undo the changes, in place."""
    if work.request.target != "onnxruntime-cpu" or not work.request.timed:
        return None
    work.progress("timing the model before and after")
    latency = _latency(work, choices)
    fixed = work.request.choices is not None or work.request.tune is False
    before = _before(work)
    if latency.ratio.low <= 1.0 or fixed or choices.forms == before:
        return latency
    choices.notes.append(
        f"no form was faster than the original (the best took {latency.ratio.median:.2f} times "
        "as long): its layers are unchanged"
    )
    for name, form in before.items():
        choices.forms[name] = form
        choices.chosen[name] = "speed"
    choices.gains.clear()
    return _latency(work, choices)


def _before(work: Work) -> dict[str, str]:
    """The form that each layer had, or PRelu where that one is never written."""
    return {
        layer.name: form if (form := work.had[layer.name]) in layer.forms else "prelu"
        for layer in work.layers
    }


def _latency(work: Work, choices: Choices) -> Latency:
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


def _verify(work: Work, written: Path) -> VerifyResult:
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


def _demand(exact: Exactness, equal: EqualityReport) -> None:
    """Compare the result with the requirement of `--exact`.

    Raises:
        ExportVerificationError: it does not hold.
    """
    wrong = None
    if exact.kind == "approximate" and equal.max_ulps > exact.ulps:
        wrong = f"a layer is off by {equal.max_ulps:,} ulp, more than the {exact.ulps} allowed"
    elif exact.kind != "approximate" and not equal.layer:
        wrong = f"a layer does not equal PRelu ({equal.max_ulps:,} ulp apart)"
    elif exact.kind == "bitwise" and not equal.bitwise:
        wrong = "the outputs are not bit for bit those of the original model"
    elif exact.kind == "special" and not equal.special:
        wrong = "infinities or NaN give results that differ from the original model's"
    if wrong is not None:
        raise ExportVerificationError(f"{wrong} (--exact {exact.text}): nothing was written")


def _layers(work: Work, choices: Choices) -> tuple[LayerChoice, ...]:
    found = []
    for layer in work.layers:
        gained, gain = choices.gains.get(layer.name, (None, None))
        found.append(
            LayerChoice(
                name=layer.name,
                shape=layer.shape,
                n_slopes=layer.n_slopes,
                before=work.had[layer.name],
                form=choices.forms[layer.name],
                chosen=choices.chosen[layer.name],
                gained=gained,
                gain=gain,
                group=choices.groups.get(layer.name),
            )
        )
    return tuple(found)
