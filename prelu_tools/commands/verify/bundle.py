"""A minimal reproduction of a failure, as files that others can run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.inputs.feeds import Feeds, save_feeds
from prelu_tools.commands.verify.inputs.linking import move
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.scratch import scratch_folder
from prelu_tools.graph.copies.extract import extract_around
from prelu_tools.graph.match.layers import LocatedLayer

_LAST = "command.txt"
_OTHERS = ("inputs.npz", "reference.npz", "candidate.npz", "layer.onnx", "layer.npz")


def write_bundle(folder: Path, reference: Reference, linked: Linked, judged: Judged) -> None:
    """Write a minimal reproduction of a candidate's failure.

    `inputs.npz`: the run in which its outputs are farthest from the reference's. `reference.npz`
    and `candidate.npz`: both sides' outputs of that run. `layer.onnx` and `layer.npz`: the part of
    an ONNX candidate up to the first layer that diverges, from the PReLU before it on; its inputs,
    what it gives, and what the reference gives there. `command.txt`: what to type; it is the last
    to be written, and the first of an older bundle to go: with it, a bundle is whole.

    Args:
        folder: where to; it is made if need be, and files of these names are replaced.
        reference: the reference, which was run.
        linked: the candidate.
        judged: what was found.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder / "bundle") as made:
            _write(made, folder, reference, linked, judged)
            for name in (_LAST, *_OTHERS):
                (folder / name).unlink(missing_ok=True)
            for name in (*_OTHERS, _LAST):
                if (made / name).exists():
                    (made / name).replace(folder / name)
    except OSError as error:
        raise PReLUToolsError(f"{folder} cannot be written: {error.strerror or error}") from error


def _write(made: Path, folder: Path, reference: Reference, linked: Linked, judged: Judged) -> None:
    run = _farthest(reference, judged)
    save_feeds(made / "inputs.npz", [reference.feeds[run]])
    _save(made / "reference.npz", reference.outputs[run])
    if judged.results:
        _save(made / "candidate.npz", judged.results[run])
    provider = judged.report.provider
    graph = linked.source.graph
    if graph is not None and provider is not None and not provider.is_runtime:
        feeds = move(reference.feeds[run], linked.links)
        _save_layer(made, graph, judged, provider.requested, feeds)
    command = ["prelu-tools", "verify", reference.source.label, linked.label]
    if reference.source.recording is None:  # a record has its own inputs
        command += ["--inputs", str(folder / "inputs.npz")]
    if provider is not None and graph is not None:
        flag = "--runtime" if provider.is_runtime else "--provider"
        command += [flag, provider.requested]
    (made / _LAST).write_text(f"{shlex.join(command)}\n", encoding="utf-8")


def _farthest(reference: Reference, judged: Judged) -> int:
    """The run that shows it best; the smallest one where no output differs."""
    if not judged.results:
        return 0
    distances = []
    for expected, found in zip(reference.outputs, judged.results, strict=True):
        pairs = zip(expected.values(), found.values(), strict=False)
        distances.append(max((_distance(a, b) for a, b in pairs), default=0.0))
    sizes = [sum(values.size for values in feed.values()) for feed in reference.feeds]
    return max(range(len(sizes)), key=lambda run: (distances[run], -sizes[run]))


def _distance(left: Array, right: Array) -> float:
    if left.shape != right.shape:
        return float("inf")
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(left.astype(np.float64) - right.astype(np.float64))
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))


def _save_layer(
    folder: Path, source: OnnxGraph, judged: Judged, provider: str, feeds: Feeds
) -> None:
    """The part of the graph before the first layer that diverges, and what it computes."""
    place = judged.report.first_divergence
    node = next((x.node for x in judged.report.layers if x.name == place), None)
    located = _with_node(source, node)
    if located is None:
        return
    proto, inputs, output = extract_around(located)
    (folder / "layer.onnx").write_bytes(proto.SerializeToString())
    tapped = source.tensors(provider, [*inputs, output], feeds)
    _save(folder / "layer.npz", tapped)


def _with_node(source: OnnxGraph, node: str | None) -> LocatedLayer | None:
    for item in source.located:
        if node in item.layer.nodes and item.calls[0][0].outer is None:
            return item
    return None


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
