"""ONNX files on the real onnxruntime-web: right ones pass, wrong slopes fail and are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import cli
from tiny_models import save_dense, save_graph, save_prelu

from prelu_tools.api import record, verify
from prelu_tools.backends.opening import open_source, run_by
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.verification.candidate import CandidateReport

pytestmark = pytest.mark.web
_NAME = "onnxruntime-web"


def _net(path: Path, **changed: Any) -> Path:
    """Convolution, a dense layer, and three PReLU: a node, a form of others, one in a function."""
    chance = np.random.default_rng(3)

    def normal(*shape: int) -> Any:
        return chance.normal(size=shape).astype(np.float32) / 2

    tensors = {
        "w1": normal(5, 3, 3, 3), "b1": normal(5), "first.weight": normal(5, 1, 1) * 2,
        "w2": normal(4, 5, 3, 3), "b2": normal(4), "second.weight": normal(1, 4, 1, 1) * 2,
        "zero": np.zeros((), np.float32),
        "w3": normal(4, 6), "b3": normal(6), "third.weight": normal(6) * 2,
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"]),
        helper.make_node("PRelu", ["c1", "first.weight"], ["p1"], name="first"),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"]),
        helper.make_node("Max", ["c2", "zero"], ["up"]),
        helper.make_node("Min", ["c2", "zero"], ["down"]),
        helper.make_node("Mul", ["down", "second.weight"], ["scaled"]),
        helper.make_node("Add", ["up", "scaled"], ["p2"], name="second"),
        helper.make_node("GlobalAveragePool", ["p2"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["d"]),
        helper.make_node("PRelu", ["d", "third.weight"], ["y"], name="third"),
    ]
    tensors |= changed
    return save_graph(path, nodes, {"x": ["batch", 3, 7, 8]}, {"y": ["batch", 6]}, tensors)


def _report(reference: Path, path: Path, **options: Any) -> CandidateReport:
    """What verify says of a candidate on onnxruntime-web."""
    if reference.suffix != ".npz":
        options = {"search_seconds": 0.0, "samples": 4, **options}
    result = verify(str(reference), str(path), runtime=(_NAME,), power=False, **options)
    (report,) = (r for r in result.candidates if r.provider and r.provider.requested == _NAME)
    return report


def _source(path: Path) -> Any:
    graph = open_source(str(path), SourceOptions()).graph
    assert graph is not None
    return run_by(_NAME, graph)


def test_a_right_file_passes_with_every_layer_looked_at(tmp_path: Path) -> None:
    net = _net(tmp_path / "net.onnx")
    report = _report(net, net)
    assert report.verdict == "pass", report.reasons
    assert report.provider is not None
    assert report.provider.is_runtime
    assert "wasm" in report.provider.actual[0]
    assert [layer.name for layer in report.layers] == ["first", "second", "third"]
    assert all(x.slopes_equal and x.max_ulp_diff is not None for x in report.layers)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of the net, which is a reference that costs nothing to run."""
    folder = tmp_path_factory.mktemp("recorded")
    path = folder / "net.npz"
    record(_net(folder / "net.onnx"), path, samples=4, search_seconds=0.0)
    return path


@pytest.mark.parametrize(("layer", "kind"), [
    ("first", "exchanged"), ("second", "negated"), ("second", "exchanged"), ("third", "one of them")
])  # fmt: skip
def test_wrong_slopes_fail_and_are_named(
    tmp_path: Path, recorded: Path, layer: str, kind: str
) -> None:
    net = recorded.with_suffix(".onnx")
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(net).graph.initializer}
    slopes = tensors[f"{layer}.weight"].copy()
    flat = slopes.reshape(-1)
    if kind == "exchanged":
        flat[:2] = flat[1::-1].copy()
    elif kind == "negated":
        flat *= -1
    else:
        flat[2] += 0.25
    wrong = _net(tmp_path / "wrong.onnx", **{f"{layer}.weight": slopes})
    report = _report(recorded, wrong)
    assert report.verdict == "fail"
    failed = [x.name for x in report.layers if x.verdict == "fail"]
    assert failed[0] == layer


def test_a_form_that_it_computes_wrongly_fails(tmp_path: Path, recorded: Path) -> None:
    """Equal slopes, another function: what is compared is what the runtime computes."""
    wrong = onnx.load(recorded.with_suffix(".onnx"))
    (node,) = (node for node in wrong.graph.node if node.name == "third")
    node.op_type = "Mul"
    onnx.save(wrong, tmp_path / "wrong.onnx")
    assert _report(recorded, tmp_path / "wrong.onnx").verdict == "fail"


