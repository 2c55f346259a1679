"""Slopes that are stored quantized are those that onnxruntime computes from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import Array, match_one, matches, run
from onnx import TensorProto, helper, numpy_helper
from versions import narrow_scales

N = 6
SLOPES = np.linspace(-0.6, 0.9, N, dtype=np.float32).reshape(N, 1, 1)
STORED: Mapping[str, Array] = {
    "slopes": SLOPES,
    "codes": (SLOPES * 100).astype(np.int8),
    "words": (SLOPES * 1000 + 2000).astype(np.uint16),
    "middle": np.uint16(2000),
    "scale": np.float32(0.01),
    "half": np.float16(0.01),
    "offset": np.int8(3),
    "scales": np.linspace(0.01, 0.02, N, dtype=np.float32),
    "offsets": np.arange(N, dtype=np.uint8),
    "block_scales": np.float32([0.01, 0.02]).reshape(2, 1, 1),
    "block_offsets": np.int8([1, 2]).reshape(2, 1, 1),
}
SMALL: Mapping[str, onnx.TensorProto] = {
    "nibbles": helper.make_tensor("nibbles", TensorProto.INT4, (N, 1, 1), [*range(-3, 3)]),
    "unsigned": helper.make_tensor("unsigned", TensorProto.UINT4, (N, 1, 1), [*range(N)]),
    "two": helper.make_tensor("two", TensorProto.UINT4, (), [2]),
    "eights": helper.make_tensor("eights", TensorProto.FLOAT8E4M3FN, (N, 1, 1), SLOPES.ravel()),
}
EVERYWHERE = {
    "one scale": ["DequantizeLinear codes scale offset"],
    "along an axis": ["QuantizeLinear<axis=0> slopes scales offsets",
                      "DequantizeLinear<axis=0> q scales offsets"],
    "there and back": ["QuantizeLinear slopes scale offset", "DequantizeLinear q scale offset"],
    "16 bits": ["DequantizeLinear words scale middle"],
    "4 bits": ["DequantizeLinear nibbles scale"],
    "4 bits without a sign": ["DequantizeLinear unsigned scale two"],
}  # fmt: skip
ONNX_ONLY = {
    "in blocks": ["DequantizeLinear<axis=0,block_size=4> codes block_scales block_offsets"],
    "in blocks, there and back": [
        "QuantizeLinear<axis=0,block_size=4> slopes block_scales block_offsets",
        "DequantizeLinear<axis=0,block_size=4> q block_scales block_offsets",
    ],
    "4 bits in blocks": ["DequantizeLinear<axis=0,block_size=3> nibbles block_scales"],
    "8 bits with a point": ["DequantizeLinear eights scale"],
    "of a wider type than its scale": ["DequantizeLinear<output_dtype=1> codes half"],
}


def _model(steps: list[str], domain: str) -> onnx.ModelProto:
    nodes, used = [], set[str]()
    for place, step in enumerate(steps):
        head, *inputs = step.split()
        kind, _, given = head.rstrip(">").partition("<")
        attributes = {k: int(v) for k, v in (part.split("=") for part in given.split(",") if part)}
        output = "s" if place == len(steps) - 1 else "q"
        nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        used.update(inputs)
    nodes.append(helper.make_node("PRelu", ["x", "s"], ["y"]))
    tensors = [numpy_helper.from_array(v, k) for k, v in STORED.items() if k in used]
    tensors += [tensor for name, tensor in SMALL.items() if name in used]
    ends = [helper.make_tensor_value_info(name, 1, [1, N, 2, 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "quantized", ends[:1], ends[1:], tensors)
    opset = 23 if "output_dtype" in steps[0] else 21
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


@pytest.mark.parametrize(
    ("steps", "domain"),
    [
        *(
            pytest.param(
                steps, "", id=name, marks=narrow_scales if "output_dtype" in steps[0] else ()
            )
            for name, steps in (EVERYWHERE | ONNX_ONLY).items()
        ),
        *(pytest.param(s, "com.microsoft", id=f"{n}, Microsoft") for n, s in EVERYWHERE.items()),
    ],
)
def test_the_slopes_are_those_that_onnxruntime_computes(steps: list[str], domain: str) -> None:
    proto = _model(steps, domain)
    (y,) = run(proto, x=np.full((1, N, 2, 2), -1, np.float32))
    found = match_one(proto)
    assert np.array_equal(np.broadcast_to(found.slopes, (N, 2, 2)), -y[0])
    assert found.parameter == steps[0].split()[1]


@pytest.mark.parametrize("size", [2, 4])
def test_blocks_that_do_not_fit_are_no_slopes(size: int) -> None:
    inputs = "block_scales block_offsets" if size == 2 else "scales"
    proto = _model([f"DequantizeLinear<axis=0,block_size={size}> codes {inputs}"], "")
    assert matches(proto) == []
