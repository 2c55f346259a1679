"""onnx's own tests of PRelu, each taken through `export`.

`test_prelu_*` (onnx/backend/test/case/node/prelu.py), and the files that PyTorch 0.3 wrote, of
opset 6 (onnx/backend/test/data/pytorch-converted/test_PReLU_*).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from onnx.backend import test as backend
from onnx.backend.test.case import node as node_tests
from onnx.backend.test.case.node import prelu
from running import cli

PRELU = prelu.PRelu  # to import it makes its cases, and no others: all of them take ten seconds
CASES = {c.name: c for c in node_tests._NodeTestCases if c.name.startswith("test_prelu_")}
FILES = sorted(Path(backend.__file__).parent.glob("data/pytorch-converted/test_PReLU_*"))


def test_none_is_missing() -> None:
    plain = ["test_prelu_broadcast", "test_prelu_example"]
    assert sorted(CASES) == sorted([*plain, *(f"{name}_expanded" for name in plain)])
    assert len(FILES) == 6


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Any:
    """One of them."""
    return CASES[request.param]


def _exported(proto: onnx.ModelProto, folder: Path, *more: object) -> onnx.ModelProto:
    onnx.save(proto, folder / "node.onnx")
    found = cli("export", folder / "node.onnx", "-o", folder / "clean.onnx", *more)
    assert found.code == 0, found.err
    return onnx.load(folder / "clean.onnx")


def _run(proto: onnx.ModelProto, *inputs: Any) -> Any:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, inputs, strict=False)))
    return found


def _check(proto: onnx.ModelProto, case: Any) -> None:
    for inputs, outputs in case.data_sets:
        assert np.array_equal(_run(proto, *inputs), outputs[0])


def test_a_slope_that_is_an_input_stays_one(case: Any, tmp_path: Path) -> None:
    found = _exported(case.model, tmp_path)
    assert [value.name for value in found.graph.input] == ["x", "slope"]
    _check(found, case)


def test_a_slope_of_the_model_is_one_of_one_node(case: Any, tmp_path: Path) -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    del proto.graph.input[1]
    slope = case.data_sets[0][0][1]
    proto.graph.initializer.append(numpy_helper.from_array(slope, "slope"))
    found = _exported(proto, tmp_path)
    assert [node.op_type for node in found.graph.node] == ["PRelu"]
    (written,) = found.graph.initializer
    assert np.array_equal(numpy_helper.to_array(written).reshape(-1), slope.reshape(-1))
    _check(found, case)


@pytest.mark.parametrize("folder", FILES, ids=lambda folder: folder.name)
def test_a_file_of_opset_6_is_exported(folder: Path, tmp_path: Path) -> None:
    proto = onnx.load(folder / "model.onnx")
    found = _exported(proto, tmp_path)
    assert [node.op_type for node in found.graph.node] == ["PRelu"]
    assert [value.name for value in found.graph.input] == ["0"]
    tensors = [folder / "test_data_set_0" / f"{name}_0.pb" for name in ("input", "output")]
    x, y = (numpy_helper.to_array(onnx.load_tensor(path)) for path in tensors)
    assert np.array_equal(_run(found, x), y)
    (slope,) = found.graph.initializer
    multiple = "multiparam" in folder.name
    assert list(slope.dims) == ([3, *[1] * (x.ndim - 2)] if multiple else [1])
