"""The four functions on live torch modules, models in memory and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import library_nets
import numpy as np
import onnx
import pytest
from library_nets import SHAPE, torch_net
from running import cli
from tampering import set_slopes, swap

from prelu_tools import (
    ExportVerificationError,
    PReLUToolsError,
    UsageError,
    export,
    inspect,
    optimize,
    verify,
)
from prelu_tools.backends.torch.source import TorchSource

pytestmark = pytest.mark.torch

NET = f"{library_nets.__file__}:torch_net"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "net.onnx"
    result = export(torch_net(), path, input=SHAPE)
    assert result.verification
    return path


@pytest.fixture(scope="module")
def spoilt(exported: Path) -> onnx.ModelProto:
    """The model with two channels exchanged."""
    model = onnx.load(exported)
    set_slopes("1", swap(1, 2))(model)
    return model


def test_a_live_module_is_exported_as_the_command_exports_its_source(
    exported: Path, tmp_path: Path
) -> None:
    label = tmp_path / "net.onnx"
    assert cli("export", NET, "-o", label, "--input", "input:batch,3,8,8").code == 0
    left, right = onnx.load(exported), onnx.load(label)
    assert {p.key: p.value for p in left.metadata_props}["prelu_tools.source"] == "Sequential"
    assert (left.graph.name, right.graph.name) == ("Sequential", "library_nets.py:torch_net")
    left.graph.name = right.graph.name
    assert left.graph == right.graph


def test_what_export_returns_is_verified_and_has_the_layers(exported: Path, tmp_path: Path) -> None:
    result = export(torch_net(), tmp_path / "again.onnx", input=SHAPE, dtype="float32", opset=17)
    assert (result.source, result.opset) == ("Sequential", 17)
    assert [layer.name for layer in result.layers] == ["1"]
    assert result.verification is not None
    assert result.verification.verdict == "pass"
    unchecked = export(torch_net(), tmp_path / "unchecked.onnx", input=SHAPE, verify=False)
    assert unchecked.verification is None


def test_a_wrong_export_of_a_live_module_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = TorchSource.convert

    def negated(self: Any, wanted: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            weight = self._module[2].weight
            patch.setattr(weight, "data", -weight.data)
            return convert(self, wanted)

    monkeypatch.setattr(TorchSource, "convert", negated)
    with pytest.raises(ExportVerificationError, match="differs from its source") as caught:
        export(torch_net(), tmp_path / "net.onnx", input=SHAPE)
    assert caught.value.result is not None
    assert caught.value.result.verdict == "fail"
    assert list(tmp_path.iterdir()) == []


def test_every_kind_of_model_is_verified(exported: Path) -> None:
    model = onnx.load(exported)
    result = verify(torch_net(), exported, str(exported), model, torch_net(), input=SHAPE)
    assert result, result
    assert result.reference == "reference (Sequential)"
    assert [report.model for report in result.candidates] == [
        str(exported), str(exported), "candidate 3 (ModelProto)", "candidate 4 (Sequential)",
    ]  # fmt: skip
    assert verify(NET, exported, input=SHAPE, power=False)


def test_a_wrong_slope_is_a_result_and_no_error(exported: Path, spoilt: onnx.ModelProto) -> None:
    result = verify(torch_net(), spoilt, input=SHAPE)
    assert not result
    assert result.verdict == "fail"
    assert "channels 1 and 2 swapped" in repr(result)


def test_a_candidate_that_cannot_be_read_is_no_pass(tmp_path: Path) -> None:
    result = verify(torch_net(), tmp_path / "missing.onnx", input=SHAPE)
    assert result.verdict == "inconclusive"
    assert not result


def test_inputs_are_arrays_or_a_file(exported: Path, tmp_path: Path) -> None:
    zeros = {"input": np.zeros((2, 3, 8, 8), np.float32)}
    kept = tmp_path / "kept.npz"
    asked: dict[str, Any] = {"input": SHAPE, "min_coverage": 1.0, "power": False}
    result = verify(torch_net(), exported, inputs=zeros, save_inputs=kept, **asked)
    assert result.verdict == "fail"
    assert result.samples == 2
    assert verify(torch_net(), exported, inputs=kept, **asked).samples == 2
    assert verify(torch_net(), exported, inputs=zeros, samples=3, **asked).samples == 5


def test_options_reach_the_check(exported: Path) -> None:
    one = verify(
        torch_net(), exported, input=SHAPE, tolerance=(0.0, 1e-12), samples=3, seed=7,
        provider=["cpu", "CPUExecutionProvider"], input_range=(0, 255), layers=False, power=False,
    )  # fmt: skip
    assert (one.verdict, one.seed, len(one.candidates)) == ("fail", 7, 2)
    assert one.candidates[0].tolerance.atol == 1e-12
    assert one.coverage is None


def test_inspect_shows_a_model_and_compares_two(exported: Path, spoilt: onnx.ModelProto) -> None:
    alive, file = inspect(torch_net(), input=SHAPE), inspect(exported)
    for result in (alive, file):
        assert result.layers[0].statistics.count == 4
    assert np.array_equal(
        alive.layers[0].layer.slopes.reshape(-1), file.layers[0].layer.slopes.reshape(-1)
    )
    assert alive.path == "Sequential"
    compared = inspect(torch_net(), spoilt, input=SHAPE)
    assert [change.difference for change in compared.changes] == ["channels 1 and 2 swapped"]
    used = inspect(exported, data={"input": np.ones((1, 3, 8, 8))}, target="openvino", near=0.5)
    assert used.layers[0].usage is not None


def test_a_model_in_memory_is_optimized(exported: Path, tmp_path: Path) -> None:
    fast = tmp_path / "fast.onnx"
    result = optimize(onnx.load(exported), fast, tune=False, exact="bitwise")
    assert (result.source, result.n_changed) == ("ModelProto", 1)
    assert result.held.bitwise
    assert verify(exported, fast)
    back = optimize(fast, tmp_path / "back.onnx", target="portable")
    assert [layer.form for layer in back.layers] == ["prelu"]


def test_modules_are_left_in_the_mode_that_they_had(tmp_path: Path) -> None:
    net = torch_net().train()
    net[2].eval()
    export(net, tmp_path / "net.onnx", input=SHAPE)
    verify(net, net, input=SHAPE, power=False)
    inspect(net, input=SHAPE)
    assert [module.training for module in net.modules()] == [True, True, True, False]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net, path: export(net, path), 'as input={"input": ("batch", ...)}'),
        (lambda net, path: export(net, path, input={"input": "batch,3,8,8"}), "expected a size"),
        (lambda net, path: export(net, path, input={"input": (0, 3)}), "expected a size or a name"),
        (lambda net, path: export(net, path, input=SHAPE, target="cuda"), "target 'cuda': exp"),
        (lambda net, path: export(net, path, input=SHAPE, dtype="int8"), "float32 or float16"),
        (lambda net, path: verify(net), "no candidate to compare"),
        (lambda net, path: verify(net, net, min_coverage=2), "expected a number from 0 to 1"),
        (lambda net, path: verify(net, net, samples=0), "expected a whole number, 1 or more"),
        (lambda net, path: verify(net, net, input=SHAPE, tolerance="loose"), "expected 'calibr"),
        (lambda net, path: verify(net, net, input=SHAPE, input_range=(1, 0)), "expected (low, hi"),
        (lambda net, path: verify(net, net, input=SHAPE, layout={"reference": "NCHW"}), "nchw"),
        (lambda net, path: inspect(net, input=SHAPE, target="openvino"), "target is for ONNX"),
        (lambda net, path: inspect(type(net)), "expected a path, a torch.nn.Module"),
        (lambda net, path: inspect(3), "is of type int: expected a path"),
        (lambda net, path: optimize(net, path, input=SHAPE), "is not an ONNX file"),
        (lambda net, path: optimize("net.onnx", path, exact="nearly"), "expected layer, bitwise"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(call: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        call(torch_net(), tmp_path / "out.onnx")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists"):
        export(torch_net(), path, input=SHAPE)
    assert path.read_bytes() == b"mine"


def test_a_model_that_cannot_be_serialised_says_what_to_do() -> None:
    class ModelProto:
        graph = None

        def SerializeToString(self) -> bytes:  # noqa: N802
            raise ValueError("exceeds maximum protobuf size of 2GB")

    with pytest.raises(PReLUToolsError, match="save it with external data"):
        inspect(ModelProto())
