"""Inputs of a model that does not state its own: taken from the model it is compared with."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace

from prelu_tools.backends.opening import open_source
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption, OtherInputs, SourceOptions
from prelu_tools.core.prelu.layout import inverse

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
                    found.append(OtherInputs(text, _inputs_of(source, layouts)))
                    ready[text] = source
                except UsageError:  # it does not know its own sizes
                    continue
                except PReLUToolsError as error:
                    unreadable.append(error)
            if unreadable and not found:
                raise unreadable[0]
            return replace(found[0], more=tuple(found[1:])) if found else None
        finally:
            is_asking = False

    return replace(options, other=ask)


def _inputs_of(source: Source, layouts: Layouts) -> tuple[InputOption, ...]:
    found = []
    for spec in source.inputs():
        order = layouts.permutation(len(spec.shape))
        shape = spec.shape
        if order is not None:
            shape = tuple(shape[axis] for axis in inverse(order))
        found.append(InputOption(spec.name, shape, _type_of(spec.dtype)))
    return tuple(found)


def _type_of(dtype: str) -> str:
    return "float32" if dtype in _CAST else dtype
