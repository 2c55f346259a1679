"""Find layers that are not recognised in a candidate by their values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.backends.protocol.interface import Searchable, Source
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.layers.isolated import effective_slopes, is_prelu_of
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopes import PReLULayer, laid_over
from prelu_tools.graph.facts.tensors import Maker

_MOST_AXES = 5
_SHOWN = 0.1
"""A slope is shown where a change by a tenth of it, or of 0.1, would be beyond the limit."""

_ROUNDED = 64
"""Units in the last place, relative to its input, by which a layer may be off its own input."""

Place = tuple[int, int]
"""A run, and which call of a layer in it."""
Agrees = Callable[[str, Array, Array, Place | None], bool]
"""Whether a tensor is the output of a reference layer (by name) at a place or, without a place, its
input."""


@dataclass(frozen=True)
class Found:
    """The result of searching for one layer by its values."""

    tensors: tuple[str, ...] = ()
    """A tensor of the candidate for each call of the layer; empty if it was not found."""
    makers: tuple[Maker, ...] = ()
    """The node that makes each of them."""
    by_value: bool = False
    """Whether these nodes state the layer's slopes, as the file can write them: LeakyRelu, Relu."""
    proven: bool = False
    """Whether a wrong slope would have been seen."""
    where: str = ""
    """Where it was looked for, for the end of a sentence."""
    wrong: str | None = None
    """Its slopes there, if they are not the reference's."""
    is_unseen: bool = False
    """Whether no values were looked at: by its slope alone."""
    stated: bool = False
    """Whether the node states them, rather than its values."""


@dataclass(frozen=True)
class LayerSearch:
    """What is looked for, and where."""

    reference: Reference
    """The reference, which was run."""
    source: Source
    """The candidate."""
    provider: str
    """What runs it, where onnxruntime does."""
    feeds: Sequence[Feeds]
    """The inputs as the candidate takes them; one a run."""
    agrees: Agrees
    """The limit."""


@dataclass
class _Call:
    """One call of a layer of the reference, in the run that is looked at first."""

    layer: PReLULayer
    number: int
    x: Array
    y: Array
    outputs: dict[str, Array] = field(default_factory=dict)
    inputs: list[Array] = field(default_factory=list)


def find_layers(search: LayerSearch, layers: Sequence[PReLULayer]) -> dict[str, Found]:
    """Look for layers by their values, in all floating tensors of the candidate's main graph.

    A tensor that has the values of a layer's output in every run is its output, in any axis order;
    the one with the values of its input is looked for too, and says more of the slopes.
    """
    source = search.source.searchable
    if source is None:
        where = "the tensors of this kind of candidate cannot be searched"
        return {layer.name: Found(where=where) for layer in layers}
    try:
        calls = _calls(search, layers)
        makers = source.makers()
        searched = _look(search, source, calls, makers)
        return {layer.name: _conclude(search, source, layer, calls, makers, searched)
                for layer in layers}  # fmt: skip
    except PReLUToolsError as error:
        return {layer.name: Found(where=f"it could not be searched ({error})") for layer in layers}


def find_stated(source: Source, layers: Sequence[PReLULayer]) -> dict[str, Found]:
    """Find layers of one slope by the nodes that state it, given that no output differs.

    Nothing is run. A Relu says too little: most models have one besides.
    """
    left = _stating(source) if layers else {}
    found = {}
    for layer in layers:
        fits = [name for name, maker in left.items() if _states(maker, layer)]
        tensors = fits[: len(layer.nodes)]
        if len(tensors) == len(layer.nodes):
            made = tuple(left.pop(name) for name in tensors)
            found[layer.name] = Found(tuple(tensors), made, True, True, is_unseen=True)
    return found


def find_in_order(source: Source, layers: Sequence[PReLULayer]) -> dict[str, Found]:
    """The same where outputs differ: as many nodes as layers are these, and some may be wrong."""
    makers = _stating(source) if layers else {}
    if len(makers) != len(layers) or any(len(layer.nodes) > 1 for layer in layers):
        return {}
    found = {}
    for layer, (tensor, maker) in zip(layers, makers.items(), strict=True):
        wrong = None if _states(maker, layer) else _stated_words(maker, layer)
        right = wrong is None
        found[layer.name] = Found(
            (tensor,), (maker,), right, right, wrong=wrong, stated=not right, is_unseen=True
        )
    return found


