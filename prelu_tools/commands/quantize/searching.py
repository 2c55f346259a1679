"""Search for the fastest way to quantize a model that loses no more than plain quantization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import onnx

from prelu_tools.commands.quantize.choosing import FormBench, Forms, choose, most_exact
from prelu_tools.commands.quantize.losses import Losses, Watched, losses_of
from prelu_tools.commands.quantize.outcome import Measured, Work
from prelu_tools.commands.quantize.quantizing import (
    FloatModel,
    Prepared,
    Quantizer,
    equalized,
    look,
    negated,
)
from prelu_tools.commands.quantize.ranges import EXACT, FASTEST, NOTICEABLE
from prelu_tools.graph.quantized.forms import FLOAT


@dataclass(frozen=True)
class Attempt:
    """One way to quantize the model, and what it loses."""

    forms: Forms
    proto: onnx.ModelProto
    losses: Measured


def within_loss(work: Work, own: Quantizer) -> tuple[Measured, Attempt]:
    """What plain quantization loses, and the first way that loses little enough compared with it.

    The fastest forms, if they lose nothing, first with slopes above 1 turned into others; then
    finer scales; then layers in floating point.
    """
    request = work.request
    plain = _measure(work, work.plain, work.model)
    if (turned := _another(work, own, negated)) is not None:
        quantizer, found = _best(work, turned, plain)
        if (faster := _if_enough(work, quantizer, FASTEST, found, plain)) is not None:
            return plain, faster
    quantizer, found = _best(work, own, plain)
    for worth in (FASTEST, NOTICEABLE, EXACT):
        found = found if worth == FASTEST else _attempt(work, quantizer, worth)
        if (faster := _if_enough(work, quantizer, worth, found, plain)) is not None:
            return plain, faster
    wider = False
    while not _is_enough(work, found, plain, EXACT):
        left = [name for name in work.model.results if name not in work.kept]
        if left and len(work.kept) < request.keep_float:
            work.kept = (*work.kept, _worst_layer(work.model, found.losses.calibration, left))
        elif work.kept and not wider:
            wider = True
        else:
            break
        found = _attempt(work, quantizer, EXACT, wider)
    return plain, _timed(work, quantizer, EXACT, found, wider)


def _another(
    work: Work, own: Quantizer, change: Callable[[FloatModel], FloatModel | None]
) -> Quantizer | None:
    """The quantizer of a changed copy of the model, which was run; None if nothing changes."""
    changed = change(own.model)
    if changed is None:
        return None
    look(changed, own.feeds, work.request.source, [spec.shape for spec in work.graph.inputs()])
    folder = own.folder / change.__name__
    folder.mkdir()
    return replace(own, model=changed, folder=folder)


def _best(work: Work, own: Quantizer, plain: Measured) -> tuple[Quantizer, Attempt]:
    """With or without equalized channels: the one that loses less on the calibration data."""
    ways = [own, _another(work, own, equalized)]
    tried = [(way, _attempt(work, way, FASTEST)) for way in ways if way is not None]
    return min(
        tried, key=lambda t: max(_lost_by(t[1].losses.calibration, plain.calibration), default=0.0)
    )


def _if_enough(
    work: Work, quantizer: Quantizer, worth: float, found: Attempt, plain: Measured
) -> Attempt | None:
    """The same with the fastest forms, if neither loses too much."""
    if not _is_enough(work, found, plain, worth):
        return None
    found = _timed(work, quantizer, worth, found)
    return found if _is_enough(work, found, plain, worth) else None


def _is_enough(work: Work, found: Attempt, plain: Measured, worth: float) -> bool:
    """Whether no output loses too much; of the fastest forms, nor all of them on average."""
    lost = _lost_by(found.losses.held_out, plain.held_out)
    average = sum(lost) / len(lost) if lost and worth == FASTEST else 0.0
    return average <= 0 and max(lost, default=0.0) <= work.request.max_loss


def _attempt(work: Work, quantizer: Quantizer, worth: float, wider: bool = False) -> Attempt:
    """Every PReLU in the most exact form that fits."""
    prepared = quantizer.prepared(work.kept if wider else (), worth)
    return _written(work, quantizer, prepared, most_exact(prepared))


def _timed(
    work: Work, quantizer: Quantizer, worth: float, found: Attempt, wider: bool = False
) -> Attempt:
    """The same with the fastest forms."""
    request = work.request
    if not request.tune:
        return found
    prepared = quantizer.prepared(work.kept if wider else (), worth)
    bench = FormBench(prepared, work.data.calibration[0], request.threads, request.tune_seconds)
    return _written(work, quantizer, prepared, choose(bench, work.progress))


def _written(work: Work, quantizer: Quantizer, prepared: Prepared, forms: Forms) -> Attempt:
    for name in forms.forms:
        if name.partition("#")[0] in work.kept:
            forms.forms[name], forms.selected[name] = FLOAT, "loss"
    proto = prepared.written(forms.forms)
    work.progress("comparing with the floating-point model")
    return Attempt(forms, proto, _measure(work, proto, quantizer.model))


def _measure(work: Work, proto: onnx.ModelProto, model: FloatModel) -> Measured:
    name = work.request.source
    watched = Watched(model.proto, model.results, name)
    return Measured(
        losses_of(proto, watched, work.data.calibration, name),
        losses_of(proto, watched, work.data.held_out, name),
    )


def _lost_by(ours: Losses, plain: Losses) -> list[float]:
    """By how many dB each output is noisier than with plain quantization."""
    pairs = [(plain.outputs[n].decibels, ours.outputs[n].decibels) for n in ours.outputs]
    return [p - o for p, o in pairs if p is not None and o is not None]


def _worst_layer(model: FloatModel, losses: Losses, left: Sequence[str]) -> str:
    """The layer that adds most noise: by its own share, beyond that of the layer before."""
    before, gains = 0.0, dict.fromkeys(left, 0.0)
    for name in model.results:
        decibels = losses.layers[name].decibels if name in losses.layers else None
        noise = 0.0 if decibels is None else float(10 ** (-decibels / 10))
        if name in gains:
            gains[name] = noise - before
        before = noise
    return max(gains, key=lambda name: gains[name])
