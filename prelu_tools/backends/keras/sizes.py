"""Sizes that a user wants in place of those that a functional model states.

A functional model rejects sizes other than those of its inputs, but the same layers may take them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.protocol.failures import said_by
from prelu_tools.backends.protocol.freeing import other_sizes
from prelu_tools.backends.protocol.inputs import TensorSpec, one_size_a_name, stated_spec
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import Dim, InputOption
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation, channels_first, channels_last, inverse
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.core.results.reasons import Reason

_Run = Callable[[Mapping[str, Array]], Sequence[Any]]


@contextmanager
def any_size(model: Any) -> Iterator[None]:
    """Within the block, a model takes what its layers take; so do functional models in it."""
    functional = keras.src.models.functional.Functional
    kept = [(m, m.input_spec) for m in model._flatten_layers() if isinstance(m, functional)]
    for inner, _ in kept:
        inner.input_spec = None
    try:
        yield
    finally:
        for inner, spec in kept:
            inner.input_spec = spec


def with_sizes(
    specs: Sequence[TensorSpec], given: Mapping[str, tuple[Dim, ...]], label: str
) -> list[TensorSpec]:
    """The inputs of a model with the sizes that the user gave.

    Examples of sizes that the model states stay what they are.

    Raises:
        UsageError: an input is not the model's, or has another rank.
    """
    names = [spec.name for spec in specs]
    if unknown := [name for name in given if name not in names]:
        raise UsageError(f"--input {unknown[0]}: {label} takes {', '.join(names)}")
    found = []
    for spec in specs:
        shape = given.get(spec.name, spec.shape)
        usual = stated_spec(spec.name, spec.dtype, spec.shape, shape).example
        example = tuple(
            own if isinstance(own, int) and isinstance(size, str) else other
            for own, size, other in zip(spec.shape, shape, usual, strict=True)
        )
        found.append(replace(spec, shape=shape, example=example))
    return one_size_a_name(found)


def fixed_ones(specs: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> list[int]:
    """The places of the inputs with sizes other than those that a model states."""
    return [
        place
        for place, (spec, other) in enumerate(zip(specs, wanted, strict=True))
        if any(
            isinstance(own, int) and own != size
            for own, size in zip(spec.shape, other.shape, strict=True)
        )
    ]


def freed(
    specs: Sequence[TensorSpec],
    wanted: Sequence[TensorSpec],
    label: str,
    run: Callable[[Mapping[str, Array]], Sequence[Any]],
) -> Reason:
    """Find that a model's layers take sizes other than those that it states.

    Args:
        specs: the inputs, as the model states them.
        wanted: the same inputs, with the sizes that the user gave.
        label: what to call the model.
        run: runs its layers on inputs, and returns the outputs in order.

    Returns:
        What the user should know of it.

    Raises:
        UsageError: they do not take them.
    """
    places = fixed_ones(specs, wanted)
    used, taken = (", ".join(_text(side[place]) for place in places) for side in (specs, wanted))
    found = _try(specs, wanted, run)
    fails = bool(found.stuck or (found.why and not found.moved))
    if fails and (turned := _turned(specs, wanted, label)):
        raise UsageError(turned)
    for place, axis, why in found.stuck:
        advice = _advice(specs, place, run)
        if not advice:
            break
        own, other = specs[place], wanted[place]
        is_last = axis == len(own.shape) - 1 > 1
        raise UsageError(
            f"--input {_text(other)}: {other.shape[axis]} is axis {axis} of {own.name}"
            f"{' (channels, as a rule)' * is_last}, and {label} takes only "
            f"{own.example[axis]} there: {why}. {advice}"
        )
    if fails:
        dims = tuple(size if isinstance(size, int) else None for size in wanted[places[0]].shape)
        raise UsageError(
            f"--input {taken.partition(', ')[0]}: {label} takes {used}, with fixed sizes, and "
            f"cannot run at others: {found.why}. For other sizes, use keras.Input({dims[1:]}) in "
            "its source, and layers that take them"
        )
    return Reason(
        f"{label} states fixed sizes ({used}), but its layers take those asked for ({taken})",
        "sizes_freed",
    )


def _turned(specs: Sequence[TensorSpec], wanted: Sequence[TensorSpec], label: str) -> str:
    """What to do where an input's sizes are its own in another order of axes; nothing otherwise."""
    for own, other in zip(specs, wanted, strict=True):
        order = _order(_static(own), _static(other)) if len(own.shape) >= 3 else None
        if order is None:
            continue
        shape = tuple(other.shape[axis] for axis in inverse(order))
        use = f"use --input {InputOption(own.name, shape).text}"
        is_first = order == channels_first(len(order))
        return (
            f"--input {_text(other)}: {label} takes {_text(own)}, and --input has the order of the "
            f"model's own axes: {'leave it out' if shape[1:] == own.shape[1:] else use}. To export "
            f"the model channels {'first' if is_first else 'last'}, use --input-layout "
            f"{'nchw' if is_first else 'nhwc'}"
        )
    return ""


def _static(spec: TensorSpec) -> Shape:
    return tuple(size if isinstance(size, int) else None for size in spec.shape)


