"""Compare two layers' slopes bit for bit, and describe differences in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from prelu_tools.core.arrays import Array, frozen, same_bits
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation, moved_from
from prelu_tools.core.prelu.slopes import PReLULayer, broadcasts
from prelu_tools.core.results.reasons import VALUES_DIFFER, Reason, counted
from prelu_tools.core.rounding.tolerance import resolution


@dataclass(frozen=True)
class SlopeDifference:
    """The outcome of comparing one layer."""

    equal: bool
    """Bit for bit after sign and layout."""
    description: str | None = None
    """What differs; None if nothing does."""
    ambiguous: bool = False
    """The layout is unknown, and the answer depends on it: no verdict."""
    note: str | None = None
    """An unusual fact although nothing differs; None if there is none."""
    moved: bool = False
    """Whether they are the same values, along other axes: right if the input's axes moved too."""
    rounded: bool = False
    """Whether they differ by no more than a form with intermediate rounding changes slopes."""
    n_equal: int = field(default=0, compare=False)
    """Slopes that are equal bit for bit, of those that are not all equal."""

    @property
    def same(self) -> bool:
        """Whether both layers compute the same function, as exactly as their forms do."""
        return self.equal or self.rounded


def _orders(reference: PReLULayer, candidate: PReLULayer) -> AxisAlignment:
    """The ways in which the reference's axes may have become the candidate's, by shapes.

    Where none fits the inputs' shapes, these are of other sizes (a fully convolutional net), and
    the shapes of the slopes have to do.
    """
    rank = reference.slopes.ndim
    free = (None,) * rank
    shape = reference.input_shape or free
    target = candidate.input_shape or free
    if len(shape) != rank or len(target) != rank:
        shape = target = free
    ends = (None, *shape[1:])[:rank], (None, *target[1:])[:rank]  # a scalar has none
    orders = AxisAlignment.inside(*ends) or AxisAlignment.usual(rank)
    return orders.taking(reference.slopes.shape, candidate.slopes.shape)


def compare_slopes(
    reference: PReLULayer, candidate: PReLULayer, order: Permutation | None = None
) -> SlopeDifference:
    """Compare the slopes of two layers that ought to be the same one.

    They are moved to the candidate's axis order, which follows from the shapes. If several orders
    fit and it matters which, the one that the candidate states decides if the slopes are equal in
    it, otherwise the caller's; without either, the answer is `ambiguous`. Layers whose inputs are
    known to have different ranks are compared as vectors.

    Args:
        reference: the layer that is taken to be right.
        candidate: the layer that is compared with it.
        order: from the reference's axes to the candidate's, as in numpy.transpose; None to find it.
    """
    aligned = _of_one_rank(reference, candidate)
    reference, candidate = aligned if _orders(*aligned) else (reference, candidate)
    left, right = reference.slopes, candidate.slopes
    if left.size != right.size:
        return _expanded(left, right)
    rounds = reference.rounds or candidate.rounds
    if left.size == 1 or left.ndim != right.ndim:
        return _difference(left.reshape(-1), right.reshape(-1), rounds)
    outcomes = {
        fitting: _laid_difference(left.transpose(fitting), right, rounds)
        for fitting in _orders(reference, candidate)
    }
    said = moved_from(reference.axes, candidate.axes)
    if outcomes and said in AxisAlignment.usual(left.ndim) and said not in outcomes:
        moved = left.transpose(said).shape
        known = tuple(size or 1 for size in candidate.input_shape or ())
        if len(known) == len(moved) and broadcasts(moved, known):
            words = f"slopes are laid out as {list(right.shape)}, expected {list(moved)}"
            return SlopeDifference(False, words, moved=_same_values(left, right))
    if not outcomes:
        where = f"{list(left.shape)} on the reference's input"
        words = f"slopes are laid out as {list(right.shape)}, expected {where}"
        return SlopeDifference(False, words, moved=_same_values(left, right))
    first = next(iter(outcomes.values()))
    if all(outcome.same == first.same for outcome in outcomes.values()):
        return first
    stated = outcomes.get(said or ())
    if stated is not None and stated.same:
        return stated
    if order in outcomes:
        return outcomes[order]
    return SlopeDifference(False, "the axis order cannot be told from the shapes", True)


def _of_one_rank(reference: PReLULayer, candidate: PReLULayer) -> tuple[PReLULayer, PReLULayer]:
    """The layers, where the rank of an input is unknown with as many axes of slopes as the other.

    A file that lost its shapes keeps slopes without their leading axes of size 1, and ONNX lays
    them over the last axes of the input.
    """
    rank = max(reference.slopes.ndim, candidate.slopes.ndim)
    return _of_rank(rank, reference), _of_rank(rank, candidate)


