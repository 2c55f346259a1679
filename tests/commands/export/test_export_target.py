"""`export --target RUNTIME`: what that runtime would misread is rewritten, and proven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from running import Outcome, cli
from text_nets import COLUMN, save

from prelu_tools.backends import registry
from prelu_tools.commands.targets import runtime_of
from prelu_tools.core.targets import EXPORT_TARGETS, RUNS_ONNX, RUNTIMES
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.targets.forecast import TARGETS

LAST = np.array([[0.25, -0.5, 0.125]], np.float32)
LAST_AXIS = {"inputs": "float[N,7,3] x", "outputs": "float[N,7,3] y", "a": LAST}


def _export(source: Path, target: str, *more: object) -> tuple[Outcome, onnx.ModelProto]:
    path = source.with_name(f"{target}.onnx")
    found = cli("export", source, "-o", path, "--target", target, "--quick", *more)
    return found, onnx.load(path) if path.exists() else onnx.ModelProto()


def _operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def test_there_is_one_list_of_targets() -> None:
    assert set(RUNTIMES) == set(TARGETS)
    assert ("portable", *RUNTIMES) == EXPORT_TARGETS


def test_slopes_along_the_last_axis(tmp_path: Path) -> None:
    source = save(tmp_path / "old.onnx", "[act] y = PRelu(x, a)", **LAST_AXIS)
    found, proto = _export(source, "mnn")
    assert found.code == 0, found.err
    assert {t.name: tuple(t.dims) for t in proto.graph.initializer} == {"a": (1, 1, 3)}
    found, proto = _export(source, "ncnn")
    assert found.code == 0, found.err
    assert _operators(proto) == ["Transpose", "PRelu", "Transpose"]
    assert "ncnn: a written with a Transpose before and after it" in found.words
    assert "verified: " in found.words


def test_a_slope_for_each_element(tmp_path: Path) -> None:
    slopes = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    tensor = "float[N,3,4,5]"
    source = save(
        tmp_path / "old.onnx", "y = PRelu(x, a)", inputs=f"{tensor} x", outputs=f"{tensor} y",
        a=slopes,
    )  # fmt: skip
    found, proto = _export(source, "ncnn")
    assert found.code == 0, found.err
    assert "PRelu" not in _operators(proto)
    assert "ncnn: a written as Relu, Neg, Mul and Add" in found.words
    (layer,) = read_layers(read_model(source.with_name("ncnn.onnx")))
    assert np.array_equal(layer.slopes[0], slopes)


@pytest.mark.parametrize("target", [name for name in RUNTIMES if TARGETS[name].measured])
def test_what_is_written_has_no_finding_that_it_is_misread(tmp_path: Path, target: str) -> None:
    source = save(tmp_path / "old.onnx", "[act] y = PRelu(x, a)", **LAST_AXIS)
    found, _ = _export(source, target)
    assert found.code == 0, found.err
    path = source.with_name(f"{target}.onnx")
    seen = cli("inspect", path, "--target", target, "--format", "json").json
    codes = {f["severity"] for layer in seen["layers"] for f in layer["findings"]}
    assert codes == ({"error"} if target == "coreml" else {"info"})
    assert ("coreml: runs a on the CPU" in found.words) == (target == "coreml")


def test_what_is_right_stays_as_it_is(tmp_path: Path) -> None:
    source = save(tmp_path / "old.onnx", "y = PRelu(x, a)", a=COLUMN)
    found, proto = _export(source, "ncnn")
    assert found.code == 0, found.err
    assert _operators(proto) == ["PRelu"]
    assert "written" not in found.out
    assert ("ncnn: the file was not run on ncnn" in found.words) == (not runtime_of("ncnn"))


def test_a_runtime_that_was_not_run_is_told(tmp_path: Path) -> None:
    found, _ = _export(save(tmp_path / "old.onnx", "y = PRelu(x, a)", a=COLUMN), "tensorrt")
    assert found.code == 0, found.err
    assert "tensorrt: becomes a ParametricReLU layer" in found.words
    assert "not measured here" in found.words


def test_the_runtime_itself_is_asked_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "is_installed", lambda _: True)
    monkeypatch.setattr(registry, "find_outside", lambda *_: "1.0")
    asked = [name for name in RUNTIMES if runtime_of(name) == (name,)]
    assert sorted(asked) == sorted(RUNS_ONNX)
    assert sorted(asked) == sorted(row.name for row in registry.RUNTIMES if row.converts)
    monkeypatch.setattr(registry, "is_installed", lambda package: package != "pnnx")
    assert runtime_of("ncnn") == ()


def test_a_target_that_is_not_known_is_a_usage_error(tmp_path: Path) -> None:
    found, _ = _export(save(tmp_path / "old.onnx", "y = PRelu(x, a)", a=COLUMN), "nccn")
    assert found.code == 2
    assert "ncnn" in found.err


def test_a_placeholder_in_the_name_follows_a_single_source_too(tmp_path: Path) -> None:
    source = save(tmp_path / "old.onnx", "y = PRelu(x, a)", a=COLUMN)
    found = cli("export", source, "-o", tmp_path / "{stem}-new.onnx", "--jobs", "0")
    assert found.code == 0, found.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old-new.onnx", "old.onnx"]
    found = cli("export", source, "-o", tmp_path / "{stem}-newer.onnx")
    assert found.code == 0, found.err
    assert (tmp_path / "old-newer.onnx").exists()
