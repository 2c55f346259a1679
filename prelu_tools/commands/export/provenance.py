"""The origin that an exported model records: nothing that changes with place or time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from prelu_tools.backends.preflight.heeded import heeded
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.source_spec import base_name, parse_source_spec
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.files.hashing import sha256_of
from prelu_tools.core.options import example_sizes
from prelu_tools.core.prelu.layout import Layout, from_layouts
from prelu_tools.core.requests.option import given_in_file
from prelu_tools.graph.io.metadata import (
    PREFIX,
    SOURCE,
    SOURCE_HASH,
    state_examples,
    state_options,
)


def provenance(source: Source, label: str, route: str, is_file: bool = True) -> dict[str, str]:
    """The metadata of a model that was made from this source.

    The hash is that of the file (or of the weights' file, where one is named: `@weights.pt`), as
    sha256sum shows it. A Python source has none, nor has a live object (`is_file` is false): its
    model is known by its weights (`graph/passes/finish.py`).

    Raises:
        PReLUToolsError: the file cannot be read.
    """
    found = {
        SOURCE: base_name(label) if is_file else label,
        f"{PREFIX}framework": source.producer,
        f"{PREFIX}onnx": onnx.__version__,
        f"{PREFIX}route": route,
    }
    if not is_file:
        return found
    file = learned_file(label)
    if file is not None:
        found[SOURCE_HASH] = sha256_of(file)
    return found


def learned_file(label: str) -> Path | None:
    """The file with a source's weights; None for Python code alone."""
    source_spec = parse_source_spec(label)
    return source_spec.weights or source_spec.file


def example_sizes_of(source: Source, layouts: tuple[Layout, Layout] | None) -> dict[str, str]:
    """At which sizes the source is used, as metadata, if some besides the batch are dynamic.

    Args:
        source: the source; sizes that are known from its `example_inputs()` are stated.
        layouts: of its inputs and of the exported model's; None if these are the same.
    """
    found: dict[str, tuple[int, ...]] = {}
    for spec in source.inputs():
        if not any(isinstance(size, str) for size in spec.shape[1:]):
            continue
        if spec.example == example_sizes(spec.shape):
            return {}  # it is not known what they are
        rank = len(spec.shape)
        order = range(rank) if layouts is None else from_layouts(*layouts, rank)
        found[spec.name] = tuple(spec.example[axis] for axis in order)
    return state_examples(found)


def options_of_export(source: Source, request: ExportRequest) -> dict[str, str]:
    """The options that a check of this export needs, as metadata: by the keys of a check file.

    Those that other sources of the same batch need are left out, and so are folders.

    Args:
        source: what was exported.
        request: how.
    """
    counts, names = heeded(source, request.options), {spec.name for spec in source.inputs()}
    found: dict[str, Any] = {}
    for one, value in (*given_in_file(request), *given_in_file(request.options)):
        if not one.sources or one.field in counts:
            found[one.key] = value
    if "custom_objects" in found:
        found["custom_objects"] = [_without_folder(text) for text in found["custom_objects"]]
    if "input" in found:
        found["input"] = [one.text for one in request.options.inputs if one.name in names]
    return state_options({key: value for key, value in found.items() if value})


def _without_folder(text: str) -> str:
    module, colon, name = text.partition(":")
    return f"{Path(module).name}{colon}{name}"
