"""How many parameters a graph has: as many after quantizing as before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_text import parsed
from quantized_nets import constants, quantized, quantized_dynamically, save_net

from prelu_tools import inspect
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.graph.facts.parameters import count_parameters

N_PARAMETERS = sum(values.size for values in constants().values())


@pytest.mark.parametrize(
    "made",
    [partial(quantized, form="QDQ"), partial(quantized, form="QOperator"), quantized_dynamically],
    ids=["QDQ", "QOperator", "dynamic"],
)
def test_a_quantized_model_has_as_many_as_before(
    made: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    net = save_net(tmp_path / "net.onnx")
    before, after = inspect(net), inspect(made(net, tmp_path / "int8.onnx"))
    assert isinstance(before, InspectResult)
    assert isinstance(after, InspectResult)
    assert (before.n_parameters, after.n_parameters) == (N_PARAMETERS, N_PARAMETERS)
    shares = [[report.layer.overhead_percent for report in r.layers] for r in (before, after)]
    assert shares[0] == shares[1] == [100 * 6 / 168, 100 * 6 / 330]


def test_indices_scales_and_zero_points_are_no_parameters() -> None:
    graph = """
        <ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>
        g (float[2,3] x) => (float[2,6] y) {
            t = Gather(x, order)
            a = QuantizeLinear(t, s, z)
            b = com.microsoft.QLinearAdd(a, s, z, stored, s2, z, s, z)
            c = com.microsoft.QLinearConcat(s, z, b, s, z, stored, s2, z)
            d = DequantizeLinear(c, s, z)
            y = Mul(d, factor)
        }"""
    tensors: dict[str, Any] = {
        "order": np.array([0, 1]),
        "stored": np.zeros((2, 3), np.uint8),
        "factor": np.full(6, 2, np.float32),
        **{name: np.float32(1) for name in ("s", "s2")},
        "z": np.uint8(0),
    }
    proto = parsed(graph, tensors)
    assert count_parameters(proto) == 6 + 6
    proto.graph.node[-1].input[1] = "s"  # now a factor too
    assert count_parameters(proto) == 6 + 1 + 6
