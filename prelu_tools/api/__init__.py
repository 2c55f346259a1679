"""The commands for programs and notebooks: on live models and on paths.

    from prelu_tools import export, inspect, optimize, verify

    export(net, "net.onnx", input={"x": ("batch", 3, 112, 112)})
    verify(net, "net.onnx", input={"x": ("batch", 3, 112, 112)}).raise_for_verdict()

A model is a path, any other SOURCE as on the command line (`nets.py:Net@weights.pt`), a
`torch.nn.Module`, a `keras.Model` or an `onnx.ModelProto`; live modules keep their mode. Calls on
ONNX files and protos may run in several threads at once; calls with any other model run one at a
time, because the frameworks are not thread-safe. Keyword arguments have the names and meanings of
the commands' options. Results are frozen dataclasses that are shown as tables in Jupyter and by
`print`. Where a command exits with 2 or 3, the function raises a `PReLUToolsError`.
"""

from __future__ import annotations

from prelu_tools.api.exporting import export
from prelu_tools.api.inspecting import inspect
from prelu_tools.api.optimizing import optimize
from prelu_tools.api.quantizing import quantize
from prelu_tools.api.recording import record
from prelu_tools.api.verifying import verify
from prelu_tools.live import Model

__all__ = ["Model", "export", "inspect", "optimize", "quantize", "record", "verify"]
