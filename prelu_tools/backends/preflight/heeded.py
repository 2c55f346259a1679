"""Which options apply to a source; options that would be ignored are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prelu_tools.backends import registry
from prelu_tools.backends.source_spec import parse_source_spec
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import InputOption
from prelu_tools.core.requests.effect import refuse_ignored_by_sources

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.inputs import TensorSpec
    from prelu_tools.backends.protocol.interface import Source
    from prelu_tools.core.options import SourceOptions

_OF_GRAPH, _OF_KERAS = ("target", "data", "slope_axis"), ("input_layout", "output_layout", "route")
"""Fields of requests that count for ONNX files only, and for Keras models only."""


def refuse_ignored_options(sources: Sequence[Source], request: Any, inspects: bool = False) -> None:
    """Reject what would be ignored.

    Args:
        sources: all that were opened with these options.
        request: the request; its `options` say how sources are read.
        inspects: whether they are looked at only, and not run.

    Raises:
        UsageError: none of the sources heeds an option, or none has an input that is named, or
            none takes the sizes that are given for it.
    """
    options: SourceOptions = request.options
    counting = {name for source in sources for name in heeded(source, options, inspects)}
    names = ", ".join(dict.fromkeys(source.label for source in sources))
    refuse_ignored_by_sources(request, counting, names, is_one=len(sources) == 1)
    if options.is_shared:
        return
    left = {option.name: option for option in options.inputs}
    known: dict[str, tuple[str, TensorSpec]] = {}
    for source in sources if left and not inspects else ():
        specs = {spec.name: spec for spec in source.inputs()}
        known |= {name: (source.label, spec) for name, spec in specs.items() if name not in known}
        fitting = [name for name in left if name in specs and _fits(left[name], specs[name])]
        left = {name: option for name, option in left.items() if name not in fitting}
        if not left:
            return
    for name in sorted(left) if not inspects else ():
        if name not in known:
            raise UsageError(
                f"--input {name}: no such input in {names}: expected {', '.join(known)}"
            )
        label, spec = known[name]
        stated = InputOption(name, spec.shape)
        raise UsageError(f"--input {left[name].text}: {label} takes {stated.text}")


def _fits(given: InputOption, spec: TensorSpec) -> bool:
    """Whether no size contradicts one that is fixed; an unfitting rank is found before."""
    pairs = zip(given.shape, spec.shape, strict=False)
    return all(a == b or isinstance(a, str) or isinstance(b, str) for a, b in pairs)


def heeded(source: Source, options: SourceOptions, inspects: bool = False) -> tuple[str, ...]:
    """The fields of requests and of their options that count for a source."""
    of_graph = _OF_GRAPH if source.graph is not None else ()
    of_keras = _of_keras(source.label) if source.framework == "keras" else ()
    return (*of_graph, *of_keras, *_read_by(source.label, options, inspects))


def may_heed(text: str, options: SourceOptions, inspects: bool = False) -> tuple[str, ...]:
    """The fields of requests and of their options that may count for a source, by its name alone.

    Args:
        text: as the user typed it.
        options: how it is read.
        inspects: whether it is looked at only, and not run.
    """
    row = registry.row_of(text)
    of_graph = _OF_GRAPH if row is not None and row.name == "onnx" else ()
    of_keras = _of_keras(text) if row is None or row.extra == "keras" else ()
    return (*of_graph, *of_keras, *_read_by(text, options, inspects))


def _of_keras(text: str) -> tuple[str, ...]:
    """The fields that count for a Keras model: a SavedModel runs on TensorFlow alone."""
    try:
        is_saved = registry.row_of(text) is registry.SAVED_MODEL
    except UsageError:  # a live model
        return _OF_KERAS
    return tuple(field for field in _OF_KERAS if field != "route" or not is_saved)


def _read_by(text: str, options: SourceOptions, inspects: bool) -> tuple[str, ...]:
    """The fields of the options that change how a source is read."""
    try:
        source_spec = parse_source_spec(text)
    except UsageError:
        return ("inputs",)  # a live model
    if source_spec.file is None:
        weights = source_spec.weights and registry.row_for(source_spec.weights, registry.READERS)
        return ("inputs", *(weights.heeds if weights else ()))
    reads_alone = inspects and not options.custom_objects
    row = registry.row_for(
        source_spec.file, registry.TO_INSPECT if reads_alone else registry.TO_RUN
    )
    if row is None:
        return ("inputs",)
    return () if inspects and row.name == "onnx" else row.heeds
