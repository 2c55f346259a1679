"""What the observer of an ONNX file is told, whatever the form and however many runs it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from graph_text import FORMS, IMAGE, SLOPES, model, numbers
from observing import Told, coverage, observed
from tiny_models import save_convolution, save_dense, save_prelu, save_relu

from prelu_tools.backends.onnxruntime import from_file
from prelu_tools.backends.onnxruntime.running.tapped import taps_of
from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process import grouping

TO_LAST = "Transpose<perm = [0, 2, 3, 1]>"


def _save(proto: onnx.ModelProto, path: Path) -> OnnxSource:
    onnx.save(proto, path)
    return _open(path)


def _open(path: Path) -> OnnxSource:
    source = from_file(path, str(path), SourceOptions())
    assert isinstance(source, OnnxSource)
    return source


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_with_its_input_and_its_output(form: str, tmp_path: Path) -> None:
    source = _save(model(FORMS[form]), tmp_path / "net.onnx")
    x = numbers(2, 3, 4, 5)
    told = observed(source, {"x": x})
    ((_, number, found_x, found_y),) = told.calls
    assert (source.layers()[0].form, number) == (form, 0)
    assert np.array_equal(found_x, x)
    assert np.array_equal(found_y, np.where(x > 0, x, x * SLOPES.reshape(3, 1, 1)))
    told.check(source.layers())


def test_a_transpose_that_a_form_hides_is_undone(tmp_path: Path) -> None:
    body = (
        f"p = Relu(x) t = {TO_LAST}(p) q = Min(x, zero) u = {TO_LAST}(q) s = Mul(u, e) "
        "y = Add(t, s)"
    )
    elements = numbers(4, 5, 3, seed=3)  # a slope for each position, channels last
    proto = model(body, outputs="float[N,4,5,3] y", constants={"e": elements})
    source = _save(proto, tmp_path / "net.onnx")
    (tap,) = taps_of(source.located)
    assert tap.order == (0, 2, 3, 1)
    x = numbers(2, 3, 4, 5)
    told = observed(source, {"x": x})
    ((_, _, found_x, found_y),) = told.calls
    assert np.array_equal(found_x, x)
    assert np.array_equal(found_y, np.where(x > 0, x, x * elements.transpose(2, 0, 1)))
    told.check(source.layers())


def test_an_order_that_is_not_its_own_inverse_is_undone(tmp_path: Path) -> None:
    """On sizes that are all equal a wrong order would go unnoticed by its shape."""
    cube = numbers(3, 3, 3, seed=3)
    body = (
        f"p = Relu(x) t = {TO_LAST}(p) q = Min(x, zero) u = {TO_LAST}(q) s = Mul(u, e) "
        "y = Add(t, s)"
    )
    kind = "float[N,3,3,3]"
    proto = model(body, inputs=f"{kind} x", outputs=f"{kind} y", constants={"e": cube})
    source = _save(proto, tmp_path / "net.onnx")
    observed(source, {"x": numbers(2, 3, 3, 3)}).check(source.layers())


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_layer_is_told_in_the_axis_order_of_the_graph(layout: str, tmp_path: Path) -> None:
    source = _open(save_convolution(tmp_path / "net.onnx", layout, size=4))
    feeds = {"x": numbers(2, 3, 4, 4) if layout == "nchw" else numbers(2, 4, 4, 3)}
    told = observed(source, feeds)
    assert [x.shape for _, _, x, _ in told.calls] == [(2, 3, 4, 4)]
    told.check(source.layers())


TWICE = "t = PRelu(x, a) u = Sub(t, one) v = Neg(u) y = PRelu(v, a)"


def test_a_layer_used_twice_is_told_twice_and_numbers_begin_anew(tmp_path: Path) -> None:
    source = _save(model(TWICE), tmp_path / "net.onnx")
    told = Told()
    x = numbers(2, 3, 4, 5)
    with source.runner(told) as runner:
        first = runner.run({"x": x})["y"]
        runner.run({"x": x[:1]})
    assert told.numbers == [("a", 0), ("a", 1)] * 2
    assert [len(x) for _, _, x, _ in told.calls] == [2, 2, 1, 1]
    assert np.array_equal(told.calls[1][2], 1 - told.calls[0][3])
    assert np.array_equal(told.calls[1][3], first)
    told.check(source.layers())


def test_what_is_asked_for_at_once_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "t = PRelu(x, a) u = PRelu(t, a_half) v = Neg(u) y = PRelu(v, a_rest)"
    source = _save(model(body), tmp_path / "net.onnx")
    feeds = {"x": numbers(2, 3, 4, 5)}
    size = 2 * 4 * 2 * 3 * 4 * 5
    whole = observed(source, feeds)
    for budget, groups in ((1, [1, 1, 1]), (2 * size, [2, 1]), (3 * size, [3])):
        found: list[int] = []

        def few(items: list[object], sizes: list[int], budget: int = budget,
                found: list[int] = found) -> list[list[object]]:  # fmt: skip
            assert sizes == [size] * 3
            made = list(grouping.grouped(items, sizes, budget))
            found += [len(group) for group in made]
            return made

        monkeypatch.setattr("prelu_tools.backends.onnxruntime.running.tapped.grouped", few)
        told = observed(source, feeds)
        assert found == groups
        assert told.numbers == whole.numbers == [("a", 0), ("a_half", 0), ("a_rest", 0)]
        for left, right in zip(told.calls, whole.calls, strict=True):
            assert left[2].tobytes() == right[2].tobytes()
            assert left[3].tobytes() == right[3].tobytes()


def test_observing_changes_no_output(tmp_path: Path) -> None:
    source = _save(model(TWICE), tmp_path / "net.onnx")
    feeds = {"x": numbers(2, 3, 4, 5)}
    with source.runner() as plain, source.runner(Told()) as watched:
        left, right = plain.run(feeds), watched.run(feeds)
    assert list(left) == list(right) == ["y"]
    assert left["y"].tobytes() == right["y"].tobytes()


def test_weights_outside_of_the_file_are_found(tmp_path: Path) -> None:
    slopes = np.linspace(-1, 1, 5000, dtype=np.float32)
    path = save_prelu(tmp_path / "inner.onnx", slopes=slopes, dims=("n", 5000))
    outer = tmp_path / "outer.onnx"
    onnx.save(onnx.load(path), outer, save_as_external_data=True, location="w.bin",
              size_threshold=0)  # fmt: skip
    path.unlink()
    source = _open(outer)
    told = observed(source, {"x": numbers(2, 5000)})
    assert told.numbers == [("act", 0)]
    told.check(source.layers())


def test_layers_in_functions_are_told(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 18, "own": 1]>
        graph ({IMAGE} x) => ({IMAGE} y) <float[3,1,1] a = {{0.25, -0.5, 0.125}}>
        {{ t = own.act(x, a) y = own.act(t, a) }}
        <opset_import: ["": 18], domain: "own"> act (v, s) => (w) {{ w = PRelu(v, s) }}"""
    )
    source = _save(proto, tmp_path / "net.onnx")
    told = observed(source, {"x": numbers(2, 3, 4, 5)})
    assert told.numbers == [("a", 0), ("a", 1)]
    told.check(source.layers())


