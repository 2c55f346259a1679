"""What onnxruntime says is shown without its prefixes, source files and C++ functions."""

from __future__ import annotations

import pytest

from prelu_tools.backends.onnxruntime.running.messages import sentence

_CODE = "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:563"
_RUNNING = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{_RUNNING} PRelu node. Name:'act' Status Message: {_CODE} void onnxruntime::Broadcast"
         "Iterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting "
         "to broadcast an axis by a dimension other than 1. 24 by 40",
         "PRelu node 'act': Attempting to broadcast an axis by a dimension other than 1. 24 by 40"),
        (f"{_RUNNING} Reshape node. Name:'r' Status Message: {_CODE} onnxruntime::ReshapeHelper::"
         "ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) "
         "input_shape_size == size was false. The input tensor cannot be reshaped.",
         "Reshape node 'r': The input tensor cannot be reshaped."),
        (f"Exception: {_CODE} std::function<void(int)> a::{{anonymous}}::F<T>::operator()(int) "
         "const [with T = float; U = a::b<int>] x > 0 was false. Too few",
         "Exception: Too few"),
        (f"{_CODE} virtual void a::B::c() x > 0 was false.", "x > 0 was false."),
        ("D:\\a\\_work\\1\\s\\core\\x.cc:12 The size (3) is wrong", "The size (3) is wrong"),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid Feed Input Name: 'y'",
         "Invalid Feed Input Name: 'y'"),
        ("Load model from x.onnx failed:Node (a) Op (PRelu) [ShapeInferenceError] no",
         "Load model from x.onnx failed:Node (a) Op (PRelu) [ShapeInferenceError] no"),
        ("nets.h:563 is my name", "is my name"),
        ("", ""),
    ],
)  # fmt: skip
def test_its_own_places_are_left_out(text: str, said: str) -> None:
    assert sentence(RuntimeError(text)) == said


def test_a_long_text_takes_no_time() -> None:
    for part in ("(", "a::b ", "x.cc:1 ", "[with ", "a.h:1 a::b((", "x.h:1 " + "a" * 50 + " "):
        text = part * (40_000 // len(part))
        assert len(sentence(RuntimeError(text))) <= len(text)


def test_an_ir_version_that_is_too_new_comes_with_advice() -> None:
    said = sentence(RuntimeError("Unsupported model IR version: 99, max supported IR version: 10"))
    assert said.startswith("the file has IR version 99, and it supports only up to 10: prelu-tools")