def test_from_the_command_line_with_nothing_left_behind(tmp_path: Path) -> None:
    net = _net(tmp_path / "net.onnx")
    before = set(tmp_path.iterdir())
    found = cli("verify", net, net, "--runtime", _NAME, "--samples", "4", "--search-seconds", "0")
    assert found.code == 0
    assert "onnxruntime-web" in found.words
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("names", [
    ("__proto__", "constructor", "hasOwnProperty"),
    ("x y", "`touch p`", "$(touch p)"),
    ("\u2028", "\N{PILE OF POO}", "\\u0041"),
    ("toString", "__proto__", "valueOf"),
    ("0", "1", "length"),
])  # fmt: skip
def test_names_of_tensors_are_only_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    x, inside, y = names
    slopes = {"slope": np.array([0.25, -0.5, 1.5], np.float32)}
    nodes = [
        helper.make_node("PRelu", [x, "slope"], [inside], name="--eval"),
        helper.make_node("Exp", [inside], [y]),
    ]
    dims = ["batch", 3]
    path = save_graph(tmp_path / "net.onnx", nodes, {x: dims}, {y: dims}, slopes)
    report = _report(path, path)
    assert report.verdict == "pass", report.reasons
    assert report.layers[0].max_ulp_diff is not None


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_types_and_sizes(tmp_path: Path, dtype: str) -> None:
    path = save_prelu(tmp_path / "net.onnx", np.array([0.25, -0.5, 1.5], dtype))
    with _source(path).runner() as runner:
        for rows in (1, 3, 0):
            x = np.linspace(-2, 2, 3 * rows, dtype=dtype).reshape(rows, 3)
            found = runner.run({"x": x})["y"]
            assert found.dtype == x.dtype
            assert np.array_equal(found, np.where(x < 0, np.array([0.25, -0.5, 1.5], dtype) * x, x))


def test_weights_in_a_file_of_their_own_are_sent(tmp_path: Path) -> None:
    model = onnx.load(_net(tmp_path / "inline.onnx"))
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="net.data")
    report = _report(tmp_path / "inline.onnx", path)
    assert report.verdict == "pass", report.reasons


def test_a_layer_in_a_function_of_the_model_is_looked_at(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = [helper.make_node("PRelu", ["a", "s"], ["b"], name="act")]
    function = helper.make_function("own", "Act", ["a", "s"], ["b"], body, opsets[:1])
    node = helper.make_node("Act", ["x", "act.weight"], ["y"], domain="own", name="outer")
    slopes = numpy_helper.from_array(np.array([0.25, -0.5, 1.5], np.float32), "act.weight")
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", 3]) for n in "xy")
    graph = helper.make_graph([node], "net", [x], [y], [slopes])
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    report = _report(tmp_path / "net.onnx", tmp_path / "net.onnx")
    assert report.verdict == "pass", report.reasons
    assert report.layers[0].max_ulp_diff is not None


def test_what_it_does_not_load_is_no_verdict(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    model = onnx.load(net)
    node = model.graph.node[1]
    node.op_type, node.domain = "Unheard", "of"
    model.opset_import.append(helper.make_opsetid("of", 1))
    onnx.save(model, tmp_path / "odd.onnx")
    source = _source(tmp_path / "odd.onnx")
    with (
        pytest.raises(PReLUToolsError, match=r"onnxruntime-web \S+ cannot load .*Unheard"),
        source.runner(),
    ):
        pass


def test_a_model_that_needs_more_memory_than_there_is_ends_in_a_sentence(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("PRelu", ["x", "slope"], ["p"], name="act"),
        helper.make_node("Expand", ["p", "size"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["y"], keepdims=0),
    ]
    tensors = {"slope": np.array([0.5], np.float32), "size": np.array([1 << 31, 3], np.int64)}
    path = save_graph(tmp_path / "net.onnx", nodes, {"x": [1, 3]}, {"y": []}, tensors)
    source = _source(path)
    x = np.ones((1, 3), np.float32)
    with source.runner() as runner, pytest.raises(PReLUToolsError, match="onnxruntime-web"):
        runner.run({"x": x})
    with _source(save_prelu(tmp_path / "small.onnx")).runner() as runner:
        assert np.array_equal(runner.run({"x": x})["y"], x)