@pytest.mark.parametrize(("is_taken", "unreached"), [(True, (1,)), (False, (0, 1, 2))])
def test_a_branch_is_looked_into_where_it_runs(
    is_taken: bool, unreached: tuple[int, ...], tmp_path: Path
) -> None:
    body = (
        f"t = PRelu(x, a) y = If (c) <then_branch = yes () => ({IMAGE} u) {{ u = PRelu(t, a_half) "
        f"}}, else_branch = no () => ({IMAGE} w) {{ w = Identity(t) }}>"
    )
    source = _save(model(body, inputs=f"{IMAGE} x, bool c"), tmp_path / "net.onnx")
    assert len(source.layers()) == 2
    feeds = {"x": numbers(2, 3, 4, 5), "c": np.array(is_taken)}
    told = observed(source, feeds)
    assert told.numbers == [("a", 0), *([("a_half", 0)] if is_taken else [])]
    assert coverage(source, feeds).unreached() == tuple(f"a_half[{i}]" for i in unreached)


def test_calls_of_a_layer_in_a_loop_are_numbered_as_they_are_made(tmp_path: Path) -> None:
    """One call outside, two in each of three turns."""
    body = (
        f"s = PRelu(x, a) y = Loop (three, , s) <body = turn (int64 i, bool c, {IMAGE} k) => "
        f"(bool d, {IMAGE} r) {{ d = Identity(yes) n = Neg(k) p = PRelu(n, a) m = Mul(p, two) "
        "r = PRelu(m, a) }>"
    )
    constants = {"three": np.array(3, np.int64), "yes": np.array(True), "two": np.float32(2)}
    source = _save(model(body, constants=constants), tmp_path / "net.onnx")
    x = numbers(2, 3, 4, 5)
    told = observed(source, {"x": x})
    assert told.numbers == [("a", number) for number in range(7)]
    told.check(source.layers())
    slopes = SLOPES.reshape(3, 1, 1)
    value = np.where(x > 0, x, x * slopes)
    for turn in range(3):
        for call, given in ((1, lambda v: -v), (2, lambda v: v * np.float32(2))):
            _, _, found_x, found_y = told.calls[2 * turn + call]
            assert np.array_equal(found_x, given(value))
            value = np.where(found_x > 0, found_x, found_x * slopes)
            assert np.array_equal(found_y, value)


