"""The skeleton of a model: the same content, no weight in memory, values read where they lie."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graph_text import IMAGE, Array, initializers, model, numbers, run
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import is_external
from prelu_tools.graph.io.reader import INLINE_LIMIT, OnnxModel, read_model

LARGE = numbers(40, 30)
SMALL = numbers(3)


def _save(proto: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _with(tensor: TensorProto) -> onnx.ModelProto:
    proto = model("y = Identity(w)", "float[1] x", "float[M,K] y")
    tensor.name = "w"
    proto.graph.initializer.append(tensor)
    return proto


def _read_values(path: Path, name: str = "w") -> Array:
    found = read_model(path)
    (tensor,) = [t for t in found.proto.graph.initializer if t.name == name]
    return found.values(tensor)


def _float_data(values: Array) -> TensorProto:
    return helper.make_tensor("w", TensorProto.FLOAT, values.shape, values.ravel().tolist())


def _double_data(values: Array) -> TensorProto:
    return helper.make_tensor("w", TensorProto.DOUBLE, values.shape, values.ravel().tolist())


@pytest.mark.parametrize("build", [numpy_helper.from_array, _float_data, _double_data])
@pytest.mark.parametrize("values", [SMALL, LARGE, LARGE[:0]], ids=["small", "large", "empty"])
def test_values_are_those_of_onnx_load(
    build: Callable[[Array], TensorProto], values: Array, tmp_path: Path
) -> None:
    path = _save(_with(build(values)), tmp_path)
    assert same_bits(_read_values(path), initializers(onnx.load(path))["w"])


DTYPES = ["float16", "float64", "int8", "int32", "int64", "uint8", "bool", "complex64",
          ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4,
          ml_dtypes.float4_e2m1fn, ml_dtypes.int2, ml_dtypes.uint2]  # fmt: skip


@pytest.mark.parametrize("count", [5, 4001])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_values_of_other_types(dtype: str, count: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2, count).astype(dtype)
    path = _save(_with(numpy_helper.from_array(values)), tmp_path)
    assert same_bits(_read_values(path), values)


@pytest.mark.parametrize("count", [5, 4001])
@pytest.mark.parametrize(
    "kind", ["INT32", "INT8", "UINT16", "FLOAT16", "INT64", "UINT64", "COMPLEX64", "STRING"]
)
def test_values_that_are_not_stored_as_they_lie_in_memory(
    kind: str, count: int, tmp_path: Path
) -> None:
    numbers_ = np.random.default_rng(0).integers(0, 100, count)
    values = [str(n).encode() for n in numbers_] if kind == "STRING" else numbers_
    tensor = helper.make_tensor("w", TensorProto.DataType.Value(kind), [count], values)
    assert not tensor.raw_data
    read = _read_values(_save(_with(tensor), tmp_path))
    assert np.array_equal(read, numpy_helper.to_array(tensor))


@pytest.mark.parametrize("build", [numpy_helper.from_array, _float_data, _double_data])
def test_the_skeleton_of_a_large_tensor_is_small(
    build: Callable[[Array], TensorProto], tmp_path: Path
) -> None:
    path = _save(_with(build(LARGE)), tmp_path)
    assert read_model(path).proto.ByteSize() < 400 < path.stat().st_size


SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)


@pytest.mark.parametrize("build", [numpy_helper.from_array, _float_data])
@pytest.mark.parametrize("times", [1, 200])
def test_every_bit_is_kept(
    build: Callable[[Array], TensorProto], times: int, tmp_path: Path
) -> None:
    values = np.tile(SPECIAL, times)
    values[0] = np.uint32(0x7FC12345).view(np.float32)  # a NaN with a payload
    tensor = build(values)
    expected = numpy_helper.to_array(tensor)
    assert same_bits(_read_values(_save(_with(tensor), tmp_path)), expected)


@pytest.mark.parametrize(
    ("count", "inline"), [(INLINE_LIMIT // 4, True), (INLINE_LIMIT // 4 + 1, False)]
)
def test_small_tensors_stay_and_large_ones_are_pointed_at(
    count: int, inline: bool, tmp_path: Path
) -> None:
    values = np.arange(count, dtype=np.float32)
    found = read_model(_save(_with(numpy_helper.from_array(values)), tmp_path))
    (tensor,) = found.proto.graph.initializer
    assert (tensor.data_location == TensorProto.DEFAULT) is inline
    assert bool(tensor.raw_data) is inline
    if not inline:
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert (place["location"], place["length"]) == ("net.onnx", str(4 * count))
        data = (tmp_path / "net.onnx").read_bytes()
        start = int(place["offset"])
        assert data[start : start + 4 * count] == values.tobytes()


def _everywhere() -> onnx.ModelProto:
    """Large tensors wherever a model may keep one, between things that are small."""
    large = numpy_helper.from_array(LARGE, "k")
    body = (
        "k = Constant() s = ReduceSum<keepdims = 0>(k) p = Cast<to = 9>(s) "
        f"t = If(p) <then_branch = yes () => ({IMAGE} u) {{ v = Constant() r = ReduceSum<keepdims "
        f"= 0>(v) u = Add(x, r) }}, else_branch = no () => ({IMAGE} q) {{ q = Add(x, e) }}> "
        "y = PRelu(t, a)"
    )
    proto = model(body, constants={"e": numbers(1, 3, 4, 5, seed=4), "w": LARGE})
    nodes = proto.graph.node
    nodes[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(large)
    branch = next(a for a in nodes[3].attribute if a.name == "then_branch").g
    branch.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(large)
    extra = nodes[-1].attribute.add(name="extra", type=onnx.AttributeProto.TENSORS)
    extra.tensors.extend([large, large])
    graphs = nodes[-1].attribute.add(name="graphs", type=onnx.AttributeProto.GRAPHS)
    graphs.graphs.add(name="inner").initializer.append(large)
    branch.initializer.append(numpy_helper.from_array(LARGE, "inner"))
    function = proto.functions.add(name="f", domain="custom", output=["o"])
    function.node.append(helper.make_node("Constant", [], ["o"], value=large))
    proto.doc_string, proto.graph.doc_string = "d" * 3000, "é" * 3000
    proto.metadata_props.add(key="note", value="n" * 5000)
    nodes[1].doc_string = "n" * 3000
    return proto


def _filled(found: OnnxModel) -> onnx.ModelProto:
    """The skeleton with every tensor's payload put back."""
    proto = onnx.ModelProto.FromString(found.proto.SerializeToString())
    for tensor in _tensors(proto):
        if tensor.data_location == TensorProto.EXTERNAL:
            full = numpy_helper.from_array(found.values(tensor), tensor.name)
            tensor.CopyFrom(full)
    return proto


