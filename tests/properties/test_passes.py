"""Every pass of every pipeline, on random nets with Transposes, Casts and Reshapes put in."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from onnx import checker, helper, numpy_helper
from pipeline import NEWEST, draw_inputs, run
from random_nets import Net, nets
from writing_nets import model_of

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes import pipeline
from prelu_tools.graph.passes.cleaning.sinking import cancel_transposes
from prelu_tools.graph.passes.pipeline import GraphPass, run_passes

PIPELINES = {name: passes for name, passes in vars(pipeline).items() if name.startswith("AFTER_")}
PASSES = {step.__name__: step for passes in PIPELINES.values() for step in passes}
PASSES["cancel_transposes"] = cancel_transposes  # of `graph/passes/portable.py`
TOLERANCE = {"float32": 1e-4, "float16": 3e-2}


def _untidy(net: Net, proto: onnx.ModelProto, random: np.random.Generator) -> None:
    """Put what exporters leave behind in front of some nodes: none of it changes a value."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(net.dtype))
    inferred = onnx.shape_inference.infer_shapes(proto)
    known = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*proto.graph.input, *inferred.graph.value_info)
        if value.type.tensor_type.elem_type == kind
    }
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    for number, node in enumerate(nodes):
        if node.input and node.input[0] in known and random.random() < 0.5:
            name, rank = node.input[0], known[node.input[0]]
            made, again = f"untidy_{number}", f"untidy_{number}_again"
            choice = random.integers(3)
            if choice == 0 and rank > 1:
                order = [0, *(1 + random.permutation(rank - 1))]
                back = [int(axis) for axis in np.argsort(order)]
                order = [int(axis) for axis in order]
                proto.graph.node.append(helper.make_node("Transpose", [name], [made], perm=order))
                proto.graph.node.append(helper.make_node("Transpose", [made], [again], perm=back))
            elif choice == 1:
                proto.graph.node.append(helper.make_node("Cast", [name], [again], to=kind))
            else:
                zeros = numpy_helper.from_array(np.zeros(rank, np.int64), f"{made}_shape")
                proto.graph.initializer.append(zeros)
                proto.graph.node.append(helper.make_node("Reshape", [name, zeros.name], [again]))
            node.input[0] = again
        proto.graph.node.append(node)
        if node.op_type == "Conv":
            _scale(proto.graph, proto.graph.node[-1], str(number), net.dtype)
    for tensor in list(proto.graph.initializer):
        if tensor.data_type == kind and random.random() < 0.3:
            computed = helper.make_node("Identity", [f"{tensor.name}_raw"], [tensor.name])
            proto.graph.node.insert(0, computed)
            tensor.name = f"{tensor.name}_raw"


def _scale(graph: onnx.GraphProto, conv: onnx.NodeProto, number: str, dtype: str) -> None:
    """Multiply what a convolution gives by 1.5: what is left of a batch normalisation."""
    factor = numpy_helper.from_array(np.array(1.5, dtype), f"untidy_{number}_factor")
    graph.initializer.append(factor)
    made = conv.output[0]
    conv.output[0] = f"untidy_{number}_unscaled"
    graph.node.append(helper.make_node("Mul", [conv.output[0], factor.name], [made]))


@st.composite
def _models(draw: st.DrawFn) -> tuple[Net, onnx.ModelProto, int]:
    net = draw(nets(NEWEST))
    number = draw(st.integers(0, 2**32 - 1))
    proto = model_of(net)
    _untidy(net, proto, np.random.default_rng(number))
    return net, proto, number


def _run(proto: onnx.ModelProto, net: Net, number: int, folder: Path) -> list[np.ndarray]:
    path = folder / "net.onnx"
    onnx.save(proto, path)
    return list(run(path, draw_inputs(net, number)).values())


def _holds(step: GraphPass, net: Net, proto: onnx.ModelProto, number: int, folder: Path) -> bool:
    """Whether a pass changed a model, and that it did no harm."""
    expected = _run(proto, net, number, folder)
    model = OnnxModel(copy.deepcopy(proto), None)
    (found,) = run_passes(model, (step,))
    assert found.name == step.__name__
    assert found.changed == (model.proto != proto)
    whole = model.inlined()
    checker.check_model(whole, full_check=True)
    for ours, theirs in zip(_run(whole, net, number, folder), expected, strict=True):
        scale = TOLERANCE[net.dtype] * max(1.0, float(np.abs(theirs).max(initial=0.0)))
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[net.dtype], atol=scale)
    (again,) = run_passes(model, (step,))
    assert not again.changed, f"{step.__name__} has something left to do"
    return found.changed


BUSY = {
    "fold_constants",
    "fold_batch_normalization",
    "drop_idle_reshapes",
    "drop_idle_casts",
    "sink_transposes",
}
"""Passes that have something to do in these nets: what the test says of them is not empty."""


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_keeps_what_a_model_computes(name: str, tmp_path: Path) -> None:
    changed = []

    @seed(0)
    @settings(
        max_examples=15, deadline=None, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(_models())
    def check(drawn: tuple[Net, onnx.ModelProto, int]) -> None:
        changed.append(_holds(PASSES[name], *drawn, tmp_path))

    check()
    assert any(changed) or name not in BUSY


def test_a_pass_that_does_nothing_says_so() -> None:
    proto = helper.make_model(helper.make_graph([], "net", [], []))
    (found,) = run_passes(OnnxModel(proto, None), (lambda model: None,))
    assert not found.changed
