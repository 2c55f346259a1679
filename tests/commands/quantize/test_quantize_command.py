"""`quantize` from the outside: what is written, what is proven, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from json_schemas import errors
from quantized_nets import SIZE, Array, changed, constants, pictures, quantized, save_net
from running import Outcome, cli
from text_nets import npz, save

from prelu_tools import inspect, quantize, verify
from prelu_tools.backends.onnxruntime.quantizing import quantizer_options
from prelu_tools.commands.quantize import searching
from prelu_tools.commands.quantize.quantizing import Quantizer, float_model, look
from prelu_tools.commands.quantize.ranges import FASTEST
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.quantization import QuantizeLimits
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.reports.headline import headline

JSON = ("--no-tune", "--format", "json")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_net(tmp_path_factory.mktemp("quantize") / "net.onnx")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npz(tmp_path_factory.mktemp("data") / "data.npz", x=pictures(40))


@pytest.fixture(scope="module")
def int8(net: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("int8") / "q.onnx"
    assert quantize(net, output, calibration=data, tune=False)
    return output


def test_init_names_it_beside_its_original(net: Path, int8: Path, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    for name, path in (("net.onnx", net), ("net-opt.onnx", net), ("net.int8.onnx", int8)):
        (tmp_path / name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    found = cli("init", "--format", "json").json
    assert (found["checks"][0]["variants"], found["left_out"]) == (["net.int8.onnx"], [])
    assert 'need their own tolerance: "net.int8.onnx"' in Path("prelu-tools.toml").read_text()


def run(net: Path, output: Path, data: Path, *options: object) -> Outcome:
    return cli("quantize", net, "-o", output, "--calibration", data, *options)


def nodes(path: Path) -> list[str]:
    """What onnxruntime runs of a file, after its own optimizations."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 4
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


