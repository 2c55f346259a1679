"""ncnn's files are read without ncnn: layers by what they compute, slopes bit for bit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from damaged import check_damaged, damaged_text
from running import cli
from runtime_files import SLOPES, save_ncnn, save_ncnn_net

from prelu_tools.backends.runtimes.ncnn.source import NcnnSource
from prelu_tools.commands.verify.layers.finding import find_stated
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import InputOption, SourceOptions


def _opened(path: Path, options: SourceOptions | None = None) -> NcnnSource:
    return NcnnSource(path, "net", options or SourceOptions())


def test_slopes_are_those_behind_the_weights_of_what_is_before(tmp_path: Path) -> None:
    (layer,) = _opened(save_ncnn_net(tmp_path / "net.param")).layers()
    assert (layer.name, layer.form, layer.nodes) == ("act", "prelu", ("out0",))
    assert layer.slopes.tobytes() == SLOPES.tobytes()
    assert layer.slopes.shape == (1, 3)
    assert layer.preceding_parameters == 15


def test_weights_in_float16_are_told_of(tmp_path: Path) -> None:
    source = _opened(save_ncnn_net(tmp_path / "net.param", half=True))
    assert source.computes_in == "float16"
    assert source.layers()[0].slopes.tobytes() == SLOPES.tobytes()


@pytest.mark.parametrize(("shape", "expected"), [
    ("0=5 1=4 2=3", (1, 3, 1, 1)), ("0=5 1=3", (1, 3, 1)), ("0=3", (1, 3)),
])  # fmt: skip
def test_slopes_lie_along_the_first_axis_of_a_blob(
    tmp_path: Path, shape: str, expected: tuple[int, ...]
) -> None:
    lines = [f"Input in0 0 1 in0 {shape}", "PReLU act 1 1 in0 out0 0=3"]
    (layer,) = _opened(save_ncnn(tmp_path / "net.param", lines, SLOPES.tobytes())).layers()
    assert layer.slopes.shape == expected
    assert layer.channel_axis == 1


def test_prelu_of_other_layers_is_found_by_what_it_computes(tmp_path: Path) -> None:
    lines = [
        "Input in0 0 1 in0 0=4 1=4 2=3",
        "Split s 1 3 in0 a b c",
        "ReLU r 1 1 a positive",
        "MemoryData m 0 1 slopes 0=1 1=1 2=3",
        "UnaryOp n 1 1 b negative 0=1",
        "ReLU r2 1 1 negative cut",
        "BinaryOp mul 2 1 cut slopes scaled 0=2",
        "BinaryOp sub 2 1 positive scaled y 0=1",
        "Noop end 1 1 c out1",
    ]
    (layer,) = _opened(save_ncnn(tmp_path / "net.param", lines, SLOPES.tobytes())).layers()
    assert layer.form == "relu_sub"
    assert np.array_equal(layer.slopes.reshape(-1), SLOPES)


def test_a_leaky_relu_is_no_layer(tmp_path: Path) -> None:
    lines = ["Input in0 0 1 in0 0=3", "ReLU r 1 1 in0 out0 0=0.1"]
    assert _opened(save_ncnn(tmp_path / "net.param", lines)).layers() == ()


@pytest.mark.parametrize(("text", "slope", "is_there"), [
    ("2.513847e-01", 0.251384712, True), ("2.513847e-01", 0.2513847, True),
    ("2.513847e-01", 0.2513848, False), ("2.513847e-01", -0.251384712, False),
    ("0.251384712", 0.251384712, True), ("0.251384712", 0.25138474, False),
    ("0.3", 0.3, True), ("0.3", 0.3000001, False), ("3.000000e-01", 0.3000001, False),
])  # fmt: skip
def test_a_slope_in_the_text_is_compared_in_the_digits_that_it_has(
    tmp_path: Path, text: str, slope: float, is_there: bool
) -> None:
    lines = ["Input in0 0 1 in0 0=3", f"ReLU r 1 1 in0 out0 0={text}"]
    source = _opened(save_ncnn(tmp_path / "net.param", lines))
    (layer,) = _opened(save_ncnn_net(tmp_path / "other.param")).layers()
    layer = replace(layer, slopes=np.full((1, 1), slope, np.float32))
    assert list(find_stated(source, [layer])) == (["act"] if is_there else [])


@pytest.mark.parametrize(("fused", "expected"), [
    ("9=1", ("Relu", 0.0)), ("9=2 -23310=1,2.500000e-01", ("LeakyRelu", 0.25)),
    ("9=2 10=0.25", ("LeakyRelu", 0.25)), ("9=4", ("Gemm", None)), ("9=0", ("Gemm", None)),
])  # fmt: skip
def test_a_relu_that_ncnnoptimize_put_into_a_layer_is_one(
    tmp_path: Path, fused: str, expected: tuple[str, float | None]
) -> None:
    lines = ["Input in0 0 1 in0 0=3", f"InnerProduct f 1 1 in0 out0 0=1 1=0 2=3 {fused}"]
    weights = bytes(4) + SLOPES.tobytes()
    maker = _opened(save_ncnn(tmp_path / "net.param", lines, weights)).makers()["out0"]
    assert (maker.operator, maker.slope) == expected


def test_sizes_that_no_file_has_are_asked_for(tmp_path: Path) -> None:
    lines = ["Input in0 0 1 in0", "PReLU act 1 1 in0 out0 0=3"]
    path = save_ncnn(tmp_path / "net.param", lines, SLOPES.tobytes())
    with pytest.raises(UsageError, match="--input in0:batch,3,112,112"):
        _opened(path).inputs()
    given = SourceOptions(inputs=(InputOption("in0", ("batch", 3, 8, 8)),))
    source = _opened(path, given)
    assert source.inputs()[0].example == (1, 3, 8, 8)
    assert source.layers()[0].slopes.shape == (1, 3, 1, 1)


@pytest.mark.parametrize(("line", "why"), [
    ("Convolution c 1 1 in0 1 0=3 1=3 6=27 8=2", "quantized to int8"),
    ("InnerProduct f 1 1 in0 1 0=3 1=1 2=1000000", "a layer needs"),
    ("PReLU act 1 1 in0 1 0=-3", "-3 weights"),
    ("PReLU act 1 1 in0 1 0=2", "but its layers need"),
    ("PReLU act 9 1 in0", "fewer blobs"),
    ("PReLU act 1 1 later out 0=3", "before it is produced"),
    ("PReLU act 1 1 in0 1 0=nan", "not a number"),
    ("PReLU", "expected a layer"),
    ("pnnx.Input pnnx_input_0 0 1 0 #0=(1,3,8,8)f32", "it is pnnx's own graph"),
    ("PReLU act 0 1 out 0=3", "lacks one of its 2 inputs"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, line: str, why: str) -> None:
    lines = ["Input in0 0 1 in0 0=3", line, "ReLU r 1 1 in0 later"]
    path = save_ncnn(tmp_path / "net.param", lines, SLOPES.tobytes())
    found = cli("inspect", path)
    assert found.code == 3, found.words
    assert why in found.words


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = save_ncnn_net(tmp_path / "net.param")
    damage = partial(damaged_text, letters="0123456789=-, \nabI")
    check_damaged(path, [path.read_bytes()], damage, lambda: len(_opened(path).layers()))


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = save_ncnn_net(tmp_path / "net.param")
    path.with_suffix(".bin").unlink()
    found = cli("inspect", path)
    assert found.code == 3
    assert "needs its weights next to it" in found.words


@pytest.mark.parametrize(("sizes", "words"), [
    ("-23300=1,18", "ncnn layer 'in0' has a list as parameter 0, not a number"),
    ("0=9223372036854775807", "ncnn layer 'in0' has 9223372036854775808 as parameter 0"),
])  # fmt: skip
def test_sizes_that_ncnn_cannot_hold_are_refused_in_words(
    tmp_path: Path, sizes: str, words: str
) -> None:
    lines = [f"Input in0 0 1 in0 {sizes}", "PReLU act 1 1 in0 out0 0=3"]
    path = save_ncnn(tmp_path / "net.param", lines, SLOPES.tobytes())
    found = cli("inspect", path)
    assert (found.code, found.words) == (3, f"Error: {words}")