def _of_rank(rank: int, layer: PReLULayer) -> PReLULayer:
    missing = rank - layer.slopes.ndim
    if layer.input_shape is not None or not missing:
        return layer
    return replace(layer, slopes=frozen(layer.slopes.reshape((1,) * missing + layer.slopes.shape)))


def _same_values(left: Array, right: Array) -> bool:
    """Whether two sets of slopes are the same, whatever their order."""
    flat = [np.sort(values.reshape(-1)) for values in (left, right)]
    return same_bits(flat[0], flat[1])


def _expanded(left: Array, right: Array) -> SlopeDifference:
    """Compare different numbers of slopes: equal slopes, repeated, are the same function."""
    found = "one slope shared by all" if right.size == 1 else counted(right.size, "slope")
    if left.size and right.size and _repeats(left, right):
        return SlopeDifference(True, note=f"{found}; the reference has {left.size:,}, all equal")
    return SlopeDifference(False, f"{found}, expected {left.size:,}")


def _repeats(left: Array, right: Array) -> bool:
    """Whether one is the other, repeated along some of its axes, in any usual axis order."""
    if left.dtype != right.dtype:
        return False
    if 1 in (left.size, right.size):
        first = left.reshape(-1)[:1]
        return all(same_bits(np.broadcast_to(first, a.size), a.reshape(-1)) for a in (left, right))
    if left.ndim != right.ndim:
        return False
    for order in AxisAlignment.usual(left.ndim):
        moved = left.transpose(order)
        with suppress(ValueError):
            larger = moved.shape if left.size > right.size else right.shape
            if same_bits(np.broadcast_to(moved, larger), np.broadcast_to(right, larger)):
                return True
    return False


def in_type_of(reference: PReLULayer, candidate: PReLULayer) -> PReLULayer:
    """The reference's layer as the candidate's type can hold it, where that is a narrower one.

    float16 cannot represent every float32 value: the nearest ones are expected.
    """
    kind, own = candidate.slopes.dtype, reference.slopes.dtype
    if own.kind != "f" or kind != np.float16 or own == kind:
        return reference
    with np.errstate(over="ignore", under="ignore"):
        return replace(reference, slopes=frozen(reference.slopes.astype(kind)))


def _laid_difference(left: Array, right: Array, rounds: bool) -> SlopeDifference:
    """Compare slopes in one axis order; two transposed axes are reported as such."""
    found = _difference(left.reshape(-1), right.reshape(-1), rounds)
    varying = [axis for axis, size in enumerate(left.shape) if size > 1]
    if not found.same and len(varying) > 1:
        for first, second in itertools.combinations(varying, 2):
            turned = left.swapaxes(first, second).reshape(-1)
            if same_bits(turned, right.reshape(-1)):
                return SlopeDifference(False, f"slopes transposed (axes {first} and {second})")
    return found


def _difference(left: Array, right: Array, rounds: bool) -> SlopeDifference:
    if same_bits(left, right):
        return SlopeDifference(True)
    n_equal = int((_bits(left) == _bits(right)).sum()) if left.dtype == right.dtype else 0
    if rounds and _is_rounding(left, right):
        note = "slopes equal up to the rounding of this form"
        return SlopeDifference(False, note=note, rounded=True, n_equal=n_equal)
    return SlopeDifference(False, describe(left, right), n_equal=n_equal)


def _is_rounding(left: Array, right: Array) -> bool:
    """Whether slopes differ as those of (1 + a)/2 * x - (1 - a)/2 * |x| may: relative to 1."""
    if left.dtype != right.dtype or left.dtype.kind in "iub":
        return False
    wide = left.astype(np.float64)
    room = 2 * resolution(left.dtype) * np.maximum(1, np.abs(wide))
    return bool((np.abs(wide - right.astype(np.float64)) <= room).all())


def describe(left: Array, right: Array) -> str:
    """Say in words how two vectors of slopes of one length differ."""
    if left.dtype != right.dtype:
        rounded = same_bits(left.astype(right.dtype), right)
        what = "rounded" if rounded else "stored with different values"
        return f"slopes {what} as {right.dtype}, expected {left.dtype}"
    if same_bits(-left, right):
        return "slopes negated"
    where = np.flatnonzero(_bits(left) != _bits(right))
    if where.size == 2 and same_bits(left[where[::-1]], right[where]):
        return f"channels {where[0]} and {where[1]} swapped"
    if same_bits(np.sort(left), np.sort(right)):
        return f"slopes permuted ({where.size:,} of {left.size:,} out of place)"
    finite = np.abs(left.astype(np.float64) - right.astype(np.float64))
    worst = int(where[np.argmax(np.nan_to_num(finite[where], nan=np.inf))])
    values = f"{right[worst]:.9g}, expected {left[worst]:.9g}"
    if left.size == 1:
        return Reason(f"the only slope differs: {values}", VALUES_DIFFER)
    return Reason(
        f"{where.size:,} of {left.size:,} slopes differ, the largest difference at index {worst}: "
        f"{values}",
        VALUES_DIFFER,
    )