def _tensors(proto: onnx.ModelProto) -> list[TensorProto]:
    """Every tensor of a model, wherever it is."""
    found: list[TensorProto] = []
    graphs = [proto.graph]
    nodes = [node for function in proto.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            found += graph.initializer
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            found += [attribute.t] if attribute.HasField("t") else []
            found += attribute.tensors
            graphs += [attribute.g] if attribute.HasField("g") else []
            graphs += attribute.graphs
    return found


def test_the_skeleton_is_the_model_but_for_its_large_tensors(tmp_path: Path) -> None:
    proto = _everywhere()
    found = read_model(_save(proto, tmp_path))
    pointed = [t for t in _tensors(found.proto) if t.data_location == TensorProto.EXTERNAL]
    assert len(pointed) == 7
    assert not any(t.HasField("raw_data") for t in pointed)
    assert _filled(found) == proto


def test_the_skeleton_of_a_small_model_is_the_model(tmp_path: Path) -> None:
    proto = model("c = Relu(x) y = PRelu(c, a)")
    found = read_model(_save(proto, tmp_path))
    assert found.proto == proto
    assert (found.opset, found.file) == (18, tmp_path / "net.onnx")


def test_the_skeleton_is_a_model_that_runs(tmp_path: Path) -> None:
    weight = numbers(3, 3, 9, 9)
    proto = model("c = Conv<pads = [4, 4, 4, 4]>(x, w) y = PRelu(c, a)", constants={"w": weight})
    path = _save(proto, tmp_path)
    skeleton = tmp_path / "skeleton.onnx"
    skeleton.write_bytes(read_model(path).proto.SerializeToString())
    x = numbers(1, 3, 4, 5)
    session = ort.InferenceSession(skeleton, providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"x": x})[0], run(proto, x=x)[0])


