"""MNN in a process of its own: MODEL.onnx INPUT SHAPE OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import _tools  # never MNN.tools: importing that installs a package and sends statistics
import MNN
import numpy as np


def main(model: str, given: str, shape: str, made: str) -> None:
    """Convert the model, run it, and write its output."""
    sizes = tuple(map(int, shape.split(",")))
    converted = f"{model}.mnn"
    arguments = ["", "-f", "ONNX", "--modelFile", model, "--MNNModel", converted]
    _tools.mnnconvert([*arguments, "--bizCode", "cell"])
    interpreter = MNN.Interpreter(converted)
    session = interpreter.createSession({"backend": "CPU", "numThread": 1, "precision": "high"})
    (x,) = interpreter.getSessionInputAll(session).values()
    interpreter.resizeTensor(x, sizes)
    interpreter.resizeSession(session)
    values = np.frombuffer(Path(given).read_bytes(), np.float32).reshape(sizes)
    x.copyFrom(_tensor(values))
    interpreter.runSession(session)
    (y,) = interpreter.getSessionOutputAll(session).values()
    found = _tensor(np.zeros(y.getShape(), np.float32))
    y.copyToHostTensor(found)
    Path(made).write_bytes(np.array(found.getNumpyData(), np.float32).tobytes())


def _tensor(values: np.ndarray) -> MNN.Tensor:
    order = MNN.Tensor_DimensionType_Caffe
    return MNN.Tensor(values.shape, MNN.Halide_Type_Float, values.copy(), order)


if __name__ == "__main__":
    main(*sys.argv[1:])