def _stating(source: Source) -> dict[str, Maker]:
    """The tensors whose node states a slope other than 0, in the order of the graph."""
    try:
        searched = source.searchable
        makers = {} if searched is None else searched.makers()
    except PReLUToolsError:
        return {}
    return {name: maker for name, maker in makers.items() if maker.slope}


def _calls(search: LayerSearch, layers: Sequence[PReLULayer]) -> list[_Call]:
    """The calls of these layers in the run of the reference that is looked at first."""
    wanted = {layer.name: layer for layer in layers}
    found = search.reference.calls(wanted)
    return [_Call(wanted[call.layer], call.number, call.x, call.y) for call in found]


def _look(
    search: LayerSearch, source: Searchable, calls: Sequence[_Call], makers: Mapping[str, Maker]
) -> int:
    """Note for each call the tensors that may be its output and its input; how many were seen."""
    seen, names, run = 0, list(makers), search.reference.looked_at
    every = source.every(search.provider, names, search.feeds[run])
    for name, values in itertools.chain(search.feeds[run].items(), every):
        seen += name in makers
        if not np.issubdtype(values.dtype, np.floating):
            continue
        for call in calls:
            place = (run, call.number)
            same = _same(search.agrees, call.layer.name, call.y, values, place)
            if same is not None and name in makers:
                call.outputs[name] = same
            given = _same(search.agrees, call.layer.name, call.x, values)
            call.inputs += [] if given is None else [given]
    return seen


def _same(
    agrees: Agrees, layer: str, expected: Array, values: Array, place: Place | None = None
) -> Array | None:
    """The values in the first axis order in which they are the expected ones; None for none."""
    if values.size != expected.size or not values.size or not _as_large(expected, values):
        return None
    arranged = _arranged(values, expected.shape)
    return next((found for found in arranged if agrees(layer, expected, found, place)), None)


def _as_large(expected: Array, values: Array) -> bool:
    """A quick look: whether the largest numbers are about the same."""
    left, right = (float(np.nan_to_num(np.abs(a)).max()) for a in (expected, values))
    return abs(left - right) <= 0.05 * max(left, right)


