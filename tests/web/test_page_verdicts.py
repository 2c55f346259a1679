"""The page's verdict, in node: it is that of `verify`, or none, and never a pass in its place."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from page_nets import exchange, negate, one_channel, save_net, set_tensor, tensor_of
from running import ROOT
from tiny_models import save_graph

from prelu_tools.api import record, verify
from prelu_tools.backends.runtimes.onnxruntime_web import installed

pytestmark = pytest.mark.web
_SAME = {"pass": "pass", "fail": "fail", "inconclusive": "none"}


def judged(pairs: list[tuple[Path, Path]]) -> list[dict[str, Any]]:
    """What the page says of models, in one process."""
    found = installed("for these tests")
    done = subprocess.run(
        [found.node, ROOT / "tests/web/judge.mjs", ROOT / "docs/web", found.package],
        input=json.dumps([[str(path) for path in pair] for pair in pairs]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def _ulp(model: onnx.ModelProto) -> None:
    values = tensor_of(model, "act2.weight")
    set_tensor(model, "act2.weight", np.nextafter(values, np.float32(9)))


def _weight(model: onnx.ModelProto) -> None:
    one_channel(model, "w2", 0.5)


def _no_metadata(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        del node.metadata_props[:]


def _leaky(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.name == "act3")
    del node.input[1:]
    node.op_type = "LeakyRelu"


def _output_less(model: onnx.ModelProto) -> None:
    model.graph.output.pop()


def _output_more(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("d", onnx.TensorProto.FLOAT, None))


def _real_index(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Cast", ["best"], ["index"], to=1))
    model.graph.output[1].CopyFrom(helper.make_tensor_value_info("index", 1, None))


def _other_form(model: onnx.ModelProto) -> None:
    """The last PReLU as max(x, 0) + a min(x, 0)."""
    nodes = list(model.graph.node)
    place = next(i for i, node in enumerate(nodes) if node.name == "act3")
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    model.graph.initializer.append(zero)
    nodes[place : place + 1] = [
        helper.make_node("Max", ["d", "zero"], ["up"]),
        helper.make_node("Min", ["d", "zero"], ["down"]),
        helper.make_node("Mul", ["down", "act3.weight"], ["scaled"]),
        helper.make_node("Add", ["up", "scaled"], ["y"], name="act3"),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _other_form_and_wrong(model: onnx.ModelProto) -> None:
    _other_form(model)
    one_channel(model)


def _renamed(model: onnx.ModelProto) -> None:
    """Two layers have each other's names, and nothing else is changed."""
    first, last = (n for n in model.graph.node if n.name in ("act1", "act3"))
    for node, name in ((first, "act3"), (last, "act1")):
        node.metadata_props.add(key="prelu_tools.layer", value=name)


def _random(model: onnx.ModelProto) -> None:
    noise = helper.make_node("RandomNormalLike", ["d"], ["noise"], scale=1e-30)
    add = helper.make_node("Add", ["d", "noise"], ["e"])
    place = next(i for i, node in enumerate(model.graph.node) if node.name == "act3")
    model.graph.node[place].input[0] = "e"
    model.graph.node.insert(place, add)
    model.graph.node.insert(place, noise)


def _half(model: onnx.ModelProto) -> None:
    place = next(i for i, node in enumerate(model.graph.node) if node.name == "act3")
    model.graph.node[place].input[0] = "e"
    model.graph.node.insert(place, helper.make_node("Cast", ["half"], ["e"], to=1))
    model.graph.node.insert(place, helper.make_node("Cast", ["d"], ["half"], to=10))


def _computed_slopes(model: onnx.ModelProto) -> None:
    """The slopes of a layer pass through a node, which an optimizer would fold."""
    node = next(node for node in model.graph.node if node.name == "act3")
    node.input[1] = "same"
    model.graph.node.insert(0, helper.make_node("Neg", ["minus"], ["same"]))
    minus = numpy_helper.from_array(-tensor_of(model, "act3.weight"), "minus")
    model.graph.initializer.append(minus)


