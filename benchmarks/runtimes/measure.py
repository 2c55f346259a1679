"""Run every cell on every runtime that is installed here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks.runtimes.cells import Cell
from prelu_tools.backends.opening import open_source, run_by
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.runtimes.onnxruntime_web import installed
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.versions import installed_version

Run = Callable[[Path, Array], Array]
"""What a runtime makes of the one input of an ONNX file."""

_TOLERANCE = 1e-4  # of the largest value: a wrong slope changes a value by tenths


def runtimes() -> dict[str, tuple[str, Run]]:
    """The runtimes that are installed, with what they call themselves."""
    found: dict[str, tuple[str, Run]] = {
        "onnxruntime": (f"onnxruntime {installed_version('onnxruntime')}, CPU", _onnxruntime)
    }
    if version := installed_version("openvino"):
        found["openvino"] = (f"OpenVINO {version}, CPU", _by("openvino"))
    if (version := installed_version("ncnn")) and (pnnx := installed_version("pnnx")):
        found["ncnn"] = (f"ncnn {version} by pnnx {pnnx}", _by("ncnn"))
    if version := installed_version("MNN"):
        found["mnn"] = (f"MNN {version}", _by("mnn"))
    with suppress(PReLUToolsError):
        version = installed("to measure it").version
        found["onnxruntime-web"] = (f"onnxruntime-web {version}, wasm", _by("onnxruntime-web"))
    return found


def answer(cell: Cell, run: Run) -> str:
    """`right`, `wrong` or `refused`: the worst of its models."""
    found = {_answer(model, run, with_convolutions) for model, with_convolutions in cell.models()}
    return next(word for word in ("wrong", "refused", "right") if word in found)


def _answer(cell: Cell, run: Run, with_convolutions: bool) -> str:
    x, slopes = cell.data()
    with tempfile.TemporaryDirectory() as folder:
        path = cell.save(Path(folder) / "cell.onnx", with_convolutions)
        expected = np.where(x < 0, slopes * x, x)
        if with_convolutions:
            expected = _onnxruntime(path, x)
        try:
            found = run(path, x)
        except PReLUToolsError:
            return "refused"
    if found.size != expected.size:
        return "wrong"
    gap = np.abs(found.reshape(expected.shape) - expected).max()
    return "right" if gap <= _TOLERANCE * np.abs(expected).max() else "wrong"


def _onnxruntime(path: Path, x: Array) -> Array:
    with open_source(str(path), SourceOptions()).runner() as runner:
        return runner.run({"x": x})["y"]


def _by(name: str) -> Run:
    def run(path: Path, x: Array) -> Array:
        graph = open_source(str(path), SourceOptions()).graph
        source = run_by(name, _given(graph))
        with source.runner() as runner:
            return next(iter(runner.run({"x": x}).values()))

    return run


def _given(graph: OnnxGraph | None) -> OnnxGraph:
    if graph is None:
        raise AssertionError("not an ONNX file")
    return graph


def measured(found: Mapping[str, tuple[str, Run]], cell: Cell) -> dict[str, str]:
    """The answers of all runtimes for a cell."""
    return {name: answer(cell, run) for name, (_, run) in found.items()}
