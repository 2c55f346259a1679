"""Exports of nets in a file of Python, and what every framework's have to show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from running import ROOT, cli, environment, process

from prelu_tools.backends.opening import open_source
from prelu_tools.backends.quiet import quiet
from prelu_tools.commands.export.command import export
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.options import ConversionOptions, InputOption, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.export import ExportResult


def exported(source: str, folder: Path, *more: str) -> onnx.GraphProto:
    """The graph that `export` writes."""
    found = cli("export", source, "-o", folder / "net.onnx", "-q", *more)
    assert found.code == 0, found.err
    return onnx.load(folder / "net.onnx").graph


def exported_layers(
    source: str, folder: Path, *inputs: InputOption
) -> tuple[tuple[PReLULayer, ...], ExportResult]:
    """The layers of a source, and its export, which was verified."""
    options = SourceOptions(inputs=inputs)
    layers = open_source(source, options).layers()
    result = export(ExportRequest(source, folder / "out.onnx", force=True, options=options))
    assert result.verification is not None
    return layers, result


def save_by_tf2onnx(net: Any, size: tuple[int, ...], path: Path, opset: int) -> Path:
    """What tf2onnx itself writes of a Keras model of one input."""
    import tensorflow as tf
    import tf2onnx

    with quiet(show=False, logger="tf2onnx"):
        tf2onnx.convert.from_function(
            tf.function(lambda x: net(x, training=False)),
            input_signature=[tf.TensorSpec((None, *size), tf.float32, name="image")],
            opset=opset,
            output_path=str(path),
        )
    return path


def slopes_in(graph: onnx.GraphProto) -> dict[str, Any]:
    """The slopes of each PRelu node, by its name."""
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    return {n.name: tensors[n.input[1]] for n in graph.node if n.op_type == "PRelu"}


def check_slopes(found: dict[str, Any], names: Sequence[str], *slopes: Sequence[float]) -> None:
    """The slopes of these layers, in order, bit for bit."""
    assert list(found) == list(names)
    for values, expected in zip(found.values(), slopes, strict=True):
        assert values.tobytes() == np.array(expected, np.float32).tobytes()


def check_same_bytes(nets: Path, name: str, folder: Path) -> None:
    """Equal for another hash seed, another working directory and another place of the source."""
    moved = folder / "moved"
    moved.mkdir()
    (moved / nets.name).write_bytes(nets.read_bytes())
    exported(f"{nets}:{name}", folder)
    env = environment(PYTHONHASHSEED="4711", PYTHONPATH=str(ROOT))
    found = process("export", f"{nets.name}:{name}", "-o", "net.onnx", "-q", cwd=moved, env=env)
    assert found.code == 0, found.err
    assert (moved / "net.onnx").read_bytes() == (folder / "net.onnx").read_bytes()


def check_echo(source: str) -> None:
    """An output that is called like an input is another tensor."""
    opened: Any = open_source(source, SourceOptions())
    graph = opened.convert(ConversionOptions(18)).model.proto.graph
    assert {value.name for value in graph.input}.isdisjoint(value.name for value in graph.output)