def _order(own: Shape, given: Shape) -> Permutation | None:
    """The order in which given sizes are a model's own, if the number of channels shows it."""
    rank = len(own)
    for order, place in ((channels_first(rank), 1), (channels_last(rank), rank - 1)):
        is_shown = given[place] is not None and given[place] == own[order[place]]
        if is_shown and order in AxisAlignment.between(own, given):
            return order
    return None


@dataclass
class _Tried:
    """What trials at other sizes found."""

    moved: set[tuple[int, int]] = field(default_factory=set)
    """The axes, by input and place, that took a size other than their own."""
    stuck: list[tuple[int, int, str]] = field(default_factory=list)
    """The axes that took no other, and what the model says of it."""
    why: str = ""
    """What the model says if all change; nothing if it accepts that."""


def _try(specs: Sequence[TensorSpec], wanted: Sequence[TensorSpec], run: _Run) -> _Tried:
    """Find for each axis that is to be free whether the layers take another size there.

    All are changed together first, because some have to stay equal; then each alone.
    """
    found = _Tried()
    own = {spec.name: np.zeros(spec.example, np.dtype(spec.dtype)) for spec in specs}
    try:
        kept = _keep_rows(own, run)
    except Exception as error:  # whatever it says is passed on
        return _Tried(why=said_by(error))
    axes = freed_axes(specs, wanted)
    base = {spec.name: tuple(_sizes(mine, spec)) for mine, spec in zip(specs, wanted, strict=True)}
    trials = [{name: x.shape for name, x in f.items()} for f in other_sizes(specs, wanted)]
    for shapes in trials:
        why = _rejects(shapes, specs, kept, run)
        if not why:
            found.why, base = "", shapes
            found.moved |= {
                (place, axis)
                for place, axis in axes
                if shapes[specs[place].name][axis] != specs[place].example[axis]
            }
            break
        found.why = found.why or why
    for place, axis in axes:
        if (place, axis) not in found.moved:
            why = _alone(base, place, axis, specs, kept, run)
            if why:
                found.stuck.append((place, axis, why))
            else:
                found.moved.add((place, axis))
    return found


def freed_axes(specs: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> list[tuple[int, int]]:
    """The axes, by input and place, that a model fixes and the user wants to be dynamic."""
    return [
        (place, axis)
        for place, (spec, other) in enumerate(zip(specs, wanted, strict=True))
        for axis, (own, size) in enumerate(zip(spec.shape, other.shape, strict=True))
        if isinstance(own, int) and isinstance(size, str)
    ]


def _alone(
    base: Mapping[str, Sequence[int]], place: int, axis: int, specs: Sequence[TensorSpec],
    kept: Sequence[bool], run: _Run,
) -> str:  # fmt: skip
    """What the model says if one axis alone has other sizes; nothing if it takes one."""
    name, size = specs[place].name, specs[place].example[axis]
    said = ""
    for other in dict.fromkeys((2 * size, max(1, size // 2))):
        if other == size:
            continue
        shape = [*base[name]]
        shape[axis] = other
        why = _rejects({**base, name: shape}, specs, kept, run)
        if not why:
            return ""
        said = said or why
    return said


def _rejects(
    shapes: Mapping[str, Sequence[int]], specs: Sequence[TensorSpec], kept: Sequence[bool],
    run: _Run,
) -> str:  # fmt: skip
    """What the model says of inputs of these sizes; nothing if it takes them."""
    feeds = {spec.name: np.zeros(shapes[spec.name], np.dtype(spec.dtype)) for spec in specs}
    try:
        rows = _keep_rows(feeds, run)
    except Exception as error:  # whatever it says is passed on
        return said_by(error)
    return "" if rows == kept else "its outputs have another number of rows then"


def _sizes(own: TensorSpec, other: TensorSpec) -> Iterator[int]:
    """An input's sizes, with the numbers that the user gave."""
    for size, wish in zip(own.example, other.shape, strict=True):
        yield wish if isinstance(wish, int) else size


def _advice(specs: Sequence[TensorSpec], place: int, run: _Run) -> str:
    """The sizes of an input that can be free, as `--input` has them; nothing if none can."""
    own = specs[place]
    base = {spec.name: spec.example for spec in specs}
    kept = _keep_rows({s.name: np.zeros(s.example, np.dtype(s.dtype)) for s in specs}, run)
    rank = len(own.shape)
    names = {1: "h", 2: "w"} if rank == 4 else {}
    free = {
        axis: names.get(axis, f"d{axis}")
        for axis, size in enumerate(own.shape)
        if axis and isinstance(size, int) and not _alone(base, place, axis, specs, kept, run)
    }
    if not free:
        return ""
    shape = tuple(free.get(axis, size) for axis, size in enumerate(own.shape))
    return (
        f"Use --input {InputOption(own.name, shape).text}: the sizes are in the order of the "
        "model's own axes, also with --input-layout"
    )


def _keep_rows(feeds: Mapping[str, Array], run: _Run) -> list[bool]:
    """Whether each output has as many rows as the first input."""
    rows = next(iter(feeds.values())).shape[:1]
    return [tuple(output.shape[:1]) == rows for output in run(feeds)]


def _text(spec: TensorSpec) -> str:
    return InputOption(spec.name, spec.shape).text
