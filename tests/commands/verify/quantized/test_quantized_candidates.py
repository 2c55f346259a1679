"""Quantized candidates: honest ones pass, and what is wrong with a slope or a weight is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, version_converter
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
from text_nets import save

from prelu_tools import VerifyResult, quantize, verify
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.graph.quantized.channels import negate

FIXED = {"op_types_to_quantize": ["Conv", "PRelu"]}
LEAN = {"samples": 4, "search_seconds": 0.0}
NEGATIVE_PART = """n{y} = Neg({x}) r{y} = Relu(n{y}) m{y} = Mul(r{y}, {s}) q{y} = Relu({x})
    {y} = Sub(q{y}, m{y})"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("quantized")
    net = save_net(folder / "net.onnx")
    written = save_net(folder / "written.onnx", NEGATIVE_PART)
    return {
        "net": net,
        "plain": quantized(net, folder / "plain.onnx"),
        "signed": quantized(net, folder / "signed.onnx", activation_type=_type("QInt8")),
        "forced": quantized(net, folder / "forced.onnx", **FIXED),
        "operators": quantized(net, folder / "operators.onnx", "QOperator"),
        "written": quantized(written, folder / "written8.onnx"),
        "dynamic": quantized_dynamically(net, folder / "dynamic.onnx"),
        "sixteen": quantized(
            net,
            folder / "sixteen.onnx",
            activation_type=_type("QUInt16"),
            extra_options={"UseQDQContribOps": True},
        ),
        "nibbles": quantized(_newer(net), folder / "nibbles.onnx", weight_type=_type("QInt4")),
        "weights only": _weights_only(net, folder / "weights.onnx"),
    }


def _type(name: str) -> Any:
    from onnxruntime.quantization import QuantType

    return QuantType[name]


def _newer(net: Path) -> Path:
    """The net in opset 21, which has 4-bit integers."""
    path = net.with_suffix(".21.onnx")
    onnx.save(version_converter.convert_version(onnx.load(net), 21), path)
    return path


def _weights_only(net: Path, path: Path) -> Path:
    proto = onnx.load(net)
    (tensor,) = (t for t in proto.graph.initializer if t.name == "w1")
    values = numpy_helper.to_array(tensor)
    scale = (np.abs(values).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    codes = np.round(values / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
    tensor.CopyFrom(numpy_helper.from_array(codes, "w1_quantized"))
    proto.graph.initializer.append(numpy_helper.from_array(scale, "w1_scale"))
    inputs = ["w1_quantized", "w1_scale"]
    proto.graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, ["w1"], axis=0))
    onnx.save(proto, path)
    return path


def check(files: dict[str, Path], candidate: Path, **options: Any) -> VerifyResult:
    return verify(files["net"], candidate, **{**LEAN, **options})


def report(result: VerifyResult) -> CandidateReport:
    (found,) = result.candidates
    return found


def layer(result: VerifyResult, number: int) -> LayerParity:
    return report(result).layers[number]


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "signed",
        "forced",
        "operators",
        "written",
        "dynamic",
        "sixteen",
        "nibbles",
        "weights only",
    ],
)
def test_an_honest_file_passes_and_says_how_it_was_judged(
    files: dict[str, Path], name: str
) -> None:
    result = check(files, files[name])
    assert result.verdict == "pass", result.reasons
    codes = [code_of(note) for note in result.notes]
    assert "quantized_candidate" in codes
    assert report(result).tolerance.origin == "quantized"
    assert [x.n_by_value for x in report(result).layers] == [6, 6]
    assert [x.n_by_behaviour for x in report(result).layers] == [6, 6]
    steps = [x.slope_step for x in report(result).layers]
    if name in ("forced", "written"):
        assert steps == [pytest.approx(0.6 / 255, rel=0.02)] * 2
    else:
        assert steps == [None, None]


def test_a_quantized_file_has_the_layers_of_the_net(files: dict[str, Path]) -> None:
    from prelu_tools import inspect

    for name in ("plain", "forced", "written"):
        found = inspect(files[name]).layers
        assert [x.layer.name for x in found] == ["s0", "s1"]
        assert [x.layer.sharing for x in found] == ["channel-wise"] * 2