def test_external_data_is_read_from_its_file(tmp_path: Path) -> None:
    proto = model("m = MatMul(x, w) y = PRelu(m, b)", "float[N,40] x", "float[N,30] y",
                  {"w": LARGE, "b": numbers(30, seed=5)})  # fmt: skip
    path = tmp_path / "net.onnx"
    expected = initializers(proto)
    onnx.save(proto, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    found = read_model(path)
    assert all(t.data_location == TensorProto.EXTERNAL for t in found.proto.graph.initializer)
    for name, values in expected.items():
        assert same_bits(_read_values(path, name), values)


def test_data_that_were_taken_in_are_read_and_run(tmp_path: Path) -> None:
    """Onnx.load leaves "not external" in each tensor whose data it found beside the file."""
    slopes, path = numbers(600, 1, 1, seed=5), tmp_path / "net.onnx"
    proto = model("y = PRelu(x, b)", "float[N,600,2,2] x", "float[N,600,2,2] y", {"b": slopes})
    x = numbers(1, 600, 2, 2)
    expected = run(proto, x=x)[0]
    onnx.save(proto, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    onnx.save(onnx.load(path), path)
    (tmp_path / "net.bin").unlink()
    found = read_model(path)
    assert is_external(found.proto.graph.initializer[0])
    assert same_bits(_read_values(path, "b"), slopes)
    session = ort.InferenceSession(_skeleton(found), providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"x": x})[0], expected)


def test_data_beside_the_file_and_others_in_it_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    proto = model("m = MatMul(x, w) y = Neg(m)", "float[N,40] x", "float[N,30] y", {"w": LARGE})
    onnx.save(proto, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    both = onnx.load(path, load_external_data=False)
    both.graph.initializer[0].raw_data = np.zeros_like(LARGE).tobytes()
    path.write_bytes(both.SerializeToString())
    with pytest.raises(PReLUToolsError, match="has its values twice"):
        read_model(path)


def _skeleton(found: OnnxModel) -> Path:
    assert found.file is not None
    path = found.file.with_name("skeleton.onnx")
    path.write_bytes(found.proto.SerializeToString())
    return path


def test_a_model_of_50_mb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    _write_large(path, n_tensors=25)
    assert path.stat().st_size > 50e6
    tracemalloc.start()
    try:
        found = read_model(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        values = found.values(found.proto.graph.initializer[24])
        one = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.proto.ByteSize() < 10_000
    assert peak < 1e6
    assert values[:3].tolist() == [24.0, 24.0, 24.0]
    assert one < 3 * 2_000_000 + 1e6


def _write_large(path: Path, n_tensors: int) -> None:
    """A model with tensors of 2 MB each, of which number i holds i everywhere."""
    proto = model("y = Relu(x)")
    for number in range(n_tensors):
        values = np.full(500_000, number, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, f"w{number}"))
    path.write_bytes(proto.SerializeToString())


def test_a_larger_model_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for n_tensors in (2, 20):
        path = tmp_path / f"{n_tensors}.onnx"
        _write_large(path, n_tensors)
        tracemalloc.start()
        try:
            read_model(path)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] - peaks[0] < 200_000


@pytest.mark.parametrize(
    ("opsets", "expected"),
    [([("", 17)], 17), ([("ai.onnx", 16)], 16), ([("custom", 9)], 0), ([("x", 3), ("", 18)], 18)],
)
def test_the_opset_is_that_of_the_default_domain(
    opsets: list[tuple[str, int]], expected: int
) -> None:
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets]
    assert OnnxModel(onnx.ModelProto(opset_import=imports), None).opset == expected


def test_a_model_in_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    _save(_with(numpy_helper.from_array(LARGE)), tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert same_bits(_read_values(tmp_path / "link" / "net.onnx"), LARGE)


def test_a_linked_model(tmp_path: Path) -> None:
    for name in ("real", "links"):
        (tmp_path / name).mkdir()
    path = _save(_with(numpy_helper.from_array(LARGE)), tmp_path / "real")
    link = tmp_path / "links" / "net.onnx"
    link.symlink_to(path)
    assert same_bits(_read_values(link), LARGE)