def test_every_prelu_is_in_integers_and_the_file_holds(
    net: Path, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "net.int8.onnx"
    found = run(net, output, data, *JSON)
    assert (found.code, found.json["verdict"]) == (0, "pass"), found.err
    assert [layer["form"][:4] for layer in found.json["layers"]] == ["int_", "int_"]
    assert found.json["model"]["bytes"] == output.stat().st_size
    assert found.json["rows"] == {"calibration": 30, "held_out": 10}
    # Kernels of floating point are left at neither PReLU; only the ends convert.
    left = nodes(output)
    assert not {"PRelu", "LeakyRelu", "Mul", "Relu"} & set(left)
    assert (left.count("QuantizeLinear"), left.count("DequantizeLinear")) == (1, 1)
    # The slopes are those of the net, exactly: each channel has a scale of its own.
    slopes = [layer["slope_error"] for layer in found.json["layers"]]
    assert max(slopes) < 1e-6
    layers = [report.layer for report in inspect(output).layers]
    originals = [report.layer for report in inspect(net).layers]
    for mine, original in zip(layers, originals, strict=True):
        assert mine.name == original.name
        np.testing.assert_allclose(mine.slopes, original.slopes, rtol=1e-5)


def test_it_is_at_least_as_exact_as_plain_quantization(
    net: Path, data: Path, tmp_path: Path
) -> None:
    found = quantize(net, tmp_path / "q.onnx", calibration=data, tune=False)
    assert found
    (output,) = found.outputs
    assert output.snr is not None
    assert output.snr_plain is not None
    assert output.snr > output.snr_plain - 1
    assert output.snr_calibration == pytest.approx(output.snr, abs=2)
    assert found.times is not None
    assert found.times.of_plain.n_rounds >= 15
    assert found.times.of_fast_float is not None
    assert found.times.of_fast_float.n_rounds == found.times.of_plain.n_rounds
    said = " ".join(str(found).split())
    assert "floating point after optimize --no-tune" in said
    assert f"each output has an SNR of at least 10 dB (lowest: {output.snr:.1f} dB)" in said
    assert found.limits == QuantizeLimits(10.0, 1.0)


@pytest.mark.parametrize(
    ("slopes", "form"),
    [
        (np.full((6, 1, 1), 0.25), "int_leaky"),
        (np.linspace(0.5, 1.4, 6).reshape(6, 1, 1), "int_max_conv"),  # in negated channels
        (np.linspace(-0.4, 0.9, 6).reshape(6, 1, 1), "int_"),
        (np.full(1, 0.2), "int_leaky"),
        (np.linspace(0.1, 0.3, 60).reshape(6, 10, 1), "int_"),
    ],
)
def test_slopes_of_all_kinds_have_an_integer_form(
    slopes: Array, form: str, data: Path, tmp_path: Path
) -> None:
    net = save_net(tmp_path / "net.onnx", s1=slopes.astype(np.float32))
    found = quantize(net, tmp_path / "q.onnx", calibration=data, tune=False)
    assert found.verdict == "pass", found.reasons
    assert found.layers[1].form.startswith(form)
    assert "PRelu" not in nodes(tmp_path / "q.onnx")


@pytest.mark.parametrize("most", [1.0, 1.5])
def test_every_form_gives_the_slopes_and_holds(most: float, data: Path, tmp_path: Path) -> None:
    slopes = np.linspace(-0.6, most, 6).reshape(6, 1, 1).astype(np.float32)
    net = save_net(tmp_path / "net.onnx", s0=slopes, s1=slopes[::-1])
    model = float_model(OnnxModel(onnx.load(net), net))
    feeds = [{"x": row[None]} for row in pictures(12)]
    look(model, feeds, "net", [[1, 3, SIZE, SIZE]])
    prepared = Quantizer(model, feeds, quantizer_options({}), tmp_path).prepared((), FASTEST)
    kinds = {form for forms in prepared.fitting().values() for form in forms}
    families = ("max",) if most <= 1 else ("split", "sum")
    expected = {f"int_{family}{kind}" for family in families for kind in ("_conv", "_tiled", "")}
    assert kinds == expected | {"float"}
    for form in kinds:
        output = tmp_path / f"{form}.onnx"
        onnx.save(prepared.written(dict.fromkeys(prepared.fitting(), form)), output)
        found = verify(net, output, inputs=data)
        assert found.verdict == "pass", (form, found.reasons)
        assert [layer.n_by_behaviour for layer in found.candidates[0].layers] == [6, 6], form


def test_channels_of_very_different_size_lose_little(data: Path, tmp_path: Path) -> None:
    """One scale for all of them would leave few codes to the small ones."""
    sizes = np.geomspace(0.01, 1, 6, dtype=np.float32)
    plain = constants()
    net = save_net(
        tmp_path / "net.onnx", w0=plain["w0"] * sizes.reshape(-1, 1, 1, 1), b0=plain["b0"] * sizes,
        w1=plain["w1"] / sizes.reshape(1, -1, 1, 1),
    )  # fmt: skip
    found = quantize(net, tmp_path / "q.onnx", calibration=data, tune=False)
    (output,) = found.outputs
    assert found.verdict == "pass", found.reasons
    assert output.snr is not None
    assert output.snr_plain is not None
    assert output.snr > output.snr_plain + 6
    assert max(layer.slope_error or 0 for layer in found.layers) < 1e-6


def test_a_layer_in_floating_point_may_be_rounded_before_what_moves_it(
    data: Path, tmp_path: Path
) -> None:
    """The runtime takes the rounding behind a Transpose in front of it."""
    turned = "q{y} = PRelu({x}, {s}) {y} = Transpose<perm = [0, 1, 3, 2]>(q{y})"
    net = save_net(tmp_path / "net.onnx", turned)
    eight = quantized(net, tmp_path / "eight.onnx")
    assert verify(net, eight, inputs=data).verdict == "pass"
    wrong = changed(eight, tmp_path / "wrong.onnx", "s1", lambda slopes: slopes * np.float32(1.3))
    assert verify(net, wrong, inputs=data).verdict == "fail"


def test_what_codes_go_through_stays_in_integers(data: Path, tmp_path: Path) -> None:
    pool = "MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>"
    pooled = f"q{{y}} = PRelu({{x}}, {{s}}) {{y}} = {pool}(q{{y}})"
    net = save_net(tmp_path / "net.onnx", pooled)
    assert quantize(net, tmp_path / "q.onnx", calibration=data, tune=False)
    left = nodes(tmp_path / "q.onnx")
    assert (left.count("QuantizeLinear"), left.count("DequantizeLinear")) == (1, 1)


def test_a_layer_whose_input_is_not_quantized_stays_in_floating_point(
    data: Path, tmp_path: Path
) -> None:
    odd = "q{y} = Sin({x}) {y} = PRelu(q{y}, {s})"
    found = quantize(save_net(tmp_path / "net.onnx", odd), tmp_path / "q.onnx", calibration=data,
                     tune=False)  # fmt: skip
    assert [layer.form for layer in found.layers] == ["float", "float"]
    assert "layers_in_float" in json.loads(found.report("json"))["note_codes"]


def test_layers_are_kept_in_floating_point_to_meet_the_loss(
    net: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a loss that no choice meets, the budget is used up."""
    monkeypatch.setattr(searching, "_lost_by", lambda ours, plain: [3.0])
    found = quantize(net, tmp_path / "q.onnx", calibration=data, tune=False, keep_float=1)
    assert sorted(layer.selected for layer in found.layers) == ["exactness", "loss"]
    (kept,) = (layer for layer in found.layers if layer.selected == "loss")
    assert kept.form == "float"
    none = quantize(net, tmp_path / "r.onnx", calibration=data, tune=False, keep_float=0)
    assert "loss" not in [layer.selected for layer in none.layers]


def test_too_much_loss_is_a_verdict_and_nothing_is_written(
    net: Path, data: Path, tmp_path: Path
) -> None:
    # So wide are the ranges of weights and slopes then that all of them become 0.
    output = tmp_path / "q.onnx"
    found = run(net, output, data, "--quantizer-option", "MinimumRealRange=4000", *JSON)
    assert found.code == 1, found.out
    assert not output.exists()
    assert found.json["verdict"] == "fail"
    assert "int8_weights_differ" in found.json["reason_codes"]
    unproven = run(net, output, data, "--quantizer-option", "MinimumRealRange=4000", "--no-verify",
                   *JSON)  # fmt: skip
    assert (unproven.code, unproven.json["verdict"]) == (0, None)
    assert errors("quantize", unproven.json) == errors("quantize", found.json) == []
    assert output.exists()


def test_the_metric_is_measured_and_may_decide(net: Path, tmp_path: Path) -> None:
    rows = pictures(24)
    data = npz(tmp_path / "data.npz", x=rows, labels=np.arange(24) % 4)
    (tmp_path / "metrics.py").write_text(
        "def agreement(outputs, data):\n"
        "    assert len(data['labels']) == len(outputs['y']) == len(data['x'])\n"
        "    return float(outputs['y'].mean())\n"
        "def broken(outputs, data):\n    return float('nan')\n"
    )
    metric = f"{tmp_path / 'metrics.py'}:agreement"
    found = run(net, tmp_path / "q.onnx", data, "--metric", metric, *JSON)
    assert found.code == 0, found.err
    assert errors("quantize", found.json) == []
    assert found.json["metric"]["in_float"] == pytest.approx(found.json["metric"]["in_int8"], abs=1)
    drop = found.json["metric"]["in_float"] - found.json["metric"]["in_int8"]
    if drop > 0:
        again = run(net, tmp_path / "r.onnx", data, "--metric", metric, "--max-drop", "0", *JSON)
        assert (again.code, again.json["reason_codes"]) == (1, ["metric_dropped"])
    wrong = run(net, tmp_path / "r.onnx", data, "--metric", f"{tmp_path / 'metrics.py'}:broken")
    assert (wrong.code, "returned nan" in wrong.err) == (3, True)
    missing = run(net, tmp_path / "r.onnx", data, "--metric", f"{tmp_path / 'metrics.py'}:gone")
    assert (missing.code, "has no function 'gone'" in missing.err) == (2, True)


def test_slopes_that_the_data_never_used_are_named(tmp_path: Path) -> None:
    net = save_net(tmp_path / "net.onnx", b0=np.float32([9, 0, 0, 0, 0, 0]))
    data = npz(tmp_path / "data.npz", x=pictures(12) * np.float32(0.1))
    found = quantize(net, tmp_path / "q.onnx", calibration=data, tune=False)
    assert found.layers[0].unused == (0,)
    (note,) = (n for n in found.notes if "never used" in n)
    assert "s0[0]" in note


def test_reports_show_the_layers(net: Path, data: Path, tmp_path: Path) -> None:
    written = {f: tmp_path / f"report.{f}" for f in ("json", "junit", "markdown", "html")}
    reports = [part for f, path in written.items() for part in ("--report", f"{f}={path}")]
    found = run(net, tmp_path / "q.onnx", data, "--no-tune", *reports)
    assert found.code == 0
    for text in (found.out, written["markdown"].read_text(), written["html"].read_text()):
        assert "_conv" in text
        assert "dB" in text
        assert "held-out" in text
    document = json.loads(written["json"].read_text())
    assert errors("quantize", document) == []
    assert errors("verify", {"schema_version": 1, **document["verification"]}) == []
    assert errors("quantize", {**document, "more": 1})
    suites = ElementTree.parse(written["junit"]).getroot()
    assert {case.get("name") for case in suites.iter("testcase")} >= {"s0", "s1", "output y"}
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")


def test_timing_chooses_a_form_that_fits(net: Path, data: Path, tmp_path: Path) -> None:
    found = quantize(net, tmp_path / "q.onnx", calibration=data, tune_seconds=0.5)
    assert found.verdict == "pass"
    assert {layer.selected for layer in found.layers} <= {"timing", "exactness"}


def test_arrays_in_memory_and_folders_calibrate_too(net: Path, tmp_path: Path) -> None:
    model = onnx.load(net)
    found = quantize(model, tmp_path / "q.onnx", calibration={"x": pictures(16)}, tune=False)
    assert found
    lossy = replace(found, verdict="fail", reasons=("too lossy",))
    assert headline(lossy) == f"FAIL  {found.source}: too lossy"
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(4):
        np.save(folder / f"{number}.npy", pictures(4, number))
    assert quantize(net, tmp_path / "r.onnx", calibration=folder, tune=False).rows == (12, 4)


def test_what_cannot_be_quantized_is_refused(net: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "q.onnx"
    eight = quantized(net, tmp_path / "eight.onnx")
    refused: list[tuple[tuple[Any, ...], int, str]] = [
        ((eight, output, data), 2, "is already quantized"),
        ((data, output, data), 2, "not an ONNX file"),
        ((net, eight, data), 2, "exists"),
        ((net, output, data, "--quantizer-option", "weight_type=Q5"), 2, "expected one of"),
        ((net, output, data, "--quantizer-option", "quant_format=QDQ"), 2, "sets this one itself"),
        ((net, output, data, "--quantizer-option", "per_channel"), 2, "KEY=VALUE"),
        ((net, net, data, "--force"), 2, "is the model itself"),
        (
            (net, output, data, "--quantizer-option", "ActivationSymetric=true"),
            2,
            "has no such option: did you mean ActivationSymmetric?",
        ),
        ((net, output, data, "--metric", "nothing"), 2, "expected FILE.py:NAME"),
        ((net, output, data, "--max-drop", "1"), 2, "it needs --metric"),
        ((net, output, tmp_path / "gone.npz"), 3, "gone.npz cannot be read: no such file"),
    ]
    for arguments, code, words in refused:
        found = run(*arguments)
        assert (found.code, words in found.err) == (code, True), (arguments, found.err)
        assert found.err.count("\n") == 1 or code == 2
    assert not output.exists()
    relu = save_net(tmp_path / "relu.onnx", "{y} = Relu({x})")
    with pytest.raises(PReLUToolsError, match="no PReLU"):
        quantize(relu, output, calibration=data)


def test_a_model_of_nothing_but_prelu_is_quantized(data: Path, tmp_path: Path) -> None:
    slopes = np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)
    ends = (f"float[N,3,{SIZE},{SIZE}] {name}" for name in "xy")
    net = save(tmp_path / "net.onnx", "y = PRelu(x, s)", *ends, s=slopes)
    assert quantize(net, tmp_path / "q.onnx", calibration=data, tune=False).verdict == "pass"


def test_the_result_passes_verify_with_random_inputs_too(net: Path, int8: Path) -> None:
    assert verify(net, int8, samples=4, search_seconds=0.0).verdict == "pass"


def _turned(values: Array) -> Array:
    return values[::-1]


@pytest.mark.parametrize(
    ("slopes", "change"),
    [
        (None, _turned),
        (None, lambda values: values * np.float32(1.1)),
        (None, lambda values: values * 0),
        (np.linspace(0.5, 1.4, 6).reshape(6, 1, 1).astype(np.float32), _turned),
    ],
)
def test_wrong_slopes_in_integers_are_caught(
    net: Path,
    int8: Path,
    data: Path,
    tmp_path: Path,
    slopes: Array | None,
    change: Callable[[Array], Array],
) -> None:
    source, honest = net, int8
    if slopes is not None:
        source, honest = save_net(tmp_path / "net.onnx", s1=slopes), tmp_path / "q.onnx"
        quantize(source, honest, calibration=data, tune=False)
    wrong = changed(honest, tmp_path / "wrong.onnx", "s1_scale", change)
    found = verify(source, wrong, samples=4, search_seconds=0.0)
    assert found.verdict == "fail"
    assert [layer.verdict for layer in found.candidates[0].layers] == ["pass", "fail"]