def _exchanged(slopes: Array) -> Array:
    low, high = slopes.reshape(-1).argmin(), slopes.reshape(-1).argmax()
    slopes[[low, high]] = slopes[[high, low]]
    return slopes


def _one_halved(slopes: Array) -> Array:
    largest = slopes.reshape(-1).argmax()
    slopes[largest] = slopes[largest] // 2 if slopes.dtype.kind in "iu" else slopes[largest] / 2
    return slopes


FAULTS: dict[str, Callable[[Array], Array]] = {
    "exchanged": _exchanged,
    "one halved": _one_halved,
    "turned round": lambda slopes: slopes[::-1],
    "zeroed": lambda slopes: slopes * 0,
}


def test_wrong_slopes_fail_beside_codes_of_all_widths(
    files: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("sixteen", "nibbles", "weights only", "dynamic"):
        wrong = changed(files[name], tmp_path / "wrong.onnx", "s1", FAULTS["exchanged"])
        assert check(files, wrong).verdict == "fail", name


@pytest.mark.parametrize("name", ["plain", "written"])
@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_slopes_fail(files: dict[str, Path], tmp_path: Path, name: str, fault: str) -> None:
    tensor = "s1" if name == "plain" else "s1_quantized"
    wrong = changed(files[name], tmp_path / "wrong.onnx", tensor, FAULTS[fault])
    result = check(files, wrong)
    assert result.verdict == "fail"
    assert (layer(result, 0).verdict, layer(result, 1).verdict) == ("pass", "fail")
    lost = fault == "zeroed" and name == "written"  # it is a Relu then
    code = "layer_not_found" if lost else "slopes_differ"
    assert code_of(layer(result, 1).difference or "") == code
    assert layer(result, 1).n_by_behaviour == 0


def test_negated_slopes_fail_in_integers_too(files: dict[str, Path], tmp_path: Path) -> None:
    wrong = changed(files["plain"], tmp_path / "wrong.onnx", "s1", lambda slopes: -slopes)
    assert "negated" in str(layer(check(files, wrong), 1).difference)
    (scale,) = (t for t in onnx.load(files["forced"]).graph.initializer if t.name == "s1_scale")
    assert len(scale.dims) == 0
    wrong = changed(files["forced"], tmp_path / "wrong.onnx", "s1_scale", lambda scale: -scale)
    assert check(files, wrong).verdict != "pass"


@pytest.mark.parametrize(
    ("tensor", "change"),
    [
        ("b1_quantized", lambda values: values * 0),
        ("w1_quantized", lambda values: values[:, ::-1]),
        ("w1_quantized", lambda values: np.where(np.arange(6).reshape(6, 1, 1, 1) == 2, 0, values)),
        ("w2_scale", lambda values: values * 1.2),
        ("w1_scale", lambda values: values * 1.02),
        ("b1_quantized", lambda values: values // 2),
    ],
)
def test_wrong_weights_fail_although_their_noise_is_large(
    files: dict[str, Path], tmp_path: Path, tensor: str, change: Callable[[Array], Array]
) -> None:
    result = check(files, changed(files["plain"], tmp_path / "wrong.onnx", tensor, change))
    assert result.verdict == "fail"
    (output,) = report(result).outputs
    assert code_of(output.difference or "") == "int8_weights_differ"


def test_rounding_that_is_alike_everywhere_is_no_factor(tmp_path: Path) -> None:
    """Weights of two sizes round alike: the output is scaled, by what rounding explains."""
    signs = np.sign(constants(3)["w1"])
    levels = np.where(np.arange(54).reshape(6, 3, 3) % 9 == 0, 1, 0.3173)
    net = save_net(tmp_path / "net.onnx", w1=(signs * levels).astype(np.float32) / 4)
    eight = quantized(net, tmp_path / "eight.onnx")
    result = verify(net, eight, samples=4, search_seconds=0.0)
    assert result.verdict == "pass", result.reasons
    assert "6 of 6 quantized tensors match a tensor of the reference" in " ".join(result.notes)


@pytest.mark.parametrize("end", ["Softmax<axis = 1>", "LpNormalization<axis = 1>", "Tanh"])
def test_outputs_whose_size_is_fixed_are_neither_scaled_nor_shifted(
    end: str, tmp_path: Path
) -> None:
    """Of a softmax, rounding leaves the sum as it is: nothing may be measured by that."""
    body = f"""
        c0 = Conv<pads = [1, 1, 1, 1]>(x, w0, b0) p0 = PRelu(c0, s0)
        c1 = Conv<pads = [1, 1, 1, 1]>(p0, w1, b1) p1 = PRelu(c1, s1)
        z = Conv(p1, w2, b2) y = {end}(z)"""
    sides = (f"float[N,{n},{SIZE},{SIZE}] {name}" for n, name in ((3, "x"), (4, "y")))
    weights = constants()
    weights["w0"] = weights["w0"] * np.geomspace(0.1, 1, 6).reshape(-1, 1, 1, 1).astype(np.float32)
    net = save(tmp_path / "net.onnx", body, *sides, **weights)
    output = tmp_path / "q.onnx"
    assert quantize(net, output, calibration={"x": pictures()}, tune=False).verdict == "pass"
    result = verify(net, output, samples=4, search_seconds=0.0)
    assert result.verdict == "pass", result.reasons
    wrong = changed(output, tmp_path / "wrong.onnx", "w1_scale", lambda scale: scale * 1.3)
    assert verify(net, wrong, samples=4, search_seconds=0.0).verdict == "fail"


@pytest.mark.parametrize("name", ["plain", "written", "dynamic"])
def test_it_says_which_faults_would_have_been_seen(files: dict[str, Path], name: str) -> None:
    result = check(files, files[name])
    power = report(result).power
    assert power is not None
    assert power.planted == power.detected == power.by_layers >= 8
    (note,) = (n for n in result.notes if code_of(n) == "int8_weights_compared")
    assert ("a factor of 1.0" in note) == (name == "dynamic")  # its weights have one scale


def test_faults_that_rounding_explains_are_not_counted(
    files: dict[str, Path], tmp_path: Path
) -> None:
    alike = np.linspace(0.3, 0.3005, 6, dtype=np.float32).reshape(6, 1, 1)
    net = save_net(tmp_path / "net.onnx", s1=alike)
    result = verify(net, quantized(net, tmp_path / "eight.onnx"), **LEAN)
    fine, coarse = report(check(files, files["plain"])).power, report(result).power
    assert fine is not None
    assert coarse is not None
    assert coarse.hidden >= fine.hidden + 3  # exchanged, averaged, shifted
    assert result.verdict == "pass"


def test_ranges_that_do_not_fit_fail_on_given_inputs(
    files: dict[str, Path], tmp_path: Path
) -> None:
    narrow = changed(files["plain"], tmp_path / "narrow.onnx", "c1_scale", lambda scale: scale / 8)
    result = verify(files["net"], narrow, inputs={"x": pictures()})
    (output,) = report(result).outputs
    assert (result.verdict, code_of(output.difference or "")) == ("fail", "int8_snr")
    drawn = check(files, narrow)
    assert drawn.verdict == "inconclusive"
    assert code_of(layer(drawn, 1).difference or "") == "slopes_cut_off"
    assert "int8_random_inputs" in [code_of(note) for note in drawn.notes]
    good = verify(files["net"], files["plain"], inputs={"x": pictures()})
    assert good.verdict == "pass"
    deviation = report(good).outputs[0].deviation
    assert deviation is not None
    assert deviation.snr_db is not None
    assert deviation.snr_db > 20


def test_a_tolerance_that_was_given_counts(files: dict[str, Path]) -> None:
    assert check(files, files["plain"], tolerance=(0.0, 1e-6)).verdict == "fail"
    assert check(files, files["plain"], tolerance=(0.0, 100.0)).verdict == "pass"


def test_random_inputs_stay_within_the_calibrated_range(files: dict[str, Path]) -> None:
    (domain,) = check(files, files["plain"]).inputs
    low, high = pictures().min(), pictures().max()
    assert domain.low is not None
    assert domain.high is not None
    assert low - 0.1 < domain.low < 0 < domain.high < high + 0.1


def test_a_float_file_does_not_take_the_limits_of_integers(
    files: dict[str, Path], tmp_path: Path
) -> None:
    weights = constants()["w1"] * np.float32(1.001)
    wrong = save_net(tmp_path / "wrong.onnx", w1=weights)
    assert check(files, wrong).verdict == "fail"
    # A pair of nodes that quantizes, beside the output or before a convolution, excuses nothing.
    for place in ("beside", "in front"):
        path = _with_pair(wrong, tmp_path / f"{place}.onnx", place)
        result = check(files, path)
        assert result.verdict == "fail", place


def _with_pair(source: Path, output: Path, place: str) -> Path:
    proto = onnx.load(source)
    graph = proto.graph
    graph.initializer.append(helper.make_tensor("scale", 1, [], [0.001]))
    graph.initializer.append(helper.make_tensor("zero", onnx.TensorProto.INT16, [], [0]))
    pair = [helper.make_node("QuantizeLinear", ["p1", "scale", "zero"], ["codes"]),
            helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["back"])]  # fmt: skip
    last = graph.node[-1]
    if place == "in front":
        last.input[0] = "back"
    nodes = [*graph.node[:-1], *pair, last]
    del graph.node[:]
    graph.node.extend(nodes)
    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", 21))
    onnx.save(proto, output)
    return output


ABOVE_1 = np.float32([1.8, 0.3, 1.4, -2, 0.7, 3]).reshape(6, 1, 1)


def _negated(folder: Path, change: Callable[[dict[str, Array]], None]) -> tuple[Path, Path]:
    """A net with slopes above 1, and its quantized copy with negated channels, changed before."""
    net = save_net(folder / "net.onnx", s1=ABOVE_1)
    proto = onnx.load(net)
    assert negate(proto) == 1
    tensors = {t.name: t for t in proto.graph.initializer}
    values = {name: numpy_helper.to_array(t).copy() for name, t in tensors.items()}
    change(values)
    for name, tensor in tensors.items():
        tensor.CopyFrom(numpy_helper.from_array(values[name], name))
    onnx.save(proto, folder / "negated.onnx")
    return net, quantized(folder / "negated.onnx", folder / "negated8.onnx")


def _as_it_is(values: dict[str, Array]) -> None:
    assert values["s1"].max() < 1


def test_negated_channels_have_the_inverse_of_their_slope_and_pass(tmp_path: Path) -> None:
    net, candidate = _negated(tmp_path, _as_it_is)
    found = verify(net, candidate, **LEAN)
    assert found.verdict == "pass", found.reasons
    (note,) = (n for n in found.notes if code_of(n) == "channels_negated")
    assert "3 slopes of 1 layer " in note
    assert layer(found, 1).n_by_behaviour == 6
    deviation = layer(found, 1).deviation
    assert deviation is not None
    assert (deviation.snr_db or 0) > 10  # with the reference's sign


def _inverse_alone(values: dict[str, Array]) -> None:
    """What a converter that mistakes a slope for its inverse would write."""
    values["w1"] = values["w1"] * np.where(ABOVE_1 > 1, -1, 1).astype(np.float32)[..., None]
    values["b1"] = values["b1"] * np.where(ABOVE_1 > 1, -1, 1).astype(np.float32).reshape(-1)
    values["w2"] = values["w2"] / np.where(ABOVE_1 > 1, -ABOVE_1, 1).reshape(1, 6, 1, 1)


def _not_undone(values: dict[str, Array]) -> None:
    values["w2"][:, 0] *= -1


def _another_inverse(values: dict[str, Array]) -> None:
    values["s1"][0] *= np.float32(1.02)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_inverse_alone, "slopes_inverted"),
        (_not_undone, "int8_weights_differ"),
        (_another_inverse, "slopes_differ"),
    ],
)
def test_inverse_slopes_are_right_in_negated_channels_only(
    change: Callable[[dict[str, Array]], None], code: str, tmp_path: Path
) -> None:
    net, candidate = _negated(tmp_path, change)
    found = verify(net, candidate, **LEAN)
    assert found.verdict == "fail"
    codes = {code_of(each.difference) for each in (*report(found).layers, *report(found).outputs)}
    assert code in codes
