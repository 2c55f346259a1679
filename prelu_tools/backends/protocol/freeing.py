"""Sizes that a model was used at but does not need, because other models leave them dynamic.

The example of a module, or the shape that a subclassed Keras model was built for, says at which
sizes the model was run, not that it accepts no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import Dim, InputOption, OtherInputs, free_size
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.core.results.reasons import Reason


@dataclass(frozen=True)
class FreedInputs:
    """Inputs with some sizes now dynamic."""

    specs: tuple[TensorSpec, ...]
    """The inputs; the sizes that they were used at are their examples."""
    note: Reason
    """Notes on it for the user."""


def taken_from(other: OtherInputs) -> Reason:
    """The note that a model does not know its sizes, and has those of another one."""
    text = (
        f"the model's input sizes are not known: those of {other.model} are used "
        f"({other.text}{other.order})"
    )
    for unlike in other.unlike[:1]:
        text += f", but {unlike.model} has {unlike.text}: --input chooses"
    return Reason(text, "sizes_disagree" if other.unlike else "sizes_taken")


def freed_inputs(
    specs: Sequence[TensorSpec],
    other: OtherInputs,
    label: str,
    takes: Callable[[Mapping[str, Array]], bool],
) -> FreedInputs | None:
    """The inputs with those sizes dynamic that all others leave dynamic; None if there are none.

    Args:
        specs: the inputs, with the sizes that the model was used at.
        other: the inputs of the models that it is compared with.
        label: what to call the model.
        takes: runs the model on inputs of other sizes, and says whether it takes them: twice as
            large ones, or else half as large ones.
    """
    wide = _freed(specs, other)
    feeds = next(filter(takes, other_sizes(specs, wide)), None) if wide != [*specs] else None
    if feeds is None:
        return None
    wide = [
        _moved(spec, free, feeds[spec.name].shape) for spec, free in zip(specs, wide, strict=True)
    ]
    if wide == [*specs]:
        return None
    pairs = [*zip(specs, wide, strict=True)]
    used, taken = (
        ", ".join(InputOption(one.name, one.shape).text for one, free in chosen if one != free)
        for chosen in (pairs, [pair[::-1] for pair in pairs])
    )
    note = Reason(
        f"{label} was used at {used}, but takes other sizes: those of {other.model} are used "
        f"({taken})",
        "sizes_freed",
    )
    return FreedInputs(tuple(wide), note)


def _moved(own: TensorSpec, free: TensorSpec, tried: Sequence[int]) -> TensorSpec:
    """The input with those sizes free that were tried: half of a size of 1 is 1, no other size."""
    sizes = zip(own.shape, free.shape, own.example, tried, strict=True)
    return replace(free, shape=tuple(
        mine if isinstance(mine, int) and size == used else wish
        for mine, wish, used, size in sizes
    ))  # fmt: skip


def other_sizes(
    specs: Sequence[TensorSpec], wide: Sequence[TensorSpec]
) -> Iterator[dict[str, Array]]:
    """Inputs to try, where other sizes are wanted: twice as large ones, and half as large ones.

    Args:
        specs: the inputs, with the sizes that the model was used at.
        wide: the same inputs, with the wanted sizes; examples of those that are free now are the
            sizes that it was used at.
    """
    pairs = [*zip(specs, wide, strict=True)]
    for times in ((2, 1), (1, 2)):
        yield {own.name: _zeros(own, free, *times) for own, free in pairs}


def _freed(specs: Sequence[TensorSpec], other: OtherInputs) -> list[TensorSpec]:
    own = {size for spec in specs for size in spec.shape if isinstance(size, str)}
    known: dict[str, int] = {}
    found = []
    for place, spec in enumerate(specs):
        shape = list(spec.shape)
        axes = [_free_axes(specs, place, one) for one in (other, *other.more)]
        for axis, name in axes[0].items():
            size = spec.example[axis]
            if any(axis not in theirs for theirs in axes[1:]):
                continue
            is_apart = name in own or known.setdefault(name, size) != size
            shape[axis] = free_size(spec.name, axis) if is_apart else name
        found.append(replace(spec, shape=tuple(shape)))
    return found


def _free_axes(specs: Sequence[TensorSpec], place: int, other: OtherInputs) -> dict[int, str]:
    """The other's name for each axis of an input that is a number here and free there."""
    spec = specs[place]
    in_order = other.inputs[place] if len(other.inputs) == len(specs) else None
    theirs = next((one for one in other.inputs if one.name == spec.name), in_order)
    orders = theirs and AxisAlignment.between(_static(spec.shape), _static(theirs.shape))
    if theirs is None or not orders:
        return {}
    return {
        axis: size
        for axis, size in zip(orders[0], theirs.shape, strict=True)
        if axis and isinstance(size, str) and isinstance(spec.shape[axis], int)
    }


def _static(shape: Sequence[Dim]) -> Shape:
    """The shape with None for what is dynamic; rows count as dynamic."""
    return tuple(size if place and isinstance(size, int) else None
                 for place, size in enumerate(shape))  # fmt: skip


def _zeros(own: TensorSpec, free: TensorSpec, times: int, part: int) -> Array:
    """An input with each freed size multiplied or divided by a factor.

    A size that another number replaces is that number.
    """
    sizes = [
        example if mine == theirs or isinstance(theirs, int) else max(1, example * times // part)
        for example, mine, theirs in zip(free.example, own.shape, free.shape, strict=True)
    ]
    return np.zeros(sizes, np.dtype(own.dtype))
