"""What layers prove if every output agrees: FAIL means that the models differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prelu_tools.commands.verify.layers.finding import (
    Found,
    LayerSearch,
    find_in_order,
    find_layers,
    find_stated,
    in_words,
)
from prelu_tools.commands.verify.layers.matching import ADDITIONAL, CALLS, NOT_FOUND, LayerJudge
from prelu_tools.commands.verify.layers.watched import AXES, DIFFER, SHAPE
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.parity import LayerParity, Verdict

NOT_PROVEN = "layer_not_proven"
_UNNEEDED = "a PReLU that the reference does not have; the compared outputs agree"
_UNWATCHED = "without --no-layers, verify searches for it by its values"


def settled(
    layers: Sequence[LayerParity], judge: LayerJudge, search: LayerSearch
) -> tuple[LayerParity, ...]:
    """The outcome for every layer, given that no output differs.

    A layer that no pattern finds is looked for by its values. Found so it passes by behaviour; not
    found, it is inconclusive: the outputs say that its like is there. Calls that an exporter merged
    are looked for in the same way. A PReLU more than the reference has changes no output.

    Args:
        layers: the layers as `judge` found them.
        judge: knows the reference's layers, and the candidate's.
        search: where to look.
    """
    lost = [x.name for x in layers if _asks(x, NOT_FOUND)]
    fewer = [x.name for x in layers if _asks(x, CALLS) and judge.left_over(x.name)]
    moved = [x.name for x in layers if _asks(x, AXES)]
    wanted = [mine for mine in search.reference.layers if mine.name in (*lost, *fewer, *moved)]
    found = find_layers(search, wanted) if wanted else {}
    return tuple(_settle(layer, found, search, judge) for layer in layers)


def unsearched(
    layers: Sequence[LayerParity], judge: LayerJudge, search: LayerSearch
) -> tuple[LayerParity, ...]:
    """The same where no layer was looked at as it ran (`--no-layers`).

    So none can be searched for by its values, only by its slope if a node states it. Slopes that
    differ still fail, unless another layer of the candidate has them: that may be the same layer
    under another name.

    Args:
        layers: the layers as `judge` found them.
        judge: knows the reference's layers, and the candidate's.
        search: where to look.
    """
    wrong = misnamed(layers)
    is_renamed = judge.paired_by_slopes(wrong) is not None
    stated = find_stated(search.source, _missing(layers, search))
    return tuple(
        _by_values(layer, stated[layer.name], search)
        if layer.name in stated
        else _unsearched(layer, is_renamed)
        for layer in layers
    )


def blamed(
    layers: Sequence[LayerParity], _judge: LayerJudge, search: LayerSearch
) -> tuple[LayerParity, ...]:
    """The same where an output differs: a layer that no pattern finds may be a node's one slope."""
    stated = find_in_order(search.source, _missing(layers, search))
    return tuple(
        _by_values(layer, stated[layer.name], search) if layer.name in stated else layer
        for layer in layers
    )


def _missing(layers: Sequence[LayerParity], search: LayerSearch) -> list[PReLULayer]:
    lost = [layer.name for layer in layers if _asks(layer, NOT_FOUND)]
    return [mine for mine in search.reference.layers if mine.name in lost]


def _unsearched(layer: LayerParity, is_renamed: bool) -> LayerParity:
    if _asks(layer, ADDITIONAL):
        return _passed(layer, _UNNEEDED)
    found, text = Found(where=_UNWATCHED), str(layer.difference)
    if _asks(layer, NOT_FOUND):
        text = f"{layer.name}: not found in the candidate, although no compared output differs"
        return _doubtful(layer, text, found, NOT_FOUND)
    if is_renamed and _asks(layer, DIFFER):
        text = f"{text}, and another layer of the candidate has its slopes"
        return _doubtful(layer, text, found, NOT_PROVEN)
    code = next((code for code in (CALLS, AXES) if _asks(layer, code)), None)
    return layer if code is None else _doubtful(layer, text, found, code)


def misnamed(layers: Sequence[LayerParity]) -> list[str]:
    """The layers that have other slopes than those which they are paired with."""
    return [layer.name for layer in layers if _asks(layer, DIFFER)]


def _asks(layer: LayerParity, code: str) -> bool:
    return layer.verdict == "fail" and code_of(layer.difference) == code


