"""Quantized candidates whose codes prove nothing, or are not known: never a pass, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from quantized_nets import (
    SIZE,
    Array,
    changed,
    constants,
    pictures,
    quantized,
    quantized_dynamically,
    save_net,
)
from running import cli
from text_nets import npz, save

from prelu_tools import VerifyResult, verify
from prelu_tools.core.results.reasons import code_of

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_net(tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture(scope="module")
def plain(net: Path) -> Path:
    return quantized(net, net.parent / "plain.onnx")


def check(reference: Path, candidate: Path) -> VerifyResult:
    return verify(reference, candidate, samples=4, search_seconds=0.0)


def codes(result: VerifyResult) -> set[str | None]:
    (report,) = result.candidates
    differences = [x.difference for x in (*report.layers, *report.outputs) if x.difference]
    return {code_of(reason) for reason in (*result.reasons, *differences)}


def edited(source: Path, output: Path, change: Change) -> Path:
    proto = onnx.load(source)
    change(proto)
    onnx.save(proto, output)
    return output


def _rescaled(name: str, factor: float, channels: slice = slice(None)) -> Change:
    """The same weights in codes that are so many times as far apart."""

    def change(proto: onnx.ModelProto) -> None:
        tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
        for kind, times in (("quantized", 1 / factor), ("scale", factor)):
            tensor = tensors[f"{name}_{kind}"]
            values = numpy_helper.to_array(tensor).copy()
            values[channels] = np.round(values[channels] * times, 12 if kind == "scale" else 0)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    return change


def test_weights_in_hardly_any_codes_prove_nothing(net: Path, plain: Path, tmp_path: Path) -> None:
    wide = edited(plain, tmp_path / "wide.onnx", _rescaled("w1", 200))
    result = check(net, wide)
    assert result.verdict == "inconclusive"
    assert {"int8_scales_too_wide", "int8_steps_too_wide"} <= codes(result)
    one = edited(plain, tmp_path / "one.onnx", _rescaled("w1", 300, slice(2, 3)))
    assert check(net, one).verdict == "fail"  # a channel without any code
    twice = edited(plain, tmp_path / "twice.onnx", _rescaled("w1", 2))
    assert check(net, twice).verdict == "pass"


@pytest.mark.parametrize("name", ["x", "c0", "p0", "c1", "p1", "y"])
def test_activations_in_hardly_any_codes_prove_nothing(
    net: Path, plain: Path, tmp_path: Path, name: str
) -> None:
    wide = changed(plain, tmp_path / "wide.onnx", f"{name}_scale", lambda scale: scale * 100)
    result = check(net, wide)
    assert result.verdict == "inconclusive"
    assert codes(result) & {"int8_steps_too_wide", "slopes_cut_off"}


def test_a_range_that_cuts_off_the_output_gives_no_verdict(
    net: Path, plain: Path, tmp_path: Path
) -> None:
    narrow = changed(plain, tmp_path / "narrow.onnx", "y_scale", lambda scale: scale / 8)
    result = check(net, narrow)
    assert (result.verdict, codes(result)) == ("inconclusive", {"int8_snr"})
    result = verify(net, narrow, inputs={"x": pictures()})
    assert (result.verdict, codes(result)) == ("fail", {"int8_snr"})


@pytest.mark.parametrize("name", ["c0", "p0"])
def test_ranges_without_negative_numbers_hide_slopes(
    net: Path, plain: Path, tmp_path: Path, name: str
) -> None:
    cut = changed(plain, tmp_path / "cut.onnx", f"{name}_zero_point", lambda _: np.asarray(1))
    for result in (check(net, cut), verify(net, cut, inputs={"x": pictures()})):
        assert result.verdict == "inconclusive"
        assert "slopes_cut_off" in codes(result)
    cut = changed(plain, tmp_path / "cut.onnx", f"{name}_zero_point", lambda _: np.asarray(0))
    assert check(net, cut).verdict == "fail"


def test_a_pruned_channel_passes_and_excuses_nothing(tmp_path: Path) -> None:
    weights = constants()["w1"].copy()
    weights[3] = 0
    net = save_net(tmp_path / "net.onnx", w1=weights)
    eight = quantized(net, tmp_path / "eight.onnx")
    assert check(net, eight).verdict == "pass"
    wrong = changed(eight, tmp_path / "wrong.onnx", "w0_scale", lambda scale: scale * 1.3)
    assert check(net, wrong).verdict == "fail"


def _scale_on_other_axes(proto: onnx.ModelProto) -> None:
    graph = proto.graph
    scale = np.linspace(0.02, 0.06, SIZE, dtype=np.float32)
    graph.initializer.append(numpy_helper.from_array(scale, "scale"))
    graph.initializer.append(numpy_helper.from_array(np.full(SIZE, 128, np.uint8), "zero"))
    for node in graph.node:
        node.input[:] = ["back" if name == "x" else name for name in node.input]
    graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"], axis=2))
    pair = helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["back"], axis=3)
    graph.node.insert(1, pair)


def _pair_in_bodies(proto: onnx.ModelProto) -> None:
    graph = proto.graph
    graph.initializer.append(numpy_helper.from_array(np.float32(0.05), "scale"))
    graph.initializer.append(numpy_helper.from_array(np.uint8(60), "zero"))
    bodies = []
    for part in "ab":
        nodes = [
            helper.make_node("QuantizeLinear", ["p1", "scale", "zero"], [f"q{part}"]),
            helper.make_node("DequantizeLinear", [f"q{part}", "scale", "zero"], [f"d{part}"]),
            helper.make_node("Conv", [f"d{part}", "w2", "b2"], [f"y{part}"]),
        ]
        output = helper.make_tensor_value_info(f"y{part}", TensorProto.FLOAT, None)
        bodies.append(helper.make_graph(nodes, part, [], [output]))
    del graph.node[-1]
    graph.node.append(helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0))
    graph.node.append(helper.make_node("Greater", ["sum", "scale"], ["positive"]))
    graph.node.append(helper.make_node("If", ["positive"], ["y"], then_branch=bodies[0],
                                       else_branch=bodies[1]))  # fmt: skip


def test_codes_that_are_not_known_give_no_verdict(net: Path, plain: Path, tmp_path: Path) -> None:
    axes = edited(net, tmp_path / "axes.onnx", _scale_on_other_axes)
    below = changed(plain, tmp_path / "below.onnx", "c1_scale", lambda scale: -scale)
    bodies = edited(net, tmp_path / "bodies.onnx", _pair_in_bodies)
    eight = edited(net, tmp_path / "eight.onnx", _float8)
    for path, words in ((axes, "scales of another shape"), (below, "not a positive number"),
                        (bodies, "(If) is quantized"), (eight, "float8e4m3fn")):  # fmt: skip
        result = check(net, path)
        assert result.verdict == "inconclusive"
        assert words in " ".join(result.reasons), path


def _float8(proto: onnx.ModelProto) -> None:
    graph = proto.graph
    (weight,) = (tensor for tensor in graph.initializer if tensor.name == "w1")
    values = numpy_helper.to_array(weight)
    weight.CopyFrom(helper.make_tensor("w1q", TensorProto.FLOAT8E4M3FN, values.shape,
                                       (values * 100).reshape(-1).tolist()))  # fmt: skip
    graph.initializer.append(numpy_helper.from_array(np.float32(0.01), "scale"))
    graph.node.insert(0, helper.make_node("DequantizeLinear", ["w1q", "scale"], ["w1"]))
    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", 21))


def test_weights_in_blocks_are_compared_block_by_block(net: Path, tmp_path: Path) -> None:
    assert check(net, edited(net, tmp_path / "b.onnx", _in_blocks(1.0))).verdict == "pass"
    assert check(net, edited(net, tmp_path / "b.onnx", _in_blocks(1.1))).verdict == "fail"


def _in_blocks(factor: float) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        graph = proto.graph
        (weight,) = (tensor for tensor in graph.initializer if tensor.name == "w1")
        values: Array = numpy_helper.to_array(weight)
        blocks = values.reshape(6, 3, 2, 3, 3)
        scale = np.abs(blocks).max(axis=2) / 127
        weight.CopyFrom(numpy_helper.from_array(
            np.round(blocks / scale[:, :, None]).reshape(values.shape).astype(np.int8), "w1q"
        ))  # fmt: skip
        graph.initializer.append(
            numpy_helper.from_array((scale * factor).astype(np.float32), "scale")
        )
        graph.node.insert(0, helper.make_node("DequantizeLinear", ["w1q", "scale"], ["w1"], axis=1,
                                              block_size=2))  # fmt: skip
        del proto.opset_import[:]
        proto.opset_import.append(helper.make_opsetid("", 21))

    return change


def test_operators_that_hide_their_codes_give_no_verdict(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(0, 0.3, size).astype(np.float32)
               for name, size in (("w", (1, 20, 8)), ("r", (1, 20, 5)))}  # fmt: skip
    net = save(
        tmp_path / "net.onnx",
        "h, last, cell = LSTM<hidden_size = 5>(x, w, r) z = Squeeze(h, one) y = PRelu(z, s)",
        "float[4,N,8] x", "float[4,N,5] y", one=np.array([1]),
        s=np.linspace(0.1, 0.5, 5).astype(np.float32), **weights,
    )  # fmt: skip
    result = check(net, quantized_dynamically(net, tmp_path / "eight.onnx"))
    assert result.verdict == "inconclusive"
    assert "DynamicQuantizeLSTM" in " ".join(result.reasons)


def test_a_quantized_reference_fails_nothing(net: Path, plain: Path, tmp_path: Path) -> None:
    assert check(plain, edited(plain, tmp_path / "copy.onnx", lambda _: None)).verdict == "pass"
    result = check(plain, net)
    assert result.verdict == "inconclusive"
    assert "is quantized itself" in " ".join(result.reasons)
    unused = edited(net, tmp_path / "unused.onnx", _unused_codes)
    wrong = save_net(tmp_path / "wrong.onnx", w1=constants()["w1"] * np.float32(1.01))
    assert check(unused, wrong).verdict == "fail"


def _unused_codes(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(0.05), "scale"))
    proto.graph.node.append(helper.make_node("QuantizeLinear", ["x", "scale"], ["unused"]))


def test_another_runtime_gives_no_verdict(
    net: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prelu_tools.backends.registry.is_installed", lambda _: True)
    data = npz(tmp_path / "data.npz", x=pictures())
    found = cli("verify", net, plain, "--runtime", "ncnn", "--inputs", data)
    assert found.code == 3
    assert "quantized candidates are compared on onnxruntime only" in found.words
