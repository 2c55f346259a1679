"""The inputs of a check: replayed from a file, and moved between layouts only without a doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from running import cli
from tiny_models import save_convolution, save_dense, save_graph, save_prelu


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_prelu(tmp_path / "net.onnx", slopes=(0.25, -0.5, 1.5))


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


# Replay


def test_exactly_the_rows_of_the_file_are_run(net: Path, tmp_path: Path) -> None:
    rows = _npz(tmp_path / "rows.npz", x=np.ones((7, 3), np.float32))
    found = cli("verify", net, net, "--inputs", rows, "--format", "json")
    assert found.code == 0
    assert found.json["samples"] == 7
    assert found.json["candidates"][0]["outputs"][0]["shape"] == [7, 3]


def test_nothing_is_drawn_beside_the_file(tmp_path: Path) -> None:
    left = save_dense(tmp_path / "left.onnx", bias=0.0)
    right = save_dense(tmp_path / "right.onnx", bias=0.5)
    zero = _npz(tmp_path / "zero.npz", x=np.zeros((2, 4), np.float32))
    found = cli("verify", left, right, "--inputs", zero, "--format", "json")
    assert found.code == 1
    assert found.json["candidates"][0]["outputs"][0]["max_abs_diff"] == 0.5  # the bias alone


def test_one_array_may_have_any_name_and_float_type(net: Path, tmp_path: Path) -> None:
    rows = _npz(tmp_path / "rows.npz", anything=np.ones((2, 3), np.float64))
    assert cli("verify", net, net, "--inputs", rows).code == 0


def test_several_inputs_are_found_by_name(tmp_path: Path) -> None:
    node = [
        helper.make_node("Sub", ["a", "b"], ["d"]),
        helper.make_node("PRelu", ["d", "act.weight"], ["y"], name="act"),
    ]
    dims = ("batch", 2)
    slopes = np.array([0.5, -2.0], np.float32)
    net = save_graph(tmp_path / "net.onnx", node, {"a": dims, "b": dims}, {"y": dims},
                     {"act.weight": slopes})  # fmt: skip
    ones = np.ones((1, 2), np.float32)
    both = _npz(tmp_path / "both.npz", b=ones, a=-ones)
    assert cli("verify", net, net, "--inputs", both).code == 0
    one = _npz(tmp_path / "one.npz", a=ones, c=ones)
    found = cli("verify", net, net, "--inputs", one)
    assert found.code == 2
    assert "expected a, b" in found.err


def test_nan_in_the_inputs_proves_nothing(net: Path, tmp_path: Path) -> None:
    rows = _npz(tmp_path / "rows.npz", x=np.array([[1, np.nan, -1]], np.float32))
    assert cli("verify", net, net, "--inputs", rows).code == 3


def test_no_rows_prove_nothing(net: Path, tmp_path: Path) -> None:
    rows = _npz(tmp_path / "rows.npz", x=np.zeros((0, 3), np.float32))
    assert cli("verify", net, net, "--inputs", rows).code == 3


def test_rows_that_the_model_does_not_take_are_no_verdict(net: Path, tmp_path: Path) -> None:
    rows = _npz(tmp_path / "rows.npz", x=np.zeros((2, 5), np.float32))
    found = cli("verify", net, net, "--inputs", rows)
    assert found.code == 3
    assert "x of shape 2x5" in found.err


def test_objects_are_not_unpickled(net: Path, tmp_path: Path) -> None:
    rows = _npz(tmp_path / "rows.npz", x=np.array([{}], dtype=object))
    found = cli("verify", net, net, "--inputs", rows)
    assert found.code == 3
    assert "'x' is an array of Python objects" in found.err


def _npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3), np.float32))


_BAD_FILES = {
    "missing": lambda path: None,
    "text": lambda path: path.write_text("x = 1\n"),
    "one array": _npy,
    "cut short": lambda path: path.write_bytes(b"PK\x03\x04garbage"),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("kind", _BAD_FILES)
def test_a_file_that_is_no_npz_is_said_in_one_sentence(
    kind: str, net: Path, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.npz"
    _BAD_FILES[kind](path)
    found = cli("verify", net, net, "--inputs", path)
    assert found.code == 3
    wrong = "no such file" if kind == "missing" else "an .npz file"
    assert f"{path} cannot be read" in found.err
    assert wrong in found.err


# Layouts


@pytest.mark.parametrize("left", ["nchw", "nhwc"])
@pytest.mark.parametrize("right", ["nchw", "nhwc"])
def test_shapes_tell_the_layout_where_they_can(left: str, right: str, tmp_path: Path) -> None:
    reference = save_convolution(tmp_path / "left.onnx", left, size=5)
    candidate = save_convolution(tmp_path / "right.onnx", right, size=5)
    found = cli("verify", reference, candidate, "--format", "json")
    assert found.code == 0, found.out
    assert found.json["candidates"][0]["outputs"][0]["max_abs_diff"] < 1e-6


def test_shapes_that_leave_a_doubt_are_tried_in_every_order(tmp_path: Path) -> None:
    left = save_convolution(tmp_path / "left.onnx", "nchw")
    right = save_convolution(tmp_path / "right.onnx", "nhwc")
    doubt = cli("verify", left, right)
    assert doubt.code == 0
    assert "its shapes do not determine its axis order; it matches with" in doubt.words
    for layouts in (
        ("--layout", "reference=nchw", "--layout", "candidate=nhwc"),
        ("--layout", f"{left}=nchw", "--layout", f"{right}=nhwc"),
    ):
        assert cli("verify", left, right, *layouts).code == 0
    same = ("--layout", "reference=nchw", "--layout", "candidate=nchw")
    assert cli("verify", left, right, *same).code == 1


def test_element_wise_slopes_are_moved_as_the_layouts_say(tmp_path: Path) -> None:
    slopes = np.random.default_rng(0).normal(size=(3, 3, 3)).astype(np.float32)
    dims = ("batch", 3, 3, 3)
    left = save_prelu(tmp_path / "left.onnx", slopes=slopes, dims=dims)
    right = save_prelu(tmp_path / "right.onnx", slopes=slopes.transpose(1, 2, 0), dims=dims)
    layouts = ("--layout", "reference=nchw", "--layout", "candidate=nhwc")
    assert cli("verify", left, right, *layouts).code == 0
    assert cli("verify", left, left, *layouts).code == 1
    assert cli("verify", left, right).code == 0


@pytest.mark.parametrize("size", [5, "h"])
def test_a_layout_that_does_not_fit_is_a_usage_error(tmp_path: Path, size: int | str) -> None:
    left = save_prelu(tmp_path / "left.onnx", dims=("batch", 3, size, size))
    found = cli("verify", left, left, "--layout", "reference=nchw", "--layout", "candidate=nhwc")
    assert (found.code, found.out) == (2, "")
    assert f"the reference's input 'x' of shape [batch, 3, {size}, {size}] becomes" in found.words
    assert "correct it, or leave it out" in found.words


@pytest.mark.parametrize("text", ["nchw", "=nchw", "reference=ncwh", "reference"])
def test_a_layout_that_is_none_is_a_usage_error(net: Path, text: str) -> None:
    found = cli("verify", net, net, "--layout", text)
    assert found.code == 2
    assert "NAME=nchw or NAME=nhwc" in " ".join(found.err.split())


# Sizes


def test_a_fixed_batch_is_kept(tmp_path: Path) -> None:
    free = save_prelu(tmp_path / "free.onnx", dims=("batch", 3))
    fixed = save_prelu(tmp_path / "fixed.onnx", dims=(4, 3))
    for reference, candidate in ((free, fixed), (fixed, free)):
        found = cli("verify", reference, candidate, "--samples", 6, "--format", "json")
        assert found.code == 0, found.out
        assert found.json["samples"] == 8
        assert found.json["candidates"][0]["outputs"][0]["shape"] == [4, 3]


def test_numbers_of_inputs_that_differ_are_no_verdict(net: Path, tmp_path: Path) -> None:
    node = [helper.make_node("PRelu", ["a", "b"], ["y"])]
    dims = {"a": ("batch", 3), "b": (3,)}
    other = save_graph(tmp_path / "other.onnx", node, dims, {"y": ("batch", 3)}, {})
    found = cli("verify", net, other)
    assert found.code == 3
    assert "2 inputs (a, b)" in found.words


def test_free_sizes_take_what_the_input_option_says(tmp_path: Path) -> None:
    slopes = np.array([0.5, -0.5], np.float32).reshape(2, 1, 1)
    net = save_prelu(tmp_path / "net.onnx", slopes=slopes, dims=("batch", 2, "h", "w"))
    found = cli("verify", net, net, "--input", "x:batch,2,9,11", "--format", "json")
    assert found.json["candidates"][0]["outputs"][0]["shape"] == [16, 2, 9, 11]
    wrong = cli("verify", net, net, "--input", "x:batch,2,9")
    assert wrong.code == 2
    assert "3 dimensions" in wrong.err


def test_inputs_keep_their_own_fixed_batches(tmp_path: Path) -> None:
    node = [
        helper.make_node("PRelu", ["x", "a"], ["h"]),
        helper.make_node("Add", ["h", "b"], ["y"]),
    ]
    net = save_graph(tmp_path / "net.onnx", node, {"x": (3, 4, 5), "b": (5,)}, {"y": (3, 4, 5)},
                     {"a": np.ones((1, 5), np.float32) / 4})  # fmt: skip
    assert cli("verify", net, net).code == 0