def _settle(
    layer: LayerParity, found: dict[str, Found], search: LayerSearch, judge: LayerJudge
) -> LayerParity:
    if _asks(layer, ADDITIONAL):
        return _passed(layer, _UNNEEDED)
    if _asks(layer, SHAPE):
        return replace(layer, verdict="inconclusive")
    if _asks(layer, CALLS):
        return _calls(layer, found.get(layer.name), judge)
    if _asks(layer, AXES):
        return _in_other_axes(layer, found[layer.name])
    if _asks(layer, NOT_FOUND):
        return _by_values(layer, found[layer.name], search)
    return layer


def _calls(layer: LayerParity, found: Found | None, judge: LayerJudge) -> LayerParity:
    """A layer of the right slopes that is used more or less often than in the reference.

    Layers in place of its other calls must have its slopes: the outputs do not show the slopes of a
    call without negative inputs.
    """
    words = str(layer.difference).removeprefix(f"{layer.name}: ")
    others = judge.stand_ins(layer.name)
    for name, slopes in others:
        if not slopes.equal:
            text = (
                f"{layer.name}: {words}, and {name}, which stands in its place, has "
                "different slopes"
            )
            verdict: Verdict = "inconclusive" if slopes.ambiguous else "fail"
            reason = Reason(f"{text}: {slopes.description}", DIFFER)
            return replace(layer, verdict=verdict, difference=reason, slopes_equal=False)
    if others:
        stand_ins = ", ".join(dict.fromkeys(repr(name) for name, _ in others))
        return _passed(layer, f"{words}: {stand_ins} has its slopes too")
    if found is None:
        return _passed(layer, words)
    if found.tensors:
        tensors = ", ".join(map(repr, dict.fromkeys(found.tensors)))
        return _passed(layer, f"{words}: equal calls were merged (tensor {tensors})")
    text = f"{layer.name}: {words}, and its other calls were not found by their values"
    return _doubtful(layer, text, found, CALLS)


def _in_other_axes(layer: LayerParity, found: Found) -> LayerParity:
    """A layer of the same slopes along other axes: an optimizer moved a Transpose through it."""
    if not found.proven:
        return _doubtful(layer, str(layer.difference), found, AXES)
    known = _passed(layer, f"with a different axis order; {in_words(found)}")
    n_slopes = layer.n_slopes
    return replace(known, slopes_equal=True, n_by_value=n_slopes, n_by_behaviour=n_slopes)


def _by_values(layer: LayerParity, found: Found, search: LayerSearch) -> LayerParity:
    counts = search.reference.coverage.counts(layer.name)
    unreached = int((counts == 0).sum())
    known = replace(
        layer,
        coverage=float((counts > 0).mean()) if counts.size else None,
        least_positions=int(counts.min()) if counts.size else None,
        n_slopes=int(counts.size),
        parameter=next(x.parameter for x in search.reference.layers if x.name == layer.name),
    )
    if not found.tensors:
        reference = search.reference
        if not unreached and reference.source.is_unread(layer.name, reference.feeds[0]):
            words = "no output of the reference depends on it, and the candidate does not have it"
            return _passed(known, words)
        text = f"{layer.name}: not found in the candidate, although the compared outputs agree"
        return _doubtful(known, text, found, NOT_FOUND)
    known = replace(known, found="values", node=found.makers[0].node)
    text = f"{layer.name}: {in_words(found)}"
    if found.stated:
        return replace(known, difference=Reason(f"{text}: {found.wrong}", DIFFER))
    if not found.proven:
        short = f", but no negative value reached {unreached:,} of its {counts.size:,} slopes"
        if not unreached:
            short = ", but its values are too small to show its slopes"
        if found.wrong:
            short = f": {found.wrong}"
        reason = Reason(f"{text}{short}", NOT_PROVEN)
        return replace(known, verdict="inconclusive", difference=reason)
    return replace(
        _passed(known, in_words(found)),
        slopes_equal=found.by_value,
        n_by_value=int(counts.size) if found.by_value else 0,
        n_by_behaviour=int((counts > 0).sum()),
    )


def _passed(layer: LayerParity, note: str) -> LayerParity:
    return replace(layer, verdict="pass", difference=None, note=note)


def _doubtful(layer: LayerParity, text: str, found: Found, code: str) -> LayerParity:
    return replace(
        layer, verdict="inconclusive", difference=Reason(f"{text} ({found.where})", code)
    )