def _other_input(model: onnx.ModelProto) -> None:
    more = helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1])
    model.graph.input.append(more)


def _in_a_branch_and_wrong(model: onnx.ModelProto) -> None:
    one_channel(model)
    _in_a_branch(model)


def _quantized(model: onnx.ModelProto) -> None:
    """A map in 8 bits: that differs by more than float32 does, and is right for such a model."""
    tensors = {"step": np.float32(0.05), "middle": np.uint8(128)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values), name) for name, values in tensors.items()
    )
    node = next(node for node in model.graph.node if node.name == "act3")
    node.input[0] = "again"
    place = list(model.graph.node).index(node)
    pair = ["step", "middle"]
    model.graph.node.insert(place, helper.make_node("DequantizeLinear", ["q", *pair], ["again"]))
    model.graph.node.insert(place, helper.make_node("QuantizeLinear", ["d", *pair], ["q"]))


def _in_a_branch(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.name == "act3")
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    inner.output[0] = "inner"
    out = helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, None)
    branches = [helper.make_graph([inner], name, [], [out]) for name in ("yes", "no")]
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    branch = helper.make_node(
        "If", ["condition"], ["y"], then_branch=branches[0], else_branch=branches[1]
    )
    node.CopyFrom(branch)


_CASES: Mapping[str, tuple[str, Callable[[onnx.ModelProto], None]]] = {
    "right": ("pass", lambda model: None),
    "without its metadata": ("pass", _no_metadata),
    "exchanged": ("fail", exchange),
    "negated": ("fail", negate),
    "one slope": ("fail", one_channel),
    "one unit in the last place": ("fail", _ulp),
    "a weight": ("fail", _weight),
    "LeakyRelu": ("fail", _leaky),
    "an output less": ("fail", _output_less),
    "an output more": ("fail", _output_more),
    "an index that is not whole": ("fail", _real_index),
    "another form that is wrong": ("fail", _other_form_and_wrong),
    # What verify can tell, and the page cannot.
    "another form": ("none", _other_form),
    "layers of other names": ("none", _renamed),
    "float16": ("none", _half),
    "slopes that the graph computes": ("none", _computed_slopes),
    "in a branch": ("none", _in_a_branch),
    "in a branch, and wrong": ("none", _in_a_branch_and_wrong),
    "quantized": ("none", _quantized),
    "random": ("none", _random),
    "another input": ("none", _other_input),
}


def test_the_verdict_is_that_of_verify_or_none(tmp_path: Path) -> None:
    reference = tmp_path / "net.npz"
    record(save_net(tmp_path / "net.onnx"), reference, samples=4, search_seconds=0)
    paths = {}
    for name, (_, change) in _CASES.items():
        model = onnx.load(tmp_path / "net.onnx")
        change(model)
        paths[name] = tmp_path / f"{name}.onnx"
        onnx.save(model, paths[name])
    answers = judged([(reference, path) for path in paths.values()])
    for (name, (wanted, _)), answer in zip(_CASES.items(), answers, strict=True):
        assert answer["verdict"] == wanted, (name, answer)
        said = answer["reasons"] if wanted == "fail" else answer["doubts"]
        assert bool(said) == (wanted != "pass"), name
        found = verify(str(reference), str(paths[name]), power=False)
        assert wanted in ("none", _SAME[found.verdict]), (name, found.reasons)
    by_name = dict(zip(_CASES, answers, strict=True))
    assert "channels 0 and 1 swapped" in by_name["exchanged"]["reasons"][0]
    assert by_name["negated"]["reasons"][0].startswith("map (node map): slopes negated")
    first = [next(x["name"] for x in by_name[n]["layers"] if x["verdict"] == "fail")
             for n in ("exchanged", "negated", "one slope")]  # fmt: skip
    assert first == ["act1", "map", "act3"]


