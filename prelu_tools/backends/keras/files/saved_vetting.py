"""Look at a SavedModel before TensorFlow loads it: it may hold only operators that compute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from prelu_tools.backends.files.tensor_bundle import TensorBundle
from prelu_tools.backends.keras.files.operators import COMPUTING, SAVING
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.errors import PReLUToolsError

with quiet(show=False):
    from tensorflow.core.protobuf import saved_model_pb2

_FILE = "saved_model.pb"
_OTHERS = ("saved_model.cpb", "saved_model.pbtxt")  # which TensorFlow would read instead


def refuse_unsafe(path: Path) -> None:
    """Reject a graph that does more than compute: it may do so while it is loaded.

    Raises:
        PReLUToolsError: it does, or cannot be read.
    """
    others = [name for name in _OTHERS if (path / name).exists()]
    if others:
        raise PReLUToolsError(
            f"{path} is rejected: it has both {others[0]} and {_FILE}, so it contains two models"
        )
    checkpoint = path / "variables" / "variables"
    model = saved_model_pb2.SavedModel()
    try:
        if checkpoint.with_suffix(".index").exists():
            TensorBundle(checkpoint).check()
        model.ParseFromString((path / _FILE).read_bytes())
    except Exception as error:
        raise PReLUToolsError(f"{path} cannot be loaded as a SavedModel ({error})") from error
    for meta in model.meta_graphs:
        for name, operator in _unknown(meta):
            raise PReLUToolsError(
                f"{path} is rejected: its node {name!r} would run {operator!r}, which may reach "
                "outside the model; use --allow-unsafe-load if you trust it"
            )


def _unknown(meta: Any) -> Iterator[tuple[str, str]]:
    """The nodes of a graph and of its functions whose operator is not known to be harmless."""
    library = meta.graph_def.library.function
    functions = {function.signature.name for function in library}
    known = COMPUTING | functions
    savers = _savers(meta)
    saving = frozenset() if functions else _saving_nodes(meta)
    for node in meta.graph_def.node:
        if node.op not in known and node.name not in saving:
            yield node.name, node.op
    for function in library:
        allowed = known | SAVING if function.signature.name in savers else known
        for node in function.node_def:
            if node.op not in allowed:
                yield node.name, node.op


def _saving_nodes(meta: Any) -> frozenset[str]:
    """The nodes of a TensorFlow 1 graph that save and restore, and run only on request."""
    nodes = {node.name: node for node in meta.graph_def.node}
    ends = [info.name for one in meta.signature_def.values() for info in one.outputs.values()]
    ends += [name for one in meta.collection_def.values() for name in one.node_list.value]
    waiting = [_node_of(name) for name in ends]
    run: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in run:
            run.add(name)
            waiting += [_node_of(text) for text in nodes[name].input]
    place = _node_of(meta.saver_def.filename_tensor_name)
    return frozenset(
        node.name
        for node in nodes.values()
        if node.op in SAVING
        and node.name not in run
        and (node.op != "RestoreV2" or (place and _node_of(node.input[0]) == place))
    )


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _savers(meta: Any) -> set[str]:
    """The functions that save and restore, if they are called for nothing else."""
    saver = meta.saver_def
    starts = {
        text.partition(":")[0] for text in (saver.save_tensor_name, saver.restore_op_name) if text
    }
    nodes = meta.graph_def.node
    found = {name for node in nodes if node.name in starts for name in _called(node)}
    inner = (function.node_def for function in meta.graph_def.library.function)
    others = chain((node for node in nodes if node.name not in starts), chain.from_iterable(inner))
    elsewhere = {name for node in others for name in (node.op, *_called(node))}
    return found - elsewhere - set(meta.object_graph_def.concrete_functions)


def _called(node: Any) -> Iterable[str]:
    """The functions that a node's attributes name."""
    for value in node.attr.values():
        yield from (one.name for one in (value.func, *value.list.func) if one.name)
