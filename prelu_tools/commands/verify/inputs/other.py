"""Inputs of a model that does not state its own: taken from the model it is compared with."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from itertools import starmap

from prelu_tools.backends.opening import open_source
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.linking import Layouts, stated_axes
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption, OtherInputs, SourceOptions
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.prelu.slopes import Shape

_CAST = ("float16", "bfloat16", "float64")  # a reference computes in float32


def asking(
    options: SourceOptions,
    others: Sequence[str],
    ready: MutableMapping[str, Source],
    layouts: Layouts,
) -> SourceOptions:
    """The options of a source that may take its inputs from other models.

    To ask raises a PReLUToolsError if none of the others can be read: then that is what is wrong,
    and not that nobody gave the sizes.

    Args:
        options: of the source.
        others: what it is compared with; the first that knows its inputs is used, and the others'
            inputs are passed on too.
        ready: those of them that are open, by their spelling; takes what is opened here.
        layouts: the user's axis orders, the source's own first.
    """
    is_asking = False

    def ask() -> OtherInputs | None:
        nonlocal is_asking
        if is_asking:  # the other model does not know them either, and asks back
            return None
        is_asking = True
        found = []
        unreadable: list[PReLUToolsError] = []
        try:
            for text in others:
                try:
                    source = ready.get(text) or open_source(text, options)
                    found.append(_inputs_of(text, source, layouts))
                    ready[text] = source
                except UsageError:  # it does not know its own sizes
                    continue
                except PReLUToolsError as error:
                    unreadable.append(error)
            if unreadable and not found:
                raise unreadable[0]
            return _first_of(found) if found else None
        finally:
            is_asking = False

    return replace(options, other=ask)


def _first_of(found: Sequence[OtherInputs]) -> OtherInputs:
    """The first model's inputs, and the others'."""
    first, *others = found
    unlike = tuple(
        other
        for other in others
        if not all(_orders(one, another) for one, another in _pairs(first.inputs, other.inputs))
    )
    return replace(first, more=tuple(others), unlike=unlike)


def recorded_for(other: OtherInputs) -> OtherInputs:
    """The inputs of a record: unlike are all that fix a size at which it may have no run."""
    unlike = tuple(
        one for one in other.more if not all(starmap(_covers, _pairs(other.inputs, one.inputs)))
    )
    return replace(other, unlike=unlike)


def _pairs(
    left: Sequence[InputOption], right: Sequence[InputOption]
) -> list[tuple[InputOption, InputOption]]:
    """The inputs that two models have in common."""
    by_name = {one.name: one for one in right}
    pairs = [(one, by_name[one.name]) for one in left if one.name in by_name]
    if not pairs and len(left) == len(right):
        pairs = [*zip(left, right, strict=True)]
    return pairs


def _orders(one: InputOption, other: InputOption) -> AxisAlignment:
    """The orders of axes in which two inputs may have the same sizes."""
    return AxisAlignment.between(_static(one), _static(other))


def _covers(one: InputOption, other: InputOption) -> bool:
    """Whether the sizes that the second input fixes, apart from the rows, are the first one's."""
    return any(
        all(
            theirs is None or not place or _static(one)[axis] == theirs
            for place, (axis, theirs) in enumerate(zip(order, _static(other), strict=True))
        )
        for order in _orders(one, other)
    )


def _static(given: InputOption) -> Shape:
    return tuple(size if isinstance(size, int) else None for size in given.shape)


def _inputs_of(text: str, source: Source, layouts: Layouts) -> OtherInputs:
    found, is_turned, stated = [], False, stated_axes(source).inputs
    for spec in source.inputs():
        said = layouts.permutation(len(spec.shape))
        is_turned |= said is not None and tuple(sorted(said)) != said
        order, shape = said or stated.get(spec.name, ()), spec.shape
        if len(order) == len(shape):
            shape = tuple(shape[axis] for axis in inverse(order))
        found.append(InputOption(spec.name, shape, _type_of(spec.dtype)))
    return OtherInputs(text, tuple(found), is_turned=is_turned)


def _type_of(dtype: str) -> str:
    return "float32" if dtype in _CAST else dtype
