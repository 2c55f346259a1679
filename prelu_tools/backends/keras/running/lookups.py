"""What a Keras model looks up in tables as it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import Program
from prelu_tools.backends.keras.running.eagerly import as_written
from prelu_tools.backends.protocol.inputs import Lookup
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, one_line

_TABLES = ("Gather", "GatherV2", "GatherNd", "OneHot", "TensorScatterUpdate", "TensorScatterAdd")


def find_lookups(program: Program, feeds: Mapping[str, Array]) -> list[Lookup]:
    """The lookups of one run of the graph of a model, in its order.

    Raises:
        PReLUToolsError: it cannot be run on these inputs.
    """
    nodes = [node for node in program.definition.node if node.op in _TABLES]
    names = [_tensor(name) for node in nodes for name in _wanted(node)]
    if not nodes:
        return []
    try:
        with quiet(show=False), as_written():
            function = program.function(program.inputs, names)
            flat = [tf.constant(feeds[spec.name]) for spec in program.specs]
            found = [np.asarray(v) for v in function(*flat, *program.tensors([]))]
    except Exception as error:
        text = one_line(error)
        raise PReLUToolsError(f"{type(error).__name__}: {text}") from error
    values = dict(zip(names, found, strict=True))
    return [lookup for node in nodes for lookup in _read(node, values)]


def _wanted(node: Any) -> list[str]:
    return list(node.input[:3] if node.op == "GatherV2" else node.input[:2])


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _read(node: Any, values: Mapping[str, Array]) -> Iterator[Lookup]:
    table, positions, *more = (values[_tensor(name)] for name in _wanted(node))
    if node.op == "OneHot":
        yield Lookup(int(positions), table)
    elif node.op.startswith("Gather") and node.op != "GatherNd":
        axis = int(more[0]) if more else 0
        yield Lookup(table.shape[axis], positions)
    else:
        for number in range(positions.shape[-1]):
            yield Lookup(table.shape[number], positions[..., number])
