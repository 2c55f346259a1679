"""Sizes that a user wants in place of those that a functional model states.

A functional model rejects sizes other than those of its inputs, but the same layers may take them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.protocol.freeing import other_sizes
from prelu_tools.backends.protocol.inputs import TensorSpec, one_size_a_name, stated_spec
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import UsageError, one_line
from prelu_tools.core.options import Dim, InputOption
from prelu_tools.core.results.reasons import Reason

_LONGEST = 300  # characters of what Keras says
_CALLED = re.compile(r"Exception encountered when calling (\S+?)\.call\(\)\. ")
_NODE = re.compile(r"\{\{function_node .*?\}\} ?")


@contextmanager
def any_size() -> Iterator[None]:
    """Within the block, functional models take what their layers take."""
    functional = keras.src.models.functional.Functional
    kept = functional.input_spec
    functional.input_spec = property(lambda _: None, kept.fset)
    try:
        yield
    finally:
        functional.input_spec = kept


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
    why = _why_not(specs, wanted, run)
    if why:
        dims = tuple(size if isinstance(size, int) else None for size in wanted[places[0]].shape)
        raise UsageError(
            f"--input {taken.partition(', ')[0]}: {label} takes {used}, with fixed sizes, and "
            f"cannot run at others: {why}. For other sizes, use keras.Input({dims[1:]}) in its "
            "source, and layers that take them"
        )
    return Reason(
        f"{label} states fixed sizes ({used}), but its layers take those asked for ({taken})",
        "sizes_freed",
    )


def _why_not(
    specs: Sequence[TensorSpec],
    wanted: Sequence[TensorSpec],
    run: Callable[[Mapping[str, Array]], Sequence[Any]],
) -> str:
    own = {spec.name: np.zeros(spec.example, np.dtype(spec.dtype)) for spec in specs}
    why = ""
    try:
        kept = _keep_rows(own, run)
    except Exception as error:  # whatever it says is passed on
        return _said(error)
    for feeds in other_sizes(specs, wanted):
        try:
            if _keep_rows(feeds, run) == kept:
                return ""
            why = why or "its outputs have another number of rows then"
        except Exception as error:
            why = why or _said(error)
    return why


def _said(error: Exception) -> str:
    """What Keras and TensorFlow say, without where they were and what they were given."""
    text = _NODE.sub("", _CALLED.sub(r"\1: ", one_line(error)))
    text = text.partition(" Arguments received by")[0]
    return textwrap.shorten(text.rstrip("."), _LONGEST)


def _keep_rows(
    feeds: Mapping[str, Array], run: Callable[[Mapping[str, Array]], Sequence[Any]]
) -> list[bool]:
    """Whether each output has as many rows as the first input."""
    rows = next(iter(feeds.values())).shape[:1]
    return [tuple(output.shape[:1]) == rows for output in run(feeds)]


def _text(spec: TensorSpec) -> str:
    return InputOption(spec.name, spec.shape).text
