"""`export --dtype float16`: what is written, what is told of it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, numpy_helper
from running import Outcome, cli
from text_nets import COLUMN, IMAGE, candidate, save, verify

from prelu_tools.core.arrays import same_bits

NET = """[conv] c = Conv<pads = [1, 1, 1, 1]>(x, w) [act] p = PRelu(c, a)
    u = Max(p, z) v = Min(p, z) s = Add(u, v) [fc] y = MatMul(s, k)"""
OUT = "float[batch,3,4,2] y"
THIRDS = COLUMN / np.float32(3)


def _net(path: Path, **constants: Any) -> Path:
    generator = np.random.default_rng(0)
    given = {"w": generator.normal(size=(3, 3, 3, 3)), "k": generator.normal(size=(5, 2)),
             "a": THIRDS, "z": 0.0, **constants}  # fmt: skip
    return save(path, NET, outputs=OUT, **{n: np.asarray(v, np.float32) for n, v in given.items()})


def _half(source: Path, *more: object) -> tuple[Outcome, Path]:
    target = source.with_name("half.onnx")
    return cli("export", source, "-o", target, "--dtype", "float16", *more), target


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A net and its export, which was verified."""
    source = _net(tmp_path_factory.mktemp("half") / "net.onnx")
    found, target = _half(source)
    assert found.code == 0, found.err
    assert "slopes of 1 layer equal bit for bit" in found.words
    return source, target


def test_everything_is_float16(exported: tuple[Path, Path]) -> None:
    proto = onnx.load(exported[1])
    checker.check_model(proto, full_check=True)
    kinds = [v.type.tensor_type.elem_type for v in (*proto.graph.input, *proto.graph.output)]
    assert kinds == [TensorProto.FLOAT16] * 2
    assert [value.name for value in (*proto.graph.input, *proto.graph.output)] == ["x", "y"]
    weights = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    assert same_bits(weights["a"], THIRDS.astype(np.float16))
    assert weights["w"].dtype == weights["k"].dtype == np.float16


def test_a_layer_stays_one_node_of_its_name(exported: tuple[Path, Path]) -> None:
    nodes = [node for node in onnx.load(exported[1]).graph.node if node.op_type == "PRelu"]
    assert [node.name for node in nodes] == ["a"]
    assert {entry.key for entry in nodes[0].metadata_props} >= {"prelu_tools.layer"}


def test_what_float16_has_no_kernels_for_is_cast_once(exported: tuple[Path, Path]) -> None:
    casts = [node for node in onnx.load(exported[1]).graph.node if node.op_type == "Cast"]
    assert len(casts) == 3  # into Max and Min together, and out of each


def test_verify_takes_it_for_what_it_is(exported: tuple[Path, Path]) -> None:
    found = verify(*exported)
    assert found.code == 0, found.out
    assert candidate(found)["layers"][0]["slopes_equal"]
    assert any("rounded to float16" in reason for reason in found.json["notes"])


def test_another_slope_of_float16_fails(exported: tuple[Path, Path], tmp_path: Path) -> None:
    proto = onnx.load(exported[1])
    (slope,) = (tensor for tensor in proto.graph.initializer if tensor.name == "a")
    values = numpy_helper.to_array(slope).copy()
    values[1] = np.nextafter(values[1], np.float16(1))
    slope.CopyFrom(numpy_helper.from_array(values, "a"))
    onnx.save(proto, tmp_path / "spoilt.onnx")
    found = verify(exported[0], tmp_path / "spoilt.onnx")
    assert found.code == 1
    assert not candidate(found)["layers"][0]["slopes_equal"]


def test_the_same_source_gives_the_same_bytes(exported: tuple[Path, Path], tmp_path: Path) -> None:
    found, target = _half(_net(tmp_path / "net.onnx"))
    assert found.code == 0
    assert target.read_bytes() == exported[1].read_bytes()


# What float16 cannot hold


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        (1e-9, "a: 1 of its slopes became 0 in float16"),
        (2e-7, "a: 1 of its slopes are below 6.1e-05"),
    ],
)
def test_slopes_near_zero_are_told(tmp_path: Path, slope: float, words: str) -> None:
    source = save(tmp_path / "net.onnx", "y = PRelu(x, a)", a=np.float32([[[slope]]] * 2 + [[[2]]]))
    found, _ = _half(source)
    assert found.code == 0, found.err
    assert words.replace("1 of", "2 of") in found.words


def test_a_slope_beyond_float16_is_refused(tmp_path: Path) -> None:
    found, target = _half(_net(tmp_path / "net.onnx", a=COLUMN * -2e5))
    assert found.code == 3
    assert "a: its slope 100000 is too large for float16" in found.err
    assert not target.exists()


def test_a_weight_beyond_float16_is_refused(tmp_path: Path) -> None:
    found, target = _half(_net(tmp_path / "net.onnx", k=np.full((5, 2), 7e4)))
    assert found.code == 3
    assert "weight k contains 70000, which is too large" in found.err
    assert not target.exists()


def test_weights_that_become_0_are_counted(tmp_path: Path) -> None:
    weight = np.ones((5, 2))
    weight[0] = 1e-9
    found, target = _half(_net(tmp_path / "net.onnx", k=weight))
    assert found.code == 0, found.err
    assert "2 weights too close to 0 for float16 became 0" in found.words
    (written,) = (t for t in onnx.load(target).graph.initializer if t.name == "k")
    assert numpy_helper.to_array(written)[0].tolist() == [0, 0]


def test_activations_beyond_float16_fail(tmp_path: Path) -> None:
    found, target = _half(_net(tmp_path / "net.onnx", k=np.full((5, 2), 3e4)))
    assert found.code == 1
    assert "differs from its source" in found.err
    assert not target.exists()


# Other types


def test_a_file_of_float16_keeps_its_type(exported: tuple[Path, Path], tmp_path: Path) -> None:
    for more in ((), ("--dtype", "float16")):
        target = tmp_path / f"again{len(more)}.onnx"
        found = cli("export", exported[1], "-o", target, *more)
        assert found.code == 0, found.err
        value = onnx.load(target).graph.input[0]
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT16


def test_what_was_lost_is_not_brought_back(exported: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "single.onnx"
    found = cli("export", exported[1], "-o", target, "--dtype", "float32")
    assert found.code == 3
    assert "computes in float16" in found.err


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "int8"])
def test_other_types_are_refused(tmp_path: Path, dtype: str) -> None:
    found = cli("export", _net(tmp_path / "n.onnx"), "-o", tmp_path / "o.onnx", "--dtype", dtype)
    assert found.code == 2
    assert "expected float32 or float16" in found.err


def test_convolutions_in_float64_are_refused(tmp_path: Path) -> None:
    source = save(tmp_path / "net.onnx", "[first] c = Conv(x, w) y = PRelu(c, a)",
                  inputs=IMAGE.replace("float", "double") + " x",
                  outputs=IMAGE.replace("float", "double") + " y",
                  a=COLUMN.astype(np.float64), w=np.ones((3, 3, 1, 1)))  # fmt: skip
    found = cli("export", source, "-o", tmp_path / "o.onnx")
    assert found.code == 3
    assert "first (Conv) computes in float64" in found.err
