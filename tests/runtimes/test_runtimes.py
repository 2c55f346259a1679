"""What runtimes make of ONNX files, by running them: right files pass, wrong slopes are named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from between_convolutions import save_between_convolutions
from onnx import helper
from running import cli
from tiny_models import save_graph

from prelu_tools.api import export, verify
from prelu_tools.backends.opening import open_source, run_by
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.result import VerifyResult

pytestmark = pytest.mark.runtimes
RUNTIMES = ("ncnn", "openvino", "mnn")


def _net(path: Path) -> Path:
    """Two convolutions and a dense layer, each with a PReLU of its own kind of slope shape."""
    chance = np.random.default_rng(3)

    def normal(*shape: int) -> Any:
        return chance.normal(size=shape).astype(np.float32) / 2

    tensors = {
        "w1": normal(5, 3, 3, 3), "b1": normal(5), "first.weight": normal(5, 1, 1) * 2,
        "w2": normal(4, 5, 3, 3), "b2": normal(4), "second.weight": normal(1, 4, 1, 1) * 2,
        "w3": normal(4, 6), "b3": normal(6), "third.weight": normal(6) * 2,
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"]),
        helper.make_node("PRelu", ["c1", "first.weight"], ["p1"], name="first"),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"]),
        helper.make_node("PRelu", ["c2", "second.weight"], ["p2"], name="second"),
        helper.make_node("GlobalAveragePool", ["p2"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["d"]),
        helper.make_node("PRelu", ["d", "third.weight"], ["y"], name="third"),
    ]
    return save_graph(path, nodes, {"x": ["batch", 3, "H", "W"]}, {"y": ["batch", 6]}, tensors)


def _one(path: Path, shape: list[int | str], slope: tuple[int, ...]) -> Path:
    """One PRelu node with slopes that are all different."""
    slopes = np.random.default_rng(5).permutation(np.linspace(-1, 2, int(np.prod(slope))))
    node = helper.make_node("PRelu", ["x", "act.weight"], ["y"], name="act")
    tensors = {"act.weight": slopes.astype(np.float32).reshape(slope)}
    return save_graph(path, [node], {"x": shape}, {"y": shape}, tensors)


def _checked(path: Path, *runtimes: str, reference: Path | None = None) -> VerifyResult:
    return verify(
        str(reference or path), str(path), runtime=runtimes, search_seconds=0.0, samples=4
    )


def _by_runtime(result: VerifyResult) -> dict[str, CandidateReport]:
    return {r.provider.requested: r for r in result.candidates if r.provider is not None}


def test_a_right_file_passes_on_every_runtime_with_every_layer_looked_at(tmp_path: Path) -> None:
    result = _checked(_net(tmp_path / "net.onnx"), *RUNTIMES)
    assert result.verdict == "pass", result.reasons
    reports = _by_runtime(result)
    assert list(reports) == ["cpu", *RUNTIMES]
    for report in reports.values():
        assert [layer.name for layer in report.layers] == ["first", "second", "third"]
        assert all(x.slopes_equal and x.max_ulp_diff is not None for x in report.layers)
    assert [agreement.verdict for agreement in result.agreements] == ["pass"] * len(RUNTIMES)


@pytest.mark.parametrize(("runtime", "shape", "slope", "what"), [
    ("ncnn", ["batch", 4, 6], (1, 6), "NTC with [1,C]"),
    ("ncnn", ["batch", 4, 6], (1, 1, 6), "NTC with [1,1,C]"),
    ("ncnn", ["batch", 4, 5, 6], (4, 5, 6), "element-wise: Keras' default"),
    ("openvino", ["batch", 4, 5, 4], (4,), "[C] where C = W: openvino#35958"),
    ("mnn", ["batch", 4, 6], (1, 6), "NTC with [1,C]"),
    ("mnn", ["batch", 4, 5, 6], (1, 5, 1), "NCHW with [1,H,1]"),
])  # fmt: skip
def test_a_shape_that_a_runtime_misreads_fails_there_and_nowhere_else(
    tmp_path: Path, runtime: str, shape: list[int | str], slope: tuple[int, ...], what: str
) -> None:
    result = _checked(_one(tmp_path / "net.onnx", shape, slope), runtime)
    reports = _by_runtime(result)
    assert reports["cpu"].verdict == "pass"
    assert reports[runtime].verdict == "fail", what
    assert result.verdict == "fail"


def test_a_bundle_of_what_a_runtime_misreads_shows_how_to_run_it_again(tmp_path: Path) -> None:
    path = _one(tmp_path / "net.onnx", ["batch", 4, 6], (1, 6))
    bundle = tmp_path / "bundle"
    options = ("--runtime", "ncnn", "--samples", "4", "--bundle", bundle)
    assert cli("verify", path, path, *options).code == 1
    command = (bundle / "command.txt").read_text(encoding="utf-8")
    assert command.rstrip().endswith("--runtime ncnn")
    assert not (bundle / "layer.onnx").exists()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_shape_that_is_right_in_most_passes(tmp_path: Path, runtime: str) -> None:
    path = _one(tmp_path / "net.onnx", ["batch", 4, 5, 6], (1, 4, 1, 1))
    assert _checked(path, runtime).verdict == "pass"


def _files(runtime: str, path: Path, folder: Path) -> tuple[Path, Path]:
    """The model's file and that of its weights, if it has one, as the converter writes them."""
    graph = open_source(str(path), SourceOptions()).graph
    assert graph is not None
    source: Any = run_by(runtime, graph)
    made = Path(source.model.file)
    main = folder / f"net{made.suffix}"
    shutil.copy(made, main)
    if not made.with_suffix(".bin").exists():
        return main, main
    shutil.copy(made.with_suffix(".bin"), main.with_suffix(".bin"))
    return main, main.with_suffix(".bin")