def _arranged(values: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """An array in a shape, as its elements are, and with its axes in every order that fits."""
    yield values.reshape(shape)
    plain = values.squeeze()
    wanted = tuple(size for size in shape if size != 1)
    if plain.ndim > _MOST_AXES:
        return
    for order in AxisAlignment.every(plain.shape, wanted):
        if order != tuple(range(plain.ndim)):
            yield plain.transpose(order).reshape(shape)


def _conclude(
    search: LayerSearch,
    source: Searchable,
    layer: PReLULayer,
    calls: Sequence[_Call],
    makers: Mapping[str, Maker],
    searched: int,
) -> Found:
    own = [call for call in calls if call.layer.name == layer.name]
    where = f"{searched:,} tensors of the candidate were compared with it"
    if source.has_bodies:
        where += "; those in bodies of If, Loop and Scan cannot be"
    if not own:
        return Found(where="it cannot be observed in the reference")
    for call in own:
        _drop_coincidences(search, source, call)
    if not all(call.outputs for call in own):
        return Found(where=where)
    tensors = tuple(next(iter(call.outputs)) for call in own)
    made = tuple(makers[tensor] for tensor in tensors)
    stated = [maker for maker in made if maker.slope is not None]
    for maker in stated:
        if not _states(maker, layer):
            wrong = _stated_words(maker, layer)
            return Found(tensors, made, where=where, wrong=wrong, stated=True)
    if len(stated) == len(made):
        return Found(tensors, made, by_value=True, proven=True, where=where)
    reached = bool((search.reference.coverage.counts(layer.name) > 0).all())
    departs = next(filter(None, map(_wrong, own)), None)
    proven = reached and not departs and any(_shows(search, call) for call in own)
    return Found(tensors, made, proven=proven, where=where, wrong=departs)


def _stated_words(maker: Maker, layer: PReLULayer) -> str:
    return f"its slope is {maker.slope:.9g}, expected {_text(layer.slopes)}"


def _text(slopes: Array) -> str:
    low, high = float(slopes.min()), float(slopes.max())
    if low == high:
        return f"{low:.9g}"
    return f"{slopes.size:,} slopes (smallest {low:.9g}, largest {high:.9g})"


def _wrong(call: _Call) -> str | None:
    """The slopes of a call by the values of its input and output, if they differ from the layer's.

    The input may have been computed twice, in another order, with a rounding error in proportion to
    the largest inputs; so only these count.
    """
    slopes = laid_over(call.layer, call.x.ndim)
    pairs = list(itertools.product(call.inputs, call.outputs.values()))
    if slopes is None or not pairs or any(is_prelu_of(slopes, x, y) for x, y in pairs):
        return None
    found = [effective_slopes(slopes, x, y) for x, y in pairs]
    room = _ROUNDED * max(float(np.finfo(a.dtype).eps) for pair in pairs for a in pair)
    distances = [np.abs(a - slopes) / np.maximum(1, np.abs(slopes)) for a in found]
    worst = [np.nan_to_num(distance) for distance in distances]
    nearest = min(range(len(pairs)), key=lambda i: float(worst[i].max()))
    if float(worst[nearest].max()) <= room:
        return None
    place = np.unravel_index(int(worst[nearest].argmax()), slopes.shape)
    seen, right = float(found[nearest][place]), float(slopes[place])
    return f"its values show a slope of {seen:.9g}, expected {right:.9g}"


def _drop_coincidences(search: LayerSearch, source: Searchable, call: _Call) -> None:
    """Keep the tensors that have the values of this call in every other run too."""
    name, number = call.layer.name, call.number
    for run in range(len(search.feeds)):
        if run == search.reference.looked_at:
            continue
        expected = search.reference.activation(run, name, number)
        if expected is None or not call.outputs:
            continue
        found = source.every(search.provider, list(call.outputs), search.feeds[run])
        for tensor, values in found:
            place = (run, number)
            if _same(search.agrees, name, expected, values, place) is None:
                del call.outputs[tensor]


def _states(maker: Maker, layer: PReLULayer) -> bool:
    """Whether a node states a layer's slopes, as far as its file can; 0 may have either sign."""
    slope, slopes = maker.slope, layer.slopes
    return slope is not None and slopes.size > 0 and _is_written(slope, maker.digits, slopes)


def _is_written(slope: float, digits: int | None, slopes: Array) -> bool:
    if digits is not None and bool((slopes == slopes.flat[0]).all()):
        written = [f"{float(one):.{digits - 1}e}" for one in (slope, slopes.flat[0])]
        return float(written[0]) == float(written[1])
    zero = slope == 0 and not slopes.any()
    return zero or same_bits(np.full(slopes.shape, slope, slopes.dtype), slopes)


def _shows(search: LayerSearch, call: _Call) -> bool:
    """Whether a wrong slope of the layer would have been seen in this call."""
    slopes = laid_over(call.layer, call.x.ndim)
    if slopes is None:
        return False
    for y in call.outputs.values():
        if any(is_prelu_of(slopes, x, y) for x in call.inputs):
            return True
    change = _SHOWN * np.maximum(np.abs(slopes), _SHOWN) * np.fmax(-call.x, 0)
    axes = tuple(axis for axis, size in enumerate(slopes.shape) if size == 1)
    largest = change.max(axis=axes, keepdims=True)
    place = np.unravel_index(int(np.argmin(largest)), largest.shape)
    only = np.zeros(largest.shape, np.bool_)
    only[place] = True
    kind = next(iter(call.outputs.values())).dtype
    wrong = np.where(only, call.y + change, call.y).astype(kind)
    return not search.agrees(
        call.layer.name, call.y, wrong, (search.reference.looked_at, call.number)
    )


def in_words(found: Found) -> str:
    """Where a layer was found."""
    first = found.makers[0]
    tensors = ", ".join(map(repr, dict.fromkeys(found.tensors)))
    node = f"tensor {tensors} of node {first.node!r}"
    if found.is_unseen and found.stated:
        return f"replaced by a {first.operator} ({node})"
    text = f"found by its {'slope' if found.is_unseen else 'values'}: {node}"
    if not found.by_value:
        return f"{text} ({first.operator})"
    one = "Relu" if first.operator == "Relu" else f"LeakyRelu({first.slope:.6g})"
    digits = "" if first.digits is None else f"; the file states {first.digits} digits of its slope"
    return f"{text}, the same function as {one}{digits}"
