"""What is rewritten for a runtime computes the same, keeps its names, and is read right there."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import model, run, whole

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.metadata import LAYER, describe_layer, properties, stated_axes
from prelu_tools.graph.match.layers import locate_layers, read_layers
from prelu_tools.graph.targets import fitting
from prelu_tools.graph.targets.fitting import fitted
from prelu_tools.graph.targets.slope_shapes import answer_of
from prelu_tools.graph.view import all_views

RUNTIMES = ("onnxruntime", "openvino", "ncnn", "mnn", "onnxruntime-web")


def _drawn(number: int) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A PRelu on two to four axes, its slopes along some of them, in one of the shapes."""
    chance = np.random.default_rng(number)
    rank = int(chance.integers(2, 5))
    shape = tuple(chance.integers(2, 6, rank))
    along = chance.random(rank) < 0.5
    full = [int(size) if is_along else 1 for size, is_along in zip(shape, along, strict=True)]
    full[0] = 1
    n_ones = int(next((axis for axis, size in enumerate(full) if size > 1), rank - 1))
    slopes = chance.normal(size=full[int(chance.integers(0, n_ones + 1)) :]).astype(np.float32)
    sizes = ",".join(map(str, shape))
    proto = model("[act] y = PRelu(x, s)", f"float[{sizes}] x", f"float[{sizes}] y", {"s": slopes})
    return proto, chance.normal(size=shape).astype(np.float32), slopes


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_random_ones_stay_bit_for_bit_what_they_were(runtime: str) -> None:
    ways = set()
    for number in range(60):
        proto, x, slopes = _drawn(number)
        copy, done = fitted(whole(proto), runtime, runtime)
        ways.update(one.plan.way for one in done if one.plan is not None)
        expected = np.where(x < 0, slopes * x, x)
        assert np.array_equal(run(copy.proto, x=x)[0], expected), (number, done)
        onnx.checker.check_model(copy.proto)
        for located in locate_layers(all_views(copy)):
            (view, match) = located.calls[0]
            shape = view.shape(match.x)
            assert shape is not None
            if match.form == "prelu":
                assert answer_of(runtime, shape, match.slopes.shape) == "right", number
        assert fitted(copy, runtime, runtime)[1] == ()
    assert ways == {"ncnn": {"prelu", "transpose", "relu"}, "mnn": {"prelu"}}.get(
        runtime, ways - {"transpose", "relu"}
    )


def _last_axis() -> onnx.ModelProto:
    proto = model(
        "[act] y = PRelu(x, s)", "float[N,7,3] x", "float[N,7,3] y",
        {"s": np.array([[0.25, -0.5, 0.125]], np.float32)},
    )  # fmt: skip
    describe_layer(proto.graph.node[0], "net.act", "net.act.weight", (0, 2, 1), "channel-wise")
    return proto


def test_a_layer_between_transposes_is_the_same_layer() -> None:
    copy, done = fitted(whole(_last_axis()), "ncnn", "ncnn")
    (layer,) = read_layers(copy)
    assert (layer.name, layer.parameter, layer.stored_shape) == (
        "net.act",
        "net.act.weight",
        (3, 1),
    )
    assert [node.op_type for node in copy.proto.graph.node] == ["Transpose", "PRelu", "Transpose"]
    node = copy.proto.graph.node[1]
    assert (node.name, properties(node)[LAYER]) == ("act", "net.act")
    assert stated_axes(node) == (0, 1, 2)  # moved there and back: as its source has them
    assert [tensor.name for tensor in copy.proto.graph.initializer] == ["s"]
    assert [(one.layer, one.before) for one in done] == [("net.act", (1, 3))]


def test_the_original_stays_as_it_is() -> None:
    proto = _last_axis()
    before = proto.SerializeToString()
    fitted(whole(proto), "ncnn", "ncnn")
    assert proto.SerializeToString() == before


def test_slopes_that_two_calls_share_may_be_laid_in_two_ways() -> None:
    proto = model(
        "t = PRelu(x, s) u = Transpose<perm = [0, 2, 1]>(t) v = PRelu(u, r) y = Add(u, v)",
        "float[N,3,3] x", "float[N,3,3] y",
        {"s": np.array([[0.25, -0.5, 0.125]], np.float32), "r": np.float32([[[1], [2], [3]]])},
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)
    copy, _ = fitted(whole(proto), "ncnn", "ncnn")
    assert np.array_equal(run(copy.proto, x=x)[0], run(proto, x=x)[0])
    shared = model(
        "t = PRelu(x, s) u = Unsqueeze(t, one) v = PRelu(u, s) y = Squeeze(v, one)",
        "float[N,7,3] x", "float[N,7,3] y",
        {"s": np.array([[0.25, -0.5, 0.125]], np.float32), "one": np.array([1])},
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    copy, done = fitted(whole(shared), "ncnn", "ncnn")
    assert [one.plan and one.plan.slope for one in done] == [(3, 1), (3, 1, 1)]
    assert np.array_equal(run(copy.proto, x=x)[0], run(shared, x=x)[0])
    assert len({t.name for t in copy.proto.graph.initializer}) == len(copy.proto.graph.initializer)


def test_calls_in_bodies_are_rewritten_too() -> None:
    body = (
        "p = Cast<to = 9>(flag) "
        "t = If(p) <then_branch = yes () => (float[2,7,3] u) { u = PRelu(x, s) }, "
        "else_branch = no () => (float[2,7,3] w) { w = PRelu(x, r) }> y = PRelu(t, s)"
    )
    slopes = np.array([[0.25, -0.5, 0.125]], np.float32)
    proto = model(
        body, "float[2,7,3] x, float[1] flag", "float[2,7,3] y", {"s": slopes, "r": 2 * slopes}
    )
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    copy, done = fitted(whole(proto), "ncnn", "ncnn")
    assert [one.plan and one.plan.way for one in done] == ["transpose"] * 3
    for flag in (0, 1):
        given = {"x": x, "flag": np.array([flag], np.float32)}
        assert np.array_equal(run(copy.proto, **given)[0], run(proto, **given)[0])


def test_what_is_misread_in_every_way_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fitting, "plan_for", lambda *_: None)
    with pytest.raises(PReLUToolsError, match=r"NCNN misreads net\.act, slopes \[1, 3\]") as error:
        fitted(whole(_last_axis()), "ncnn", "NCNN")
    assert "on an input of [?, 7, 3]" in str(error.value)


def test_what_nobody_measured_is_told_and_left() -> None:
    proto = model("y = PRelu(x, s)", "float[1,2,1,2,1,3] x", "float[1,2,1,2,1,3] y",
                  {"s": np.array([0.25, -0.5, 0.125], np.float32)})  # fmt: skip
    copy, (one,) = fitted(whole(proto), "ncnn", "ncnn")
    assert (one.plan, one.is_refused) == (None, False)
    assert [node.op_type for node in copy.proto.graph.node] == ["PRelu"]


def test_what_a_runtime_hands_to_another_one_is_told() -> None:
    _, (one,) = fitted(whole(_last_axis()), "coreml", "coreml", may_refuse=True)
    assert (one.plan, one.is_refused) == (None, True)
    with pytest.raises(PReLUToolsError, match="misreads"):
        fitted(whole(_last_axis()), "coreml", "coreml")