def test_a_model_without_prelu_tells_nothing(tmp_path: Path) -> None:
    source = _open(save_relu(tmp_path / "net.onnx"))
    assert observed(source, {"x": numbers(2, 3)}).numbers == []
    with pytest.raises(PReLUToolsError, match="has no PReLU that can be observed"):
        source.tapped("cpu")


def test_half_precision_is_told_as_it_is(tmp_path: Path) -> None:
    slopes = np.array([0.5, -2.0], np.float16)
    source = _open(save_prelu(tmp_path / "net.onnx", slopes=slopes, dims=("n", 2)))
    told = observed(source, {"x": np.array([[-1, -1]], np.float16)})
    assert told.calls[0][2].dtype == np.float16
    told.check(source.layers())


@pytest.mark.parametrize(("bias", "reached"), [(0.0, True), (1e6, False)])
def test_coverage_comes_from_what_is_told(bias: float, reached: bool, tmp_path: Path) -> None:
    source = _open(save_dense(tmp_path / "net.onnx", bias=bias))
    book = coverage(source, {"x": numbers(16, 4)})
    assert book.reached("act").tolist() == [reached] * 3


# Float64 and the search


def test_there_is_no_float64(tmp_path: Path) -> None:
    with pytest.raises(PReLUToolsError, match="no float64 kernels"):
        _open(save_dense(tmp_path / "net.onnx")).wide_runner()


def test_the_search_draws_again_until_slopes_are_reached(tmp_path: Path) -> None:
    source = _open(save_dense(tmp_path / "net.onnx", bias=12.0))
    start = {"x": np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)}
    assert coverage(source, start).exercised == 0
    targets: dict[str, Array] = {"act": np.ones(3, np.bool_)}
    batches = list(source.seek(targets, start, SearchLimits(lambda *_: True, 0, {})))
    assert coverage(source, *batches).unreached() == ()
    limits = SearchLimits(lambda *_: True, 0, {"x": (-1.0, 1.0)})
    assert max(abs(feeds["x"]).max() for feeds in source.seek(targets, start, limits)) <= 1.0
    past = SearchLimits(lambda *_: False, 0, {})
    assert list(source.seek(targets, start, past)) == []
