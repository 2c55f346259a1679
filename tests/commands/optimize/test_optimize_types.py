"""`optimize` of what few models have: overridable inputs, other types, shapes that nobody knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from optimize_nets import forms
from running import cli

from prelu_tools.core.arrays import Array
from prelu_tools.graph.passes.prune import overridable, relist_weights

_A = np.linspace(-0.4, 0.9, 8, dtype=np.float32)
_QUICK = ("--no-tune", "--force", "--format", "json")


def _save(
    path: Path, slopes: Array, shape: tuple[object, ...], listed: bool = False, ir_version: int = 8
) -> Path:
    """Two PReLU, of which the second has slopes of its own."""
    kind = helper.np_dtype_to_tensor_dtype(slopes.dtype)
    nodes = [
        helper.make_node("PRelu", ["x", "s"], ["h"], name="first"),
        helper.make_node("Neg", ["h"], ["n"]),
        helper.make_node("PRelu", ["n", "t"], ["y"], name="second"),
    ]
    tensors = [numpy_helper.from_array(slopes, "s"), numpy_helper.from_array(slopes[::-1], "t")]
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name in "xy")
    inputs = [x, helper.make_tensor_value_info("s", kind, slopes.shape)] if listed else [x]
    graph = helper.make_graph(nodes, "net", inputs, [y], tensors)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), path)
    return path


def test_an_input_with_a_default_stays_one(tmp_path: Path) -> None:
    net = _save(tmp_path / "net.onnx", _A, ("n", 8), listed=True)
    fast = tmp_path / "fast.onnx"
    found = cli("optimize", net, "-o", fast, *_QUICK)
    assert found.code == 0, found.err
    proto = onnx.load(fast)
    assert [value.name for value in proto.graph.input] == ["x", "s"]
    written = {layer["name"]: layer["form"] for layer in found.json["layers"]}
    assert (written["s"], written["t"] == "prelu") == ("prelu", False)
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
    import onnxruntime as ort

    for slopes in ({}, {"s": _A * 2}):
        before, after = (
            ort.InferenceSession(str(path)).run(None, {"x": x, **slopes})[0] for path in (net, fast)
        )
        assert np.array_equal(before, after)


def test_weights_that_an_old_file_has_to_list_are_no_defaults(tmp_path: Path) -> None:
    net = onnx.load(_save(tmp_path / "net.onnx", _A, ("n", 8), listed=True, ir_version=3))
    assert overridable(net) == {}
    assert list(overridable(onnx.load(_save(tmp_path / "n.onnx", _A, ("n", 8), True)))) == ["s"]


def test_a_default_that_is_another_tensor_now_is_told(tmp_path: Path) -> None:
    original = onnx.load(_save(tmp_path / "net.onnx", _A, ("n", 8), listed=True))
    changed = onnx.ModelProto()
    changed.CopyFrom(original)
    del changed.graph.input[1:]
    assert relist_weights(changed, original) == ()
    assert [value.name for value in changed.graph.input] == ["x", "s"]
    del changed.graph.input[1:]
    changed.graph.initializer[0].dims[:] = [1, 8]
    assert relist_weights(changed, original) == ("s",)
    assert [value.name for value in changed.graph.input] == ["x"]


def test_a_default_in_another_form_stays_one(tmp_path: Path) -> None:
    proto = onnx.load(_save(tmp_path / "net.onnx", _A, ("n", 8), listed=True))
    parts = [("Relu", ["x"], "p"), ("Neg", ["x"], "m"), ("Relu", ["m"], "q"),
             ("Mul", ["q", "s"], "w"), ("Sub", ["p", "w"], "h")]  # fmt: skip
    made = [helper.make_node(kind, given, [out]) for kind, given, out in parts]
    rest = list(proto.graph.node)[1:]
    del proto.graph.node[:]
    proto.graph.node.extend([*made, *rest])
    onnx.save(proto, tmp_path / "net.onnx")
    found = cli("optimize", tmp_path / "net.onnx", "-o", tmp_path / "fast.onnx", *_QUICK)
    assert found.code == 0, found.err
    assert [value.name for value in onnx.load(tmp_path / "fast.onnx").graph.input] == ["x", "s"]


def test_a_default_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    """A name that an exporter made up is not kept."""
    text = _save(tmp_path / "net.onnx", _A, ("n", 8), listed=True)
    proto = onnx.load(text)
    proto.graph.initializer[0].name = proto.graph.input[1].name = "val_3"
    proto.graph.node[0].input[1] = "val_3"
    onnx.save(proto, text)
    found = cli("optimize", text, "-o", tmp_path / "fast.onnx", *_QUICK)
    assert found.code == 3
    assert "val_3 is an input with a default that a caller may override" in found.err
    assert not (tmp_path / "fast.onnx").exists()


@pytest.mark.parametrize("exact", ["layer", "bitwise"])
@pytest.mark.parametrize(
    ("slopes", "shape"),
    [
        pytest.param(np.arange(8, dtype=np.int32).reshape(8, 1, 1) - 3, ("n", 8, 4, 4), id="int32"),
        pytest.param(_A.astype(np.float64).reshape(8, 1, 1), ("n", 8, 4, 4), id="float64"),
        pytest.param(_A[:4].reshape(4, 1, 1, 1), (4, 8, 4, 4), id="along the batch"),
    ],
)
def test_other_types_and_a_batch_of_slopes(
    slopes: Array, shape: tuple[object, ...], exact: str, tmp_path: Path
) -> None:
    net, fast = _save(tmp_path / "net.onnx", slopes, shape), tmp_path / "fast.onnx"
    found = cli("optimize", net, "-o", fast, *_QUICK, "--exact", exact)
    assert found.code == 0, found.err
    assert found.json["held"]["layer"] is True
    if slopes.dtype == np.int32:
        assert set(forms(fast).values()) == {"prelu"}
    assert cli("verify", net, net).code == 0


def test_a_shape_that_nobody_infers_is_taken_from_a_run(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    fused = {"domain": "com.microsoft", "activation": "LeakyRelu", "activation_params": [0.5]}
    nodes = [
        helper.make_node("FusedConv", ["x", "w"], ["h"], pads=[1] * 4, **fused),
        helper.make_node("PRelu", ["h", "s"], ["y"], name="act"),
    ]
    tensors = [numpy_helper.from_array(kernel, "w")]
    tensors.append(numpy_helper.from_array(_A.reshape(8, 1, 1), "s"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 5])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    net = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), net)
    found = cli("verify", net, net, "--format", "json")
    (layer,) = found.json["candidates"][0]["layers"]
    assert (found.code, layer["n_by_behaviour"], layer["max_ulp_diff"]) == (0, 8, 0)
    made = cli("optimize", net, "-o", tmp_path / "fast.onnx", *_QUICK)
    assert made.code == 0, made.err
    assert made.json["layers"][0]["shape"] == [1, 8, 6, 5]


def test_slopes_that_do_not_broadcast_are_told(tmp_path: Path) -> None:
    net = _save(tmp_path / "net.onnx", _A.reshape(8, 1, 1), (2, 8))
    words = "a slope of shape [8, 1, 1] does not broadcast to an input of [2, 8]"
    for command in (("optimize", net, "-o", tmp_path / "o.onnx", "--no-tune"),
                    ("export", net, "-o", tmp_path / "e.onnx"), ("verify", net, net)):  # fmt: skip
        found = cli(*command)
        assert found.code == 3
        assert words in f"{found.words} {' '.join(found.err.split())}"
