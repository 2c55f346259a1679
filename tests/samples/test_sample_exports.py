"""Every sample becomes an ONNX model with its own layers, and nothing of them is lost."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from running import cli
from sample_list import ALL, FOLDER, Sample, each_sample

Exports = Callable[[Sample], Path]

_ROW = re.compile(r"^\| `(.+?)` \|.*\| (\d+) \| (\d+) \| ([\d,]+) \|$")
_SPELLINGS_OF_PRELU = {"Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Cast"}
_SPELLINGS_OF_PRELU |= {"Neg", "Mul", "Sub", "Max", "Min", "Clip", "Abs", "LeakyRelu"}


def _prelus(path: Path) -> list[onnx.NodeProto]:
    return [node for node in onnx.load(path).graph.node if node.op_type == "PRelu"]


def test_the_readme_lists_exactly_these_samples() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [match.groups() for match in map(_ROW.match, lines) if match]
    listed = {row[0]: tuple(int(n.replace(",", "")) for n in row[1:]) for row in rows}
    counted = {s.label: (len(s.layers), s.calls, sum(s.layers.values())) for s in ALL}
    assert listed == counted


@each_sample()
def test_each_call_is_one_prelu_node_named_after_its_layer(
    sample: Sample, exports: Exports
) -> None:
    nodes = _prelus(exports(sample))
    expected = list(sample.layers) if sample.calls == len(sample.layers) else ["act", "act_1"]
    assert [node.name for node in nodes] == expected


@each_sample()
def test_no_other_form_is_left(sample: Sample, exports: Exports) -> None:
    operators = Counter(node.op_type for node in onnx.load(exports(sample)).graph.node)
    assert not set(operators) & _SPELLINGS_OF_PRELU
    assert operators["Relu"] == (3 if "relu" in sample.label else 0)


@each_sample()
def test_each_parameter_has_an_initializer_of_its_own(sample: Sample, exports: Exports) -> None:
    model = onnx.load(exports(sample))
    sizes = {t.name: int(np.prod(t.dims)) for t in model.graph.initializer}
    used = [node.input[1] for node in _prelus(exports(sample))]
    assert list(dict.fromkeys(used)) == list(sample.parameter_names.values())
    assert {name: sizes[name] for name in used} == {
        sample.parameter_names[layer]: count for layer, count in sample.layers.items()
    }


@each_sample(lambda one: bool(one.layers))
def test_slopes_have_the_fewest_axes_that_no_runtime_misreads(
    sample: Sample, exports: Exports
) -> None:
    model = onnx.load(exports(sample))
    typed = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in [*typed.value_info, *typed.output]}
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    for node in _prelus(exports(sample)):
        rank, shape = ranks[node.output[0]], shapes[node.input[1]]
        if np.prod(shape) == 1:
            assert shape == (1,)
        elif rank == 2:
            assert len(shape) == 1
        else:
            assert len(shape) == 3  # [C, 1, 1] or [C, H, W] on [N, C, H, W]
            assert shape[1:] == (1, 1) or shape in ((32, 28, 28), (64, 14, 14))


@each_sample(lambda one: bool(one.layers))
def test_no_transpose_stands_beside_a_prelu(sample: Sample, exports: Exports) -> None:
    graph = onnx.load(exports(sample)).graph
    maker = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for node in _prelus(exports(sample)):
        before = maker.get(node.input[0])
        assert before is None or before.op_type != "Transpose"
        for behind in users.get(node.output[0], []):
            if behind.op_type == "Transpose":  # the order in which the source flattens
                assert [user.op_type for user in users[behind.output[0]]] == ["Reshape"]


@each_sample()
def test_the_export_passed_its_check(sample: Sample, exports: Exports) -> None:
    found = json.loads(Path(f"{exports(sample)}.json").read_text())["verification"]
    assert found["verdict"] == "pass"
    (candidate,) = found["candidates"]
    assert [layer["name"] for layer in candidate["layers"]] == list(sample.layers)
    assert all(layer["slopes_equal"] for layer in candidate["layers"])
    assert len(candidate["outputs"]) == sample.outputs
    assert candidate["provider"]["actual"] == ["CPUExecutionProvider"]
    assert found["coverage"]["total"] == sum(sample.layers.values())


@each_sample(lambda one: one.label in ("keras_where.py:article_net", "torch_layers.py:Mlp"))
def test_the_file_passes_verify(sample: Sample, exports: Exports) -> None:
    found = cli("verify", sample.source, exports(sample), "--format", "json")
    assert found.code == 0, found.out
    assert found.json["coverage"]["total"] == sum(sample.layers.values())


@each_sample()
def test_inspect_shows_the_same_layers_in_source_and_export(
    sample: Sample, exports: Exports
) -> None:
    documents = [
        cli("inspect", path, "--format", "json", "--expect-layers", len(sample.layers))
        for path in (sample.source, exports(sample))
    ]
    assert [found.code for found in documents] == [0, 0]
    source, export = (found.json["layers"] for found in documents)
    for left, right in zip(source, export, strict=True):
        for field in ("name", "nodes", "parameter", "sharing", "health"):
            assert left[field] == right[field]
        if "BlockNet" not in sample.label:  # its convolutions get a bias from BatchNorm
            assert left["overhead_percent"] == right["overhead_percent"]
        for name, value in left["statistics"].items():
            same = right["statistics"][name]  # summed in another order where the layout differs
            assert same == value or same == pytest.approx(value, rel=1e-12), name
    assert {layer["name"]: layer["statistics"]["count"] for layer in export} == sample.layers
    assert {layer["form"] for layer in export} <= {"prelu"}


@each_sample()
def test_any_batch_runs_and_rows_do_not_touch_each_other(sample: Sample, exports: Exports) -> None:
    session = onnxruntime.InferenceSession(exports(sample), providers=["CPUExecutionProvider"])
    (value,) = session.get_inputs()
    assert value.shape[0] == "batch"
    sizes = [size if isinstance(size, int) else 40 for size in value.shape[1:]]
    x = np.random.default_rng(1).normal(size=(5, *sizes)).astype(np.float32)
    together, alone = (session.run(None, {value.name: part}) for part in (x, x[2:3]))
    assert len(together) == sample.outputs
    for five, one in zip(together, alone, strict=True):
        assert five.shape == (5, *one.shape[1:])
        np.testing.assert_allclose(five[2:3], one, rtol=1e-4, atol=1e-5 * np.abs(five).max())


@pytest.mark.parametrize("opset", [16, 17, 18])
@each_sample(lambda one: one.label.split(":")[1] in ("article_net", "Mlp", "OneSlopeNet"))
def test_the_opset_written_is_the_opset_asked(sample: Sample, opset: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    found = cli("export", sample.source, "-o", path, "--opset", opset, "--format", "json")
    assert found.code == 0, found.err
    assert found.json["model"]["opset"] == opset
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert len(_prelus(path)) == sample.calls


@each_sample(lambda one: "spread=0.0" in one.label)
def test_equal_values_do_not_make_one_layer(sample: Sample, exports: Exports) -> None:
    model = onnx.load(exports(sample))
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    slopes = [tensors[node.input[1]] for node in _prelus(exports(sample))]
    assert all((values == np.float32(0.1)).all() for values in slopes)
    assert len({node.input[1] for node in _prelus(exports(sample))}) == 4
    layers = cli("inspect", exports(sample), "--format", "json").json["layers"]
    assert [len(layer["nodes"]) for layer in layers] == [1, 1, 1, 1]
    assert all("uniform" in layer["health"] for layer in layers)
