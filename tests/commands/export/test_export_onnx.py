"""`export old.onnx -o clean.onnx`: canonical, repaired, verified; what is the user's own stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graph_text import parsed
from onnx import TensorProto, helper, numpy_helper
from optimize_nets import save_chain, save_positions
from running import Outcome, cli
from text_nets import COLUMN, SLOPES, save
from tiny_models import save_relu
from versions import slow_kernel

import prelu_tools
from prelu_tools.backends.onnxruntime.running.session import newest_ir_version
from prelu_tools.core.results.reasons import code_of
from prelu_tools.graph.io.inputs import tensor_outputs

FIVE = "r = Relu(x) n = Neg(x) m = Relu(n) s = Mul(m, a) y = Add(r, s)"


def _export(source: Path, *more: object) -> tuple[Outcome, Path]:
    target = source.with_name("clean.onnx")
    return cli("export", source, "-o", target, *more), target


def _clean(source: Path, *more: object) -> onnx.ModelProto:
    found, target = _export(source, *more)
    assert found.code == 0, found.err
    assert "verified: " in found.out
    return onnx.load(target)


def _shapes(proto: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}


def _opset(proto: onnx.ModelProto) -> int:
    (entry,) = proto.opset_import
    return int(entry.version)


def test_five_ops_become_one(tmp_path: Path) -> None:
    found = _clean(save(tmp_path / "old.onnx", FIVE, a=-COLUMN))
    assert [node.op_type for node in found.graph.node] == ["PRelu"]
    assert np.array_equal(numpy_helper.to_array(found.graph.initializer[0]), COLUMN)
    assert [value.name for value in (*found.graph.input, *found.graph.output)] == ["x", "y"]


def test_the_same_file_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        source = save(folder / "old.onnx", FIVE, a=-COLUMN)
        found.append(_export(source, "-q")[1].read_bytes())
    assert found[0] == found[1]


def test_inputs_and_outputs_are_listed(tmp_path: Path) -> None:
    outputs = "float[N,3,h,w] y, float s, float t, int64[4] n"
    body = "y = PRelu(x, a) s = ReduceSum <keepdims=0>(y) t = Identity(s) n = Shape(y)"
    source = save(tmp_path / "old.onnx", body, "float[N,3,h,w] x", outputs, a=COLUMN)
    proto = onnx.load(source)
    proto.graph.output[2].type.tensor_type.ClearField("shape")
    onnx.save(proto, source)
    found, _ = _export(source, "--no-verify")
    assert "input x:N,3,h,w float32; dynamic: N, h, w outputs y:N,3,h,w float32, " in found.words
    assert "s (scalar) float32" in found.words
    found, _ = _export(source, "--no-verify", "--force", "--format", "json")
    assert [(one["name"], one["shape"], one["dtype"]) for one in found.json["outputs"]][:2] == [
        ("y", ["N", 3, "h", "w"], "float32"), ("s", [], "float32")
    ]  # fmt: skip
    stated = tensor_outputs(proto.graph)
    assert [one.text for one in stated] == ["y:N,3,h,w", "s (scalar)", "t (any shape)", "n:4"]


def test_metadata_that_is_not_ours_stays(tmp_path: Path) -> None:
    source = save(tmp_path / "old.onnx", "y = PRelu(x, a)", a=COLUMN)
    proto = onnx.load(source)
    proto.metadata_props.add(key="classes", value="cat, dog")
    proto.metadata_props.add(key="prelu_tools.source", value="older.keras")
    onnx.save(proto, source)
    stated = {entry.key: entry.value for entry in _clean(source).metadata_props}
    assert stated["classes"] == "cat, dog"
    assert stated["prelu_tools.source"] == "old.onnx"


def test_weights_beside_the_file_come_into_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    weight = np.random.default_rng(0).normal(size=(3, 3, 1, 1))
    source = save(folder / "old.onnx", "c = Conv(x, w) y = PRelu(c, a)", a=COLUMN,
                  w=weight.astype(np.float32))  # fmt: skip
    onnx.save(onnx.load(source), source, save_as_external_data=True, location="w.data",
              size_threshold=0)  # fmt: skip
    found, target = _export(source)
    assert found.code == 0, found.err
    for path in (source, folder / "w.data"):
        path.unlink()
    assert _shapes(onnx.load(target)) == {"a": (3, 1, 1), "w": (3, 3, 1, 1)}


def test_a_model_without_prelu_is_verified_by_its_outputs_and_warned_of(tmp_path: Path) -> None:
    source = save_relu(tmp_path / "old.onnx")
    found, _ = _export(source)
    assert found.code == 0
    assert "0 PReLU layers" in found.out
    assert "slopes of" not in found.out
    result = prelu_tools.export(source, tmp_path / "new.onnx", verify=False)
    (warning,) = result.warnings
    assert code_of(warning) == "no_prelu"
    assert warning == f"{source} has no PReLU (but 1 Relu node): no slopes were exported"
    other = prelu_tools.export(save(tmp_path / "prelu.onnx", "y = PRelu(x, a)", a=COLUMN),
                               tmp_path / "other.onnx")  # fmt: skip
    assert "no_prelu" not in {code_of(note) for note in other.notes}


# Opsets


def _of_opset(path: Path, opset: int) -> Path:
    proto = onnx.load(save(path, "y = PRelu(x, a)", a=COLUMN))
    proto.opset_import[0].version = opset
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize(
    ("opset", "asked", "written"), [(9, (), 18), (18, (), 18), (21, (), 21), (16, (21,), 21)]
)
def test_the_opset_is_raised_and_never_lowered_in_silence(
    tmp_path: Path, opset: int, asked: tuple[int, ...], written: int
) -> None:
    options = [option for number in asked for option in ("--opset", number)]
    assert _opset(_clean(_of_opset(tmp_path / "old.onnx", opset), *options)) == written


def test_a_lower_opset_is_refused(tmp_path: Path) -> None:
    found, target = _export(_of_opset(tmp_path / "old.onnx", 21), "--opset", 18)
    assert found.code == 2
    assert "opset 21, which cannot be lowered to 18" in found.err
    assert not target.exists()


# Slopes that lie wrong


def _arcface(path: Path, opset: int = 8, **batch_norm: Any) -> Path:
    """As MXNet wrote it: IR version 3, weights among the inputs, `[C]` slopes on maps."""
    generator = np.random.default_rng(0)
    attributes = {"epsilon": 1e-5, **batch_norm}
    dense = {} if opset >= 7 else {"broadcast": 1}
    nodes = [
        helper.make_node("Conv", ["data", "conv_weight"], ["c"], pads=[1, 1, 1, 1],
                         kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], **attributes),
        helper.make_node("PRelu", ["n", "relu0_gamma"], ["p"], name="relu0"),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "fc_weight", "fc_bias"], ["d"], transB=1, **dense),
        helper.make_node("PRelu", ["d", "relu1_gamma"], ["fc1"], name="relu1"),
    ]  # fmt: skip
    shapes = {"conv_weight": (3, 3, 3, 3), "g": (3,), "b": (3,), "m": (3,), "fc_bias": (3,),
              "fc_weight": (3, 75), "relu0_gamma": (3,), "relu1_gamma": (3,)}  # fmt: skip
    tensors = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    tensors |= {"v": generator.uniform(0.5, 1, 3), "relu0_gamma": SLOPES}
    weights = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in tensors.items()]
    listed = [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.dims) for t in weights]
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 5, 5])
    output = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph(nodes, "arcface", [data, *listed], [output], weights)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=3), path)
    return path


@pytest.mark.parametrize(("opset", "given"), [(8, {"spatial": 1}), (6, {"is_test": 1}), (9, {})])
def test_slopes_of_an_old_arcface_file_are_laid_along_the_channels(
    tmp_path: Path, opset: int, given: dict[str, Any]
) -> None:
    source = _arcface(tmp_path / "old.onnx", opset, **given)
    found, target = _export(source)
    assert found.code == 0, found.err
    assert "relu0: its slope of shape [3] was moved to axis 1 as [3, 1, 1]" in found.words
    assert "compared with its own graph in onnx's evaluator (numpy)" in found.words
    proto = onnx.load(target)
    shapes = _shapes(proto)
    assert (shapes["relu0_gamma"], shapes["relu1_gamma"]) == ((3, 1, 1), (3,))
    assert [value.name for value in proto.graph.input] == ["data"]


def test_a_repair_that_went_wrong_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference is the file as it is, and not what the repair made of it."""
    from prelu_tools.graph.passes import canonical

    usual = canonical._usual
    monkeypatch.setattr(canonical, "_usual", lambda slopes, shape: usual(slopes, shape)[::-1])
    found, target = _export(_arcface(tmp_path / "old.onnx", spatial=1))
    assert found.code == 1
    assert not target.exists()


