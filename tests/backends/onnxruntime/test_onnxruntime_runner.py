"""ONNX files and the sessions that run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tiny_models import save_dense, save_graph, save_prelu

from prelu_tools.backends.onnxruntime import from_file
from prelu_tools.backends.onnxruntime.running.session import (
    PROVIDERS,
    Session,
    _load_cuda,
    available_providers,
    check_provider,
    parse_provider,
)
from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption, SourceOptions


def _source(path: Path, *inputs: InputOption) -> OnnxSource:
    source = from_file(path, str(path), SourceOptions(inputs=inputs))
    assert isinstance(source, OnnxSource)
    return source


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_dense(tmp_path / "net.onnx")


# Sources


def test_a_file_says_what_it_is(net: Path) -> None:
    source = _source(net)
    assert (source.label, source.framework, source.opset) == (str(net), "onnx", 17)
    assert source.n_parameters == 4 * 3 + 3 + 3


def test_integers_are_no_parameters(tmp_path: Path) -> None:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    tensors = {"shape": np.array([-1, 2], np.int64), "w": np.ones((2, 3), np.float16)}
    path = save_graph(tmp_path / "net.onnx", [node], {"x": ("n", 2)}, {"y": ("n", 2)}, tensors)
    assert _source(path).n_parameters == 6


def test_inputs_have_names_types_and_free_dimensions(tmp_path: Path) -> None:
    node = helper.make_node("PRelu", ["x", "slope"], ["y"])
    dims = ("batch", 3, "height", 7)
    tensors = {"slope": np.ones(1, np.float32)}
    path = save_graph(tmp_path / "net.onnx", [node], {"x": dims}, {"y": dims}, tensors)
    (spec,) = _source(path).inputs()
    assert (spec.name, spec.dtype, spec.shape) == ("x", "float32", dims)
    assert (spec.example[0], spec.example[1], spec.example[3]) == (1, 3, 7)
    (spec,) = _source(path, InputOption("x", (4, 3, 9, 7))).inputs()
    assert (spec.shape, spec.example) == (dims, (4, 3, 9, 7))
    with pytest.raises(UsageError, match="2 dimensions; the model's input has 4"):
        _source(path, InputOption("x", (1, 3))).inputs()


def test_initializers_that_are_listed_as_inputs_are_none(tmp_path: Path) -> None:
    node = helper.make_node("PRelu", ["x", "slope"], ["y"])
    inputs = {"x": ("n", 2), "slope": (2,)}
    tensors = {"slope": np.ones(2, np.float32)}
    path = save_graph(tmp_path / "net.onnx", [node], inputs, {"y": ("n", 2)}, tensors)
    assert [spec.name for spec in _source(path).inputs()] == ["x"]


# Running


def test_outputs_come_by_name_in_the_order_of_the_model(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("PRelu", ["x", "slope"], ["z"]),
        helper.make_node("Neg", ["z"], ["a"]),
    ]
    dims = ("n", 2)
    tensors = {"slope": np.array([0.5, -2.0], np.float32)}
    path = save_graph(tmp_path / "net.onnx", nodes, {"x": dims}, {"z": dims, "a": dims}, tensors)
    with _source(path).runner() as runner:
        found = runner.run({"x": np.array([[-1, -1], [3, 4]], np.float32)})
    assert {name: array.tolist() for name, array in found.items()} == {
        "z": [[-0.5, 2.0], [3.0, 4.0]],
        "a": [[0.5, -2.0], [-3.0, -4.0]],
    }
    assert list(found) == ["z", "a"]


def test_inputs_that_are_refused_are_said_with_their_shapes(net: Path) -> None:
    runner = Session(net, "cpu", "the net")
    with pytest.raises(PReLUToolsError, match=r"the net fails on inputs \(x of shape 2x9\): "):
        runner.run({"x": np.zeros((2, 9), np.float32)})
    with pytest.raises(PReLUToolsError, match=r"the net fails on inputs \(other of shape 1x4\): "):
        runner.run({"other": np.zeros((1, 4), np.float32)})


def test_a_model_that_is_refused_is_said(tmp_path: Path) -> None:
    node = helper.make_node("NoSuchOperator", ["x"], ["y"])
    path = save_graph(tmp_path / "net.onnx", [node], {"x": ("n", 2)}, {"y": ("n", 2)}, {})
    with pytest.raises(PReLUToolsError, match=r"onnxruntime \S+ cannot load the net: .*NoSuch"):
        Session(path, "cpu", "the net")


def test_each_node_is_accounted_for(net: Path) -> None:
    report = Session(net, "cpu", "the net").report
    assert report.requested == "cpu"
    assert report.actual == ("CPUExecutionProvider",)
    assert report.nodes_elsewhere == ()


def test_threads_of_what_is_not_timed_do_not_wait_in_a_loop(net: Path) -> None:
    options = Session(net, "cpu", "net")._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("name", ["cuda", "tensorrt", "openvino"])
def test_a_provider_that_is_missing_comes_with_advice(net: Path, name: str) -> None:
    if PROVIDERS[name] in onnxruntime.get_available_providers():
        pytest.skip(f"this build of onnxruntime has {name}")
    with pytest.raises(PReLUToolsError, match=r"which has .*CPUExecutionProvider.*pip install"):
        Session(net, name, "the net")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpu", "; did you mean cuda?"),
        ("CUDA", "; did you mean cuda?"),
        ("openvno", "; did you mean openvino?"),
        ("CPUExecutionProvidr", "; did you mean CPUExecutionProvider?"),
        ("quantum", ""),
    ],
)
def test_a_provider_that_is_not_known_is_compared_with_those_that_are(
    name: str, meant: str
) -> None:
    with pytest.raises(PReLUToolsError) as caught:
        check_provider(name)
    assert str(caught.value).partition("Provider;")[2] == meant.removeprefix(";")


def test_a_full_name_is_a_name_too(net: Path) -> None:
    report = Session(net, "CPUExecutionProvider", "the net").report
    assert (report.requested, report.nodes_elsewhere) == ("CPUExecutionProvider", ())


def test_the_build_is_named() -> None:
    version, providers = available_providers()
    assert version == onnxruntime.__version__
    assert "CPUExecutionProvider" in providers


def test_half_precision_runs(tmp_path: Path) -> None:
    slopes = np.array([0.5, -2.0], np.float16)
    path = save_prelu(tmp_path / "net.onnx", slopes=slopes, dims=("n", 2))
    source = _source(path)
    assert source.inputs()[0].dtype == "float16"
    assert source.layers()[0].dtype == "float16"
    with source.runner() as runner:
        found = runner.run({"x": np.array([[-1, -1]], np.float16)})
    assert found["y"].tolist() == [[-0.5, 2.0]]
    assert helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT16) == found["y"].dtype


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("cuda", "cuda", {}),
        ("cuda:use_tf32=1", "cuda", {"use_tf32": "1"}),
        ("openvino:device_type=CPU,num_streams=2", "openvino",
         {"device_type": "CPU", "num_streams": "2"}),
    ],
)  # fmt: skip
def test_a_provider_may_have_options(text: str, name: str, options: dict[str, str]) -> None:
    assert parse_provider(text) == (name, options)


@pytest.mark.parametrize("text", ["cuda:", "cuda:use_tf32", "cuda:=1", "cuda:a=1,b="])
def test_options_that_are_none_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        parse_provider(text)


def test_the_cuda_that_pip_installed_is_loaded_before_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []

    def refuse(*_args: object, **options: Any) -> None:
        done.append(options["providers"][0][0])
        raise RuntimeError("no GPU")

    built = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda **given: done.append(given))
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    _load_cuda.cache_clear()
    for _ in range(2):
        with pytest.raises(PReLUToolsError, match="no GPU"):
            Session(save_prelu(tmp_path / "net.onnx"), "cuda", "net.onnx")
    assert done == [{"directory": ""}, *["CUDAExecutionProvider"] * 2]