def _exchange(weights: Path, slopes: Any) -> None:
    """Exchange the first two slopes of a layer where they are in the file."""
    data = weights.read_bytes()
    raw = slopes.reshape(-1).tobytes()
    assert data.count(raw) == 1
    weights.write_bytes(data.replace(raw, raw[4:8] + raw[:4] + raw[8:]))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_of_the_runtime_passes_and_exchanged_slopes_in_it_are_named(
    tmp_path: Path, runtime: str
) -> None:
    net = _net(tmp_path / "net.onnx")
    main, weights = _files(runtime, net, tmp_path)
    right = _checked(main, reference=net)
    assert right.verdict == "pass", right.reasons
    _exchange(weights, open_source(str(net), SourceOptions()).layers()[1].slopes)
    wrong = _checked(main, reference=net)
    assert wrong.verdict == "fail"
    failed = [x for x in wrong.candidates[0].layers if x.verdict == "fail"]
    assert [x.name for x in failed] == ["second"]
    assert "channels 0 and 1 swapped" in str(failed[0].difference)


def test_a_model_whose_sizes_pnnx_fixes_is_converted_for_each_size(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    tensors = {
        "w": chance.normal(size=(4, 3, 1, 1)).astype(np.float32),
        "act.weight": chance.normal(size=(4, 1, 1)).astype(np.float32),
        "first": np.array([0], np.int64), "rest": np.array([-1], np.int64),
        "start": np.array([2], np.int64), "end": np.array([3], np.int64),
        "four": np.array([4], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("PRelu", ["c", "act.weight"], ["p"], name="act"),
        helper.make_node("Shape", ["p"], ["shape"]),
        helper.make_node("Slice", ["shape", "start", "end"], ["height"]),
        helper.make_node("Slice", ["shape", "first", "first_end"], ["batch_size"]),
        helper.make_node("Concat", ["batch_size", "four", "height", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["p", "wanted"], ["y"]),
    ]
    tensors["first_end"] = np.array([1], np.int64)
    shapes: list[list[int | str]] = [["batch", 3, "H", "W"], ["batch", 4, "H", "W"]]
    path = save_graph(tmp_path / "net.onnx", nodes, {"x": shapes[0]}, {"y": shapes[1]}, tensors)
    result = _checked(path, "ncnn")
    assert result.verdict == "pass", result.reasons
    assert len(result.sizes.tried) > 1


def test_slopes_that_pnnx_keeps_as_text_are_found_by_their_values(tmp_path: Path) -> None:
    """One slope becomes the parameter of a ReLU, with seven digits."""
    chance = np.random.default_rng(1)
    tensors = {
        "w": chance.normal(size=(4, 3, 1, 1)).astype(np.float32),
        "act.weight": np.array([0.251384712], np.float32),
        "v": chance.normal(size=(2, 4, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("PRelu", ["c", "act.weight"], ["p"], name="act"),
        helper.make_node("Conv", ["p", "v"], ["y"]),
    ]
    shapes: list[list[int | str]] = [["batch", 3, 6, 6], ["batch", 2, 6, 6]]
    path = save_graph(tmp_path / "net.onnx", nodes, {"x": shapes[0]}, {"y": shapes[1]}, tensors)
    result = _checked(path, "ncnn")
    assert result.verdict == "pass", result.reasons
    (layer,) = _by_runtime(result)["ncnn"].layers
    assert layer.found == "values"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("shape", "slope"), [
    ([4, 6], (1, 6)), ([4, 6], (4, 6)), ([4, 4], (4, 4)), ([4, 5, 6], (1, 6)), ([5, 5, 5], (1, 5)),
    ([4, 5, 6], (4, 5, 6)), ([4, 5, 6], (4, 1, 6)), ([4, 5, 6], (1, 5, 6)), ([4, 5, 6], (5, 1)),
])  # fmt: skip
def test_what_export_writes_for_a_runtime_passes_there(
    tmp_path: Path, runtime: str, shape: list[int], slope: tuple[int, ...]
) -> None:
    source = save_between_convolutions(tmp_path / "net.onnx", shape, slope)
    result = export(str(source), tmp_path / "made.onnx", target=runtime, quick=True)  # type: ignore[arg-type]
    assert result.verification is not None
    assert list(_by_runtime(result.verification)) == ["cpu", runtime]
    assert result.verification.verdict == "pass"
    (layer,) = result.layers
    assert layer.slopes.size == int(np.prod(slope))


def test_a_layer_that_mnn_packs_is_run_alone_as_it_lies(tmp_path: Path) -> None:
    """With all sizes fixed, the converter keeps PReLU as an operator, which reads NC4HW4."""
    path = save_between_convolutions(tmp_path / "net.onnx", [6, 5, 4], (6, 1, 1), batch=1)
    result = _checked(path, "mnn")
    assert result.verdict == "pass", result.reasons
    assert _by_runtime(result)["mnn"].layers[0].found == "pattern"


@pytest.mark.parametrize(("shape", "is_said"), [([4, 6], True), ([4, 6, 5], False)])
def test_the_axes_that_mnn_adds_to_an_output_are_dropped_and_said(
    tmp_path: Path, shape: list[int], is_said: bool
) -> None:
    """It writes 1-D convolutions as 2-D ones."""
    path = save_between_convolutions(tmp_path / "net.onnx", shape, (4, *[1] * (len(shape) - 1)))
    result = _checked(path, "mnn")
    assert result.verdict == "pass", result.reasons
    assert ("axes_dropped" in map(code_of, result.notes)) == is_said


@pytest.mark.parametrize("runtime", ["openvino", "mnn"])  # pnnx takes no input without axes
def test_an_input_of_no_axes_is_fed_as_such(tmp_path: Path, runtime: str) -> None:
    nodes = [
        helper.make_node("PRelu", ["x", "act.weight"], ["p"], name="act"),
        helper.make_node("Mul", ["p", "k"], ["y"]),
        helper.make_node("Add", ["k", "k"], ["twice"]),
    ]
    inputs: dict[str, list[int | str]] = {"x": ["batch", 3], "k": []}
    outputs: dict[str, list[int | str]] = {"y": ["batch", 3], "twice": []}
    tensors = {"act.weight": np.float32([0.25, -0.5, 2])}
    path = save_graph(tmp_path / "net.onnx", nodes, inputs, outputs, tensors)
    assert _checked(path, runtime).verdict == "pass"


@pytest.mark.parametrize("layers", [True, False])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_one_slope_is_found_in_whatever_the_converter_made_of_it(
    tmp_path: Path, runtime: str, layers: bool
) -> None:
    """MNN and pnnx make a ReLU with a slope of it, which is the same with and without layers."""
    path = save_between_convolutions(tmp_path / "net.onnx", [4, 6, 5], (1,))
    result = verify(path, path, runtime=runtime, samples=4, search_seconds=0.0, layers=layers)
    assert result.verdict == "pass", result.reasons
    (layer,) = _by_runtime(result)[runtime].layers
    assert layer.n_by_value == 1
    other = save_between_convolutions(tmp_path / "other.onnx", [4, 6, 5], (1,), seed=62)
    wrong = verify(path, other, runtime=runtime, samples=4, search_seconds=0.0, layers=layers)
    assert _by_runtime(wrong)[runtime].verdict == "fail"


@pytest.mark.parametrize("order", [1, -1])
def test_an_mnn_file_with_an_axis_more_is_the_same_model(tmp_path: Path, order: int) -> None:
    """Its converter writes 1-D convolutions as 2-D ones."""
    net = save_between_convolutions(tmp_path / "net.onnx", [4, 6], (4, 1))
    main, weights = _files("mnn", net, tmp_path)
    pair = (str(net), str(main))[::order]
    result = verify(*pair, search_seconds=0.0, samples=4)
    assert result.verdict == "pass", result.reasons
    assert "axes_dropped" in map(code_of, result.notes)
    _exchange(weights, open_source(str(net), SourceOptions()).layers()[0].slopes)
    assert verify(*pair, search_seconds=0.0, samples=4).verdict == "fail"