SQUARE = {"inputs": "float[N,3,5,3] x", "outputs": "float[N,3,5,3] y"}


def test_two_readings_are_no_verdict(tmp_path: Path) -> None:
    source = save(tmp_path / "old.onnx", "[act] y = PRelu(x, a)", **SQUARE, a=SLOPES)
    found, target = _export(source)
    assert found.code == 3
    assert "act: a slope of shape [3] on an input of [?, 3, 5, 3] is ambiguous" in found.err
    assert "--repair-slopes" in found.err
    assert "--slope-axis" in found.err
    assert not target.exists()


@pytest.mark.parametrize(("axis", "shape"), [(1, (3, 1, 1)), (-1, (1, 1, 3))])
def test_the_user_says_which_is_meant(tmp_path: Path, axis: int, shape: tuple[int, ...]) -> None:
    source = save(tmp_path / "old.onnx", "y = PRelu(x, a)", **SQUARE, a=SLOPES)
    assert _shapes(_clean(source, "--slope-axis", axis)) == {"a": shape}


# Bodies and functions


@pytest.mark.parametrize("opset", [12, 13])
def test_what_cannot_be_looked_into_is_said(opset: int, tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["": OPSET]>
        graph (float[N,3] x) => (float[N,3] y) {
            k = ReduceMax<keepdims=0>(x) z = Constant<value = float {0}>() c = Greater(k, z)
            y = If(c) <then_branch = t () => (float[N,3] e) { e = PRelu(x, a) },
                       else_branch = f () => (float[N,3] o) { o = PRelu(x, b) }> }"""
    proto = parsed(text.replace("OPSET", str(opset)), {"a": SLOPES, "b": 2 * SLOPES})
    onnx.save(proto, tmp_path / "old.onnx")
    found, _ = _export(tmp_path / "old.onnx")
    assert found.code == 0, found.err
    hidden = "2 PReLU calls are in the body of a Scan, or of an If or Loop before opset 13"
    assert (hidden in found.words) == (opset < 13)
    assert "2 PReLU layers in 2 PRelu nodes" in found.words


def test_a_target_gets_its_forms(tmp_path: Path) -> None:
    source = save_chain(tmp_path / "chain.onnx")
    fast, again = tmp_path / "fast.onnx", tmp_path / "again.onnx"
    found = cli("export", source, "-o", fast, "--target", "onnxruntime-cpu", "--format", "json")
    assert found.code == 0, found.err
    assert [layer["form"] for layer in found.json["layers"]] == [
        "relu_mul", "relu_mul", "relu", "leaky_relu"
    ]  # fmt: skip
    assert found.json["optimized"]["held"]["layer"] is True
    assert found.json["verification"]["verdict"] == "pass"
    words = cli("export", source, "-o", again, "--target", "onnxruntime-cpu")
    assert "4 PReLU layers as relu_mul (2), relu (1), leaky_relu (1)" in words.words
    assert again.read_bytes() == fast.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.onnx", "chain.onnx", "fast.onnx"
    ]  # fmt: skip


@slow_kernel
def test_a_target_and_a_slope_for_each_position(tmp_path: Path) -> None:
    source = save_positions(tmp_path / "positions.onnx")
    fast = tmp_path / "fast.onnx"
    found = cli("export", source, "-o", fast, "--target", "onnxruntime-cpu", "--format", "json")
    assert found.code == 0, found.err
    assert found.json["layers"][0]["sharing"] == "element-wise"
    assert found.json["layers"][0]["form"] != "prelu"


@pytest.mark.parametrize("external", ["always", "never"])
def test_a_target_gets_its_forms_with_large_slopes_and_weights_where_they_are_asked(
    external: str, tmp_path: Path
) -> None:
    """Of the steps on the way nothing is left, and nothing of the file is in them."""
    channels = 300
    draws = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("PRelu", ["c", "s"], ["y"], "act"),
    ]
    weight = draws.normal(size=(channels, 4, 1, 1)).astype(np.float32)
    slopes = draws.normal(size=(channels, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, ["n", 4, 6, 6])],
        [helper.make_tensor_value_info("y", 1, ["n", channels, 6, 6])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(slopes, "s")],
    )  # fmt: skip
    source, target = tmp_path / "wide.onnx", tmp_path / "fast.onnx"
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), source)
    found = cli("export", source, "-o", target, "--target", "onnxruntime-cpu",
                "--external-data", external, "--format", "json")  # fmt: skip
    assert found.code == 0, found.err
    (layer,) = found.json["layers"]
    assert layer["form"] != "prelu"
    assert layer["sharing"] == "channel-wise"
    data = found.json["model"]["data_path"]
    assert (data is None) == (external == "never")
    left = ["fast.onnx", *([Path(data).name] if data else []), "wide.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    assert cli("verify", source, target).code == 0


def test_an_ir_version_that_onnxruntime_does_not_load_is_lowered(tmp_path: Path) -> None:
    newest = int(onnx.IR_VERSION)
    if newest <= newest_ir_version():
        pytest.skip("onnxruntime loads the newest IR version")
    path = save(tmp_path / "new.onnx", FIVE, a=-COLUMN)
    proto = onnx.load(path)
    proto.ir_version = newest
    onnx.save(proto, path)
    refused = cli("verify", path, path)
    assert refused.code == 3
    assert f"IR version {newest}" in refused.err
    assert "prelu-tools export" in refused.err
    found = cli("export", tmp_path / "new.onnx", "-o", tmp_path / "net.onnx", "--format", "json")
    assert found.code == 0, found.err
    assert any(f"IR version {newest}" in note for note in found.json["notes"])
    assert onnx.load(tmp_path / "net.onnx").ir_version == 10
