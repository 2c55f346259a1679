"""What the frameworks' own exporters write is verified, and tampered with, as well as any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporting import save_by_tf2onnx
from onnx import numpy_helper
from running import cli
from sample_list import sample

from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.source_spec import build_object, parse_source_spec


def _spoil(path: Path, size: int) -> Path:
    """Exchange the first two slopes that differ in the only float tensor of this many elements."""
    model = onnx.load(path)
    found = [
        (numpy_helper.to_array(t).copy(), t)
        for t in model.graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and int(np.prod(t.dims)) == size
    ]
    (values, tensor), *others = found
    assert not others
    flat = values.reshape(-1)
    other = int(np.flatnonzero(flat != flat[0])[0])
    flat[[0, other]] = flat[[other, 0]]
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    target = path.with_name("spoilt.onnx")
    onnx.save(model, target)
    return target


@pytest.fixture(scope="module")
def torch_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    net: Any = build_object(parse_source_spec(sample("torch_layers.py:PerChannel").source)).eval()
    path = tmp_path_factory.mktemp("raw") / "net.onnx"
    with quiet(show=False):
        torch.onnx.export(net, net.example_inputs(), path, dynamo=True, external_data=False)
    return path


@pytest.mark.torch
def test_the_export_of_torch_passes_and_fails_with_two_slopes_exchanged(torch_export: Path) -> None:
    model = onnx.load(torch_export)
    slope = next(node.input[1] for node in model.graph.node if node.op_type == "PRelu")
    (tensor,) = (t for t in model.graph.initializer if t.name == slope)
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[:2] = values.reshape(-1)[1::-1]
    tensor.CopyFrom(numpy_helper.from_array(values, slope))
    target = torch_export.with_name("spoilt.onnx")
    onnx.save(model, target)
    source = sample("torch_layers.py:PerChannel").source
    found = cli("verify", source, torch_export, target, "--format", "json")
    assert found.code == 1
    good, spoilt = found.json["candidates"]
    assert (good["verdict"], spoilt["verdict"]) == ("pass", "fail")
    assert [layer["name"] for layer in good["layers"]] == ["prelu1", "prelu2"]
    assert any("prelu1: channels 0 and 1 swapped" in reason for reason in spoilt["reasons"])


@pytest.mark.torch
def test_a_name_that_a_module_does_not_give_is_no_difference(
    torch_export: Path, tmp_path: Path
) -> None:
    source, record = sample("torch_layers.py:PerChannel").source, tmp_path / "net.npz"
    assert cli("record", source, "-o", record, "-q").code == 0
    other = onnx.load(torch_export)
    (given,) = other.graph.input
    node = next(node for node in other.graph.node if given.name in node.input)
    node.input[list(node.input).index(given.name)] = given.name = "renamed"
    onnx.save(other, tmp_path / "other.onnx")
    options = ("--strict-interface", "--quick", "--format", "json")
    for reference in (source, record):
        found = cli("verify", reference, torch_export, tmp_path / "other.onnx", *options)
        good, renamed = (one["reason_codes"] for one in found.json["candidates"])
        assert good == ["input_size_fixed"]  # its batch
        assert renamed == ["input_renamed", "input_size_fixed"]


@pytest.fixture(scope="module")
def keras_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five ops a layer, minus the slopes, in [H, W, C] order."""
    net: Any = build_object(parse_source_spec(sample("keras_digits.py:convnet").source))
    path = tmp_path_factory.mktemp("raw") / "net.onnx"
    return save_by_tf2onnx(net, (28, 28, 1), path, opset=17)


@pytest.mark.keras
def test_the_export_of_tf2onnx_passes_for_keras_and_fails_with_two_slopes_exchanged(
    keras_export: Path,
) -> None:
    assert "PRelu" not in {node.op_type for node in onnx.load(keras_export).graph.node}
    target = _spoil(keras_export, 28 * 28 * 32)
    source = sample("keras_digits.py:convnet").source
    layouts = ("--layout", "reference=nhwc", "--layout", "candidate=nhwc")
    found = cli("verify", source, keras_export, target, *layouts, "--no-power", "--format", "json")
    assert found.code == 1
    good, spoilt = found.json["candidates"]
    assert good["verdict"] == "pass", good["reasons"]
    assert all(layer["slopes_equal"] for layer in good["layers"])
    assert [layer["verdict"] for layer in spoilt["layers"]] == ["fail", "pass", "pass"]
