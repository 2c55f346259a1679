"""Odd files that no check foresaw once: each ends in a sentence, and none is called a defect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from running import cli

from fuzz.corpus import case

SLOPES = np.array([0.5, 0.25, 0.125], np.float32)


def _model(*nodes: onnx.NodeProto, slopes: np.ndarray = SLOPES) -> onnx.ModelProto:
    rank = max(2, slopes.ndim + 1)
    values = [helper.make_tensor_value_info(v, 1, ["n", *[3] * (rank - 1)]) for v in ("x", "y")]
    tensors = [numpy_helper.from_array(slopes, "a")]
    graph = helper.make_graph(list(nodes), "g", values[:1], values[1:], tensors)
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _prelu() -> onnx.NodeProto:
    return helper.make_node("PRelu", ["x", "a"], ["y"], name="act")


def _axes(text: str) -> onnx.ModelProto:
    node = _prelu()
    node.metadata_props.add(key="prelu_tools.axes", value=text)
    return _model(node)


def _length(digits: int) -> onnx.ModelProto:
    model = _model(_prelu())
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(TensorProto(name="a", dims=[3], data_type=1, data_location=1))
    for key, value in (("location", "net.onnx"), ("offset", "0"), ("length", "1" * digits)):
        tensor.external_data.add(key=key, value=value)
    return model


def _permuted(*orders: list[int]) -> onnx.ModelProto:
    names = ["x", *(f"t{i}" for i in range(len(orders)))]
    turns = [
        helper.make_node("Transpose", [names[i]], [names[i + 1]], perm=order)
        for i, order in enumerate(orders)
    ]
    return _model(*turns, helper.make_node("PRelu", [names[-1], "a"], ["y"]))


MODELS = {
    "seventy axes": lambda: _axes(",".join(map(str, range(70)))),
    "two thousand axes": lambda: _axes(",".join(map(str, range(2000)))),
    "a length of 5,000 digits": lambda: _length(5000),
    "an order that is none": lambda: _permuted([0, 0]),
    "orders that do not fit": lambda: _permuted([1, 0], [2, 0, 1]),
    "an order beyond the rank": lambda: _permuted([0, 3], [1, 0]),
    "infinite slopes": lambda: _model(_prelu(), slopes=np.array([np.inf, -np.inf, np.nan], "f")),
    "slopes near the limit": lambda: _model(
        _prelu(), slopes=np.array([3.4e38, -3.4e38, 0], np.float32)
    ),
    "double slopes near the limit": lambda: _model(
        _prelu(), slopes=np.array([1.7e308, -1.7e308, 0])
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["table", "json", "html", "csv", "markdown"])
def test_a_sentence(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(MODELS[name]().SerializeToString())
    found = cli("inspect", path, "--format", form)
    assert found.code in (0, 3), found.words
    assert "This is a bug" not in found.err


@pytest.mark.keras
def test_slopes_that_are_structures(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for kind in ([("a", "f4"), ("b", "float32")], "S4", "i4", "c8"):
        for declared in (None, "float32", "bfloat16"):
            path = tmp_path / "w.weights.h5"
            with h5py.File(path, "w") as file:
                made = file.create_dataset("layers/p_re_lu/vars/0", (3,), dtype=kind)
                if declared is not None:
                    made.attrs["dtype"] = declared
            found = cli("inspect", path)
            assert found.code in (0, 3), found.words
            assert "This is a bug" not in found.words


@pytest.mark.parametrize("number", [900001512, 900001836, 900003429, 900008019, 900016443])
def test_files_that_the_generator_found(number: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(case(number).data)
    for arguments in (["inspect", path], ["export", path, "-o", tmp_path / "made.onnx"]):
        found = cli(*arguments)
        assert found.code in (0, 3)
        assert "This is a bug" not in found.words


@pytest.mark.parametrize(
    "sizes", [[], [1], ["n"], [2, 1], ["n", 1], [1, 1, 2], [2, 1, 2], [2, 5, 4, 4]], ids=str
)
def test_slopes_that_fit_no_input(sizes: list[int | str], tmp_path: Path) -> None:
    """Three of them, on inputs that have no axis of three."""
    values = [helper.make_tensor_value_info(name, 1, sizes) for name in ("x", "y")]
    tensors = [numpy_helper.from_array(SLOPES, "a")]
    graph = helper.make_graph([_prelu()], "g", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    for arguments in (["inspect", path], ["export", path, "-o", tmp_path / "made.onnx"]):
        found = cli(*arguments)
        assert found.code in (0, 3), found.words
        assert "This is a bug" not in found.words
    assert not (tmp_path / "made.onnx").exists() or sizes in (["n"], [])