@pytest.mark.parametrize("size", [1, 3])
def test_a_model_of_a_fixed_batch_takes_the_rows_of_the_record(tmp_path: Path, size: int) -> None:
    reference = tmp_path / "net.npz"
    record(save_net(tmp_path / "net.onnx"), reference, samples=4, search_seconds=0)
    right = save_net(tmp_path / "fixed.onnx", size)
    model = onnx.load(right)
    one_channel(model)
    onnx.save(model, tmp_path / "wrong.onnx")
    answers = judged([(reference, right), (reference, tmp_path / "wrong.onnx")])
    assert [answer["verdict"] for answer in answers] == ["pass", "fail"], answers
    assert verify(str(reference), str(right), power=False).verdict == "pass"


def test_weights_in_another_file_are_read_from_it(tmp_path: Path) -> None:
    net = save_net(tmp_path / "net.onnx")
    record(net, tmp_path / "net.npz", samples=4, search_seconds=0)
    paths = []
    for name, change in (("right", lambda model: None), ("wrong", exchange)):
        model = onnx.load(net)
        change(model)
        path = tmp_path / f"{name}.onnx"
        onnx.save(
            model, path, save_as_external_data=True, location=f"{name}.data", size_threshold=0
        )
        paths.append(path)
    answers = judged([(tmp_path / "net.npz", path) for path in paths])
    assert [answer["verdict"] for answer in answers] == ["pass", "fail"], answers


def test_a_record_of_another_model_or_a_doubtful_one_gives_no_pass(tmp_path: Path) -> None:
    net = save_net(tmp_path / "net.onnx")
    prelu = helper.make_node("PRelu", ["x", "act.weight"], ["h"], name="act")
    still = helper.make_node("Sub", ["h", "h"], ["y"])
    tensors = {"act.weight": np.float32([0.25, -0.5, 1.5])}
    dims = ["batch", 3]
    flat = save_graph(tmp_path / "flat.onnx", [prelu, still], {"x": dims}, {"y": dims}, tensors)
    for path in (net, flat):
        record(path, path.with_suffix(".npz"), samples=4, search_seconds=0)
    answers = judged([
        (net.with_suffix(".npz"), flat), (flat.with_suffix(".npz"), flat),
        (tmp_path / "net.onnx", net),
    ])  # fmt: skip
    assert [answer["verdict"] for answer in answers] == ["none", "none", "none"], answers
    assert "but the reference's" in answers[0]["doubts"][0]
    assert "had the same value for all inputs" in answers[1]["doubts"][0]
    assert "is not an .npz file" in answers[2]["doubts"][0]


def test_an_output_that_the_file_says_was_transposed_is_compared_as_the_reference_has_it(
    tmp_path: Path,
) -> None:
    tensors = {"act.weight": np.float32([0.25, -0.5, 1.5]).reshape(3, 1, 1)}
    dims, paths = ["batch", 3, 4, 4], []
    prelu = helper.make_node("PRelu", ["x", "act.weight"], ["h"], name="act")
    for name, perm in (("same", [0, 1, 2, 3]), ("moved", [0, 2, 3, 1]), ("wrong", [0, 1, 3, 2])):
        last = helper.make_node("Transpose", ["h"], ["y"], perm=perm)
        path = tmp_path / f"{name}.onnx"
        save_graph(path, [prelu, last], {"x": dims}, {"y": [dims[i] for i in perm]}, tensors)
        if name == "same":
            continue
        for stated in (True, False):
            model = onnx.load(path)
            if stated:
                model.metadata_props.add(key="prelu_tools.output_axes", value='{"y": [0, 2, 3, 1]}')
            paths.append(tmp_path / f"{name}-{stated}.onnx")
            onnx.save(model, paths[-1])
    record(tmp_path / "same.onnx", tmp_path / "net.npz", samples=4, search_seconds=0)
    answers = judged([(tmp_path / "net.npz", path) for path in paths])
    assert [answer["verdict"] for answer in answers] == ["pass", "fail", "fail", "fail"], answers
    found = [verify(tmp_path / "net.npz", path, power=False).verdict for path in paths]
    assert found == ["pass", "fail", "fail", "fail"]
