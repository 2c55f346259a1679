"""What is said of sizes that a model has from another one."""

from __future__ import annotations

from dataclasses import replace

from prelu_tools.backends.protocol.freeing import taken_from
from prelu_tools.core.options import InputOption, OtherInputs

X, Y = InputOption("x", ("batch", 3, 112, 112)), InputOption("y", (1,))


def test_the_inputs_of_another_model_are_named() -> None:
    other = OtherInputs("r.onnx", (X, Y))
    plain = taken_from(other)
    assert plain == (
        "the model's input sizes are not known: those of r.onnx are used (x:batch,3,112,112, y:1)"
    )
    assert plain.code == "sizes_taken"
    unlike = taken_from(replace(other, unlike=(OtherInputs("s.onnx", (X,)),), is_turned=True))
    assert unlike == (
        f"{plain[:-1]}; in the axis order of --layout), but s.onnx has x:batch,3,112,112: "
        "--input chooses"
    )
    assert unlike.code == "sizes_disagree"
