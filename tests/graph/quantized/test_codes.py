"""How codes stand for numbers, and which steps the weights of a file have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graph_text import Array, whole
from onnx import helper, numpy_helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.quantized.codes import Codes
from prelu_tools.graph.quantized.steps import WeightSteps, demand_whole_codes, weight_steps


def _codes(scale: Any, zero: Any, kind: str = "uint8", axis: int = 1) -> Codes:
    return Codes(np.asarray(scale, np.float32), np.asarray(zero, kind), axis)


def test_codes_in_numbers() -> None:
    stored = np.array([[0, 100, 255], [7, 8, 9]], np.uint8)
    found = _codes(0.5, 100).reals(stored)
    assert found.dtype == np.float32
    assert found.tolist() == [[-50, 0, 77.5], [-46.5, -46, -45.5]]
    by_column = _codes([0.5, 1, 2], [100, 0, 1])
    assert by_column.reals(stored).tolist() == [[-50, 100, 508], [-46.5, 8, 16]]
    by_row = _codes([0.5, 1], [100, 0], axis=0)
    assert by_row.reals(stored).tolist() == [[-50, 0, 77.5], [7, 8, 9]]
    assert by_row.step == 1.0
    assert _codes(0.5, 100).step == 0.5
    assert Codes(np.float32(1), np.uint8(0)).axis == 1


@pytest.mark.parametrize(
    ("codes", "ends"),
    [
        (_codes(0.5, 100), (-50.0, 77.5)),
        (_codes(0.5, -100, "int8"), (-14.0, 113.5)),
        (_codes(0.5, 0, "uint16"), (0.0, 32767.5)),
        (_codes(0.5, 0, "int16"), (-16384.0, 16383.5)),
        (_codes(0.5, 0, "int32"), (-np.inf, np.inf)),
        (_codes([0.5, 2], [0, 255]), (-510.0, 127.5)),
    ],
)
def test_the_ends_of_their_range(codes: Codes, ends: tuple[float, float]) -> None:
    assert codes.ends == ends


def test_codes_of_one_kind_are_the_same() -> None:
    one = _codes(0.5, 100)
    assert one.same(_codes([0.5], [100]))
    assert one.same(_codes(0.5, 100, axis=3))
    assert not one.same(_codes(0.25, 100))
    assert not one.same(_codes(0.5, 99))
    several = _codes([0.5, 1], [0, 1])
    assert several.same(_codes([0.5, 1], [0, 1]))
    assert several.same(_codes([0.5, 1], [0, 1], axis=0)) is False
    assert not several.same(one)
    assert not one.same(several)


def _steps(codes: Array, scale: Any, kind: int | None = None, **attributes: int) -> WeightSteps:
    """Of one weight that DequantizeLinear makes."""
    tensor = numpy_helper.from_array(codes, "w_quantized")
    if kind is not None:
        tensor = helper.make_tensor("w_quantized", kind, codes.shape, codes.reshape(-1).tolist())
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["w_quantized", "s"], ["w"], **attributes)],
        "g", [], [helper.make_tensor_value_info("w", 1, None)],
        [tensor, numpy_helper.from_array(np.asarray(scale, np.float32), "s")],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    return weight_steps(whole(proto), ["w"])["w"]


def _int8(*rows: list[int]) -> Array:
    return np.array(rows, np.int8)


@pytest.mark.parametrize(
    ("codes", "scale", "attributes", "steps"),
    [
        pytest.param(_int8([1, -2, 100], [0, 0, 3]), 0.5, {}, [[0.5]], id="one for all"),
        pytest.param(_int8([1, -2, 100], [0, 0, 3]), [0.5], {}, [[0.5]], id="one, in a list"),
        pytest.param(_int8([1, -2, 100], [0, 0, 3]), [0.5, 2], {"axis": 0}, [[0.5], [2]],
                     id="rows"),
        pytest.param(_int8([1, -2, 100], [0, 3, 0]), [0.5, 2, 1], {}, [[0.5, 2, 1]], id="columns"),
        pytest.param(_int8([1, -2, 100], [0, 3, 0]), [0.5, 2, 1], {"axis": -1}, [[0.5, 2, 1]],
                     id="columns, from the end"),
        pytest.param(_int8([0, -2, 0], [0, 3, 0]), [4, 2, 1], {}, [[2, 2, 1]],
                     id="columns of zeros have the finest step that is used, or a finer one"),
        pytest.param(_int8([-1, 0], [-1, 0]), [4, 8], {}, [[4, 4]], id="negative ones are used"),
        pytest.param(_int8([0, 0], [0, 0]), [4, 2], {}, [[0, 0]], id="nothing but zeros"),
        pytest.param(_int8([1, -2, 100, 5], [3, 4, 5, 6]), [[0.5, 2], [1, 4]],
                     {"axis": 1, "block_size": 2}, [[0.5, 0.5, 2, 2], [1, 1, 4, 4]], id="blocks"),
        pytest.param(_int8([1, -2, 100], [3, 4, 5]), [[0.5, 2], [1, 4]],
                     {"axis": 1, "block_size": 2}, [[0.5, 0.5, 2], [1, 1, 4]],
                     id="blocks, the last one cut off"),
        pytest.param(_int8([1, -2, 100, 5, 7, 8]), [[0.5, 2, 1]], {"axis": 1, "block_size": 2},
                     [[0.5, 0.5, 2, 2, 1, 1]], id="three blocks"),
        pytest.param(_int8([1, -2, 100, 5]), [[0.5, 2]], {"axis": 1, "block_size": 2},
                     [[0.5, 0.5, 2, 2]], id="two blocks"),
        pytest.param(_int8([1, -2, 100]), [[0.5]], {"axis": 1, "block_size": 4}, [[0.5]],
                     id="one block"),
        pytest.param(np.array([1, -2, 100, 5], np.int8), [0.5, 2], {"axis": 0, "block_size": 2},
                     [0.5, 0.5, 2, 2], id="blocks of a vector"),
        pytest.param(_int8([1, -2], [3, 4], [5, 6]), [[0.5, 2], [1, 4]],
                     {"axis": 0, "block_size": 2}, [[0.5, 2], [0.5, 2], [1, 4]], id="blocks down"),
        pytest.param(_int8([0, 0, 0, -5], [3, 4, 0, 6]), [[0.5, 2], [1, 4]],
                     {"axis": 1, "block_size": 2}, [[0.5, 0.5, 2, 2], [1, 1, 4, 4]],
                     id="a block of zeros has a finer step already"),
        pytest.param(_int8([0, 0, 0, -5], [3, 4, 0, 6]), [[9, 2], [1, 4]],
                     {"axis": 1, "block_size": 2}, [[1, 1, 2, 2], [1, 1, 4, 4]],
                     id="a block of zeros has the finest one"),
    ],
)  # fmt: skip
def test_the_steps_of_a_weight(
    codes: Array, scale: Any, attributes: dict[str, int], steps: list[list[float]]
) -> None:
    found = _steps(codes, scale, **attributes)
    assert found.steps.tolist() == steps
    assert found.steps.dtype == np.float32
    laid = np.broadcast_to(np.asarray(scale, np.float32), codes.shape) if not attributes else None
    if laid is not None:
        assert np.array_equal(found.values, codes * laid)


@pytest.mark.parametrize(
    ("codes", "kind", "scale", "is_coarse"),
    [
        (_int8([31, 0]), None, 0.5, True),
        (_int8([32, 0]), None, 0.5, False),
        (_int8([32, 32]), None, 0.5, False),
        (_int8([-32, -32]), None, 0.5, False),
        (_int8([16, -16]), None, 0.5, False),
        (_int8([15, -16]), None, 0.5, True),
        (_int8([0, 0]), None, 0.5, False),
        (np.array([[8191, 0]], np.int16), None, 0.5, True),
        (np.array([[8192, 0]], np.int16), None, 0.5, False),
        (np.array([[1, 0]]), onnx.TensorProto.INT4, 0.5, True),
        (np.array([[2, 0]]), onnx.TensorProto.INT4, 0.5, False),
        (np.array([[1, 0]]), onnx.TensorProto.UINT4, 0.5, True),
        (np.array([[2, 0]]), onnx.TensorProto.UINT4, 0.5, False),
        (np.array([[31, 0]], np.uint8), None, 0.5, True),
        (np.array([[32, 0]], np.uint8), None, 0.5, False),
        (np.array([[8191, 0]], np.uint16), None, 0.5, True),
        (np.array([[8192, 0]], np.uint16), None, 0.5, False),
        (np.array([[1, 0]], np.int32), None, 0.5, False),
        (_int8([31, 31, 100, 100]), None, [1, 1, 1, 1], False),
        (_int8([31, 31, 31, 100]), None, [1, 1, 1, 1], True),
        (_int8([31, 31, 0, 100]), None, [1, 1, 1, 1], True),
        (_int8([31, 0, 0, 100]), None, [1, 1, 1, 1], False),
    ],
)
def test_scales_that_use_hardly_any_code_are_coarse(
    codes: Array, kind: int | None, scale: Any, is_coarse: bool
) -> None:
    assert _steps(codes, scale, kind).is_coarse is is_coarse


@pytest.mark.parametrize(
    ("scale", "attributes"),
    [([[1, 2, 3]], {"block_size": 2})],
)
def test_scales_that_do_not_fit_are_refused(scale: Any, attributes: dict[str, int]) -> None:
    with pytest.raises(PReLUToolsError, match=r"^the scales of the weight w do not fit it$"):
        _steps(_int8([1, 2, 3]), scale, **attributes)


def test_codes_with_a_point_are_refused() -> None:
    demand_whole_codes(0, "here")
    demand_whole_codes(onnx.TensorProto.INT8, "here")
    with pytest.raises(PReLUToolsError) as raised:
        demand_whole_codes(onnx.TensorProto.FLOAT8E5M2, "node 'q'")
    assert str(raised.value) == "node 'q' has codes of type float8e5m2: expected integers"


def test_a_weight_that_cannot_be_computed_is_passed_over() -> None:
    tensors = {"k": _int8([1, 2, 3]), "few": np.float32([1, 2]), "s": np.float32(0.5)}
    nodes = [helper.make_node("DequantizeLinear", ["k", "few"], ["bad"]),
             helper.make_node("DequantizeLinear", ["k", "s"], ["w"])]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [], [helper.make_tensor_value_info("w", 1, None)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in tensors.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    assert list(weight_steps(whole(proto), ["bad", "w"])) == ["w"]