def _bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def owner_of(candidate: PReLULayer, references: Iterable[PReLULayer]) -> str | None:
    """The name of the reference layer whose slopes these are, if there is exactly one."""
    values = _bare(candidate)  # wherever it stands now
    owners = [layer.name for layer in references if compare_slopes(layer, values).equal]
    return owners[0] if len(owners) == 1 else None


@dataclass(frozen=True)
class LayerPairs:
    """Which layer of the candidate is which of the reference."""

    pairs: tuple[tuple[PReLULayer, PReLULayer], ...]
    """Lined up, in the reference's order."""
    missing: tuple[PReLULayer, ...]
    """Layers of the reference that the candidate lacks."""
    unexpected: tuple[PReLULayer, ...]
    """Layers of the candidate that the reference lacks."""


def line_up(references: Iterable[PReLULayer], candidates: Iterable[PReLULayer]) -> LayerPairs:
    """Pair layers by name; those left over by order, where their numbers agree, or by slopes.

    By slopes, if no other remaining layer has the same.
    """
    left, right = list(references), list(candidates)
    by_name: Mapping[str, PReLULayer] = {layer.name: layer for layer in right}
    named = {layer.name: by_name[layer.name] for layer in left if layer.name in by_name}
    rest_left = [layer for layer in left if layer.name not in named]
    rest_right = [layer for layer in right if layer.name not in named]
    if len(rest_left) == len(rest_right):
        named |= {a.name: b for a, b in zip(rest_left, rest_right, strict=True)}
    else:
        named |= _by_slopes(rest_left, rest_right)
    taken = {layer.name for layer in named.values()}
    rest_left = [layer for layer in rest_left if layer.name not in named]
    rest_right = [layer for layer in rest_right if layer.name not in taken]
    pairs = tuple((layer, named[layer.name]) for layer in left if layer.name in named)
    return LayerPairs(pairs, tuple(rest_left), tuple(rest_right))


def _by_slopes(left: Sequence[PReLULayer], right: Sequence[PReLULayer]) -> dict[str, PReLULayer]:
    """For each layer's name, the only layer that has its slopes."""
    alike: dict[bytes, tuple[list[PReLULayer], list[PReLULayer]]] = {}
    for side, layers in enumerate((left, right)):
        for layer in layers:
            alike.setdefault(_rough_values(layer), ([], []))[side].append(layer)
    pairs = [(x[0], y[0]) for x, y in alike.values() if len(x) == 1 == len(y)]
    return {
        mine.name: other
        for mine, other in pairs
        if compare_slopes(_bare(in_type_of(mine, other)), _bare(other)).equal
    }


def _rough_values(layer: PReLULayer) -> bytes:
    """The same for layers of equal slopes, in whatever order and type these are."""
    with np.errstate(over="ignore", under="ignore"):
        return np.sort(layer.slopes.reshape(-1).astype(np.float16)).tobytes()


def _bare(layer: PReLULayer) -> PReLULayer:
    """Without what is known of its place."""
    return replace(layer, input_shape=None)


def pair_layers(references: Sequence[PReLULayer], found: Sequence[PReLULayer]) -> LayerPairs:
    """Which layer of the candidate is which of the reference."""
    return line_up(references, _split_unproven(references, found))


def _split_unproven(
    references: Sequence[PReLULayer], found: Sequence[PReLULayer]
) -> list[PReLULayer]:
    """Split layers that merely share an initializer, if that gives the reference's number."""
    if len(found) == len(references):
        return list(found)
    split: list[PReLULayer] = []
    for layer in found:
        if layer.same_instance or len(layer.nodes) == 1:
            split.append(layer)
            continue
        positions = layer.positions or (len(split),) * len(layer.nodes)
        for node, position in zip(layer.nodes, positions, strict=True):
            split.append(replace(layer, name=node, nodes=(node,), positions=(position,)))
    if all(layer.positions for layer in split):
        split.sort(key=lambda layer: layer.positions[0])
    return split if len(split) == len(references) else list(found)
