"""Weights beside the graph: kept in memory, let go of, streamed to one file or two."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import Array, initializers, model, numbers, run
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import MEMORY, OnnxModel, all_tensors, is_external
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.io.writer import write_model
from prelu_tools.graph.passes.cleaning.folding import fold_batch_normalization
from prelu_tools.graph.passes.prune import prune_model

WEIGHT = numbers(40, 3, 3, 3)
OUTPUT = "float[N,40,H,W] y"


def _model(body: str = "y = Conv(x, w)", **weights: Array) -> OnnxModel:
    """A model whose constants of these names are handed over as arrays."""
    made = OnnxModel(model(body, outputs=OUTPUT), None)
    for name, values in (weights or {"w": WEIGHT}).items():
        made.proto.graph.initializer.append(made.tensor(name, values))
    return made


def _same_model(path: Path, expected: OnnxModel) -> None:
    """The file is valid, and has in it what the model has."""
    onnx.checker.check_model(str(path), full_check=True)
    written = onnx.load(path)
    whole = expected.inlined()
    assert {n: v.tobytes() for n, v in initializers(written).items()} == {
        n: v.tobytes() for n, v in initializers(whole).items()
    }
    x = numbers(2, 3, 4, 5)
    assert np.array_equal(run(written, x=x)[0], run(whole, x=x)[0])


def test_a_large_tensor_is_not_copied_and_a_small_one_is_in_the_graph() -> None:
    made = _model("c = Conv(x, w) y = Mul(c, s)", w=WEIGHT, s=np.float32(0.5))
    large, small = made.proto.graph.initializer
    assert is_external(large)
    assert not is_external(small)
    assert made.proto.ByteSize() < 400
    assert np.shares_memory(made.values(large), WEIGHT)
    assert not made.values(large).flags.writeable
    assert WEIGHT.flags.writeable
    assert made.values(small) == 0.5


@pytest.mark.parametrize("external", ["auto", "always", "never"])
def test_weights_are_streamed(external: str, tmp_path: Path) -> None:
    made = _model("c = Conv(x, w, b) y = Mul(c, s)",
                  w=WEIGHT.transpose(3, 0, 1, 2).copy().transpose(1, 2, 3, 0),
                  b=np.arange(80, dtype=np.float32)[::2], s=numbers(40, 2, 3)[:, ::-1])  # fmt: skip
    written = write_model(made, tmp_path / "net.onnx", external)  # type: ignore[arg-type]
    _same_model(tmp_path / "net.onnx", made)
    assert (written.data is not None) == (external == "always")
    assert written.n_bytes == (tmp_path / "net.onnx").stat().st_size
    if written.data is not None:
        digest = hashlib.sha256(written.data.read_bytes()).hexdigest()[:16]
        assert written.data == tmp_path / f"net.onnx.{digest}.data"
        assert written.n_data_bytes == written.data.stat().st_size
        assert written.n_bytes < 1500 < WEIGHT.nbytes


def test_the_bytes_are_those_that_protobuf_would_write(tmp_path: Path) -> None:
    made = _model()
    write_model(made, tmp_path / "net.onnx")
    assert onnx.load(tmp_path / "net.onnx") == made.inlined()
    write_model(OnnxModel(made.inlined(), None), tmp_path / "plain.onnx")
    assert (tmp_path / "net.onnx").stat().st_size == (tmp_path / "plain.onnx").stat().st_size


def test_a_model_that_was_read_is_written_from_its_file(tmp_path: Path) -> None:
    write_model(_model(), tmp_path / "first.onnx")
    read = read_model(tmp_path / "first.onnx")
    assert all(map(is_external, read.proto.graph.initializer))
    write_model(read, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "first.onnx").read_bytes()
    write_model(read, tmp_path / "two.onnx", "always")
    _same_model(tmp_path / "two.onnx", read)


def test_tensors_in_nodes_and_bodies_are_streamed_too(tmp_path: Path) -> None:
    """A Constant node's value, and an initializer of a branch."""
    branch = helper.make_graph(
        [helper.make_node("Identity", ["inner"], ["out"])], "branch", [],
        [helper.make_tensor_value_info("out", 1, [40, 3, 3, 3])],
        [numpy_helper.from_array(WEIGHT + 1, "inner")],
    )  # fmt: skip
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(WEIGHT))
    choose = helper.make_node("If", ["yes"], ["k"], then_branch=branch, else_branch=branch)
    plain = model("c = Conv(x, w) d = Conv(x, k) y = Add(c, d)", outputs=OUTPUT)
    plain.graph.node.insert(0, constant)
    plain.graph.node.insert(0, choose)
    plain.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    onnx.save(plain, tmp_path / "plain.onnx")
    read = read_model(tmp_path / "plain.onnx")
    assert sum(map(is_external, all_tensors(read.proto))) == 3
    for number, external in enumerate(("never", "always")):
        path = tmp_path / f"{number}.onnx"
        write_model(read, path, external)  # type: ignore[arg-type]
        found = onnx.load(path)
        for tensor in all_tensors(found):
            tensor.ClearField("data_location")  # onnx.load leaves a mark of where it was
        assert found == plain


def test_large_tensors_begin_at_pages(tmp_path: Path) -> None:
    big = numbers(1 << 18)
    made = _model("y = Conv(x, w)", w=WEIGHT, b=big, c=big + 1, d=WEIGHT[1:])
    written = write_model(made, tmp_path / "net.onnx", "always")
    places = {
        t.name: {e.key: e.value for e in t.external_data}
        for t in onnx.load(tmp_path / "net.onnx", load_external_data=False).graph.initializer
    }
    assert written.data is not None
    assert {place["location"] for place in places.values()} == {written.data.name}
    assert int(places["w"]["offset"]) == 0
    assert int(places["b"]["offset"]) == 8192
    assert int(places["c"]["offset"]) % 4096 == 0
    assert written.n_data_bytes > 2 * big.nbytes


def test_what_is_no_longer_used_is_let_go_of() -> None:
    made = _model("y = Conv(x, w)", w=WEIGHT, unused=WEIGHT + 1)
    assert set(made.memory) == {"w", "unused"}
    prune_model(made)
    assert set(made.memory) == {"w"}


def test_two_tensors_of_one_name_are_two() -> None:
    """As when a folded weight takes the place of one that had its name."""
    made = _model()
    again = made.tensor("w", WEIGHT + 1)
    assert np.array_equal(made.values(made.proto.graph.initializer[0]), WEIGHT)
    assert np.array_equal(made.values(again), WEIGHT + 1)


def test_what_is_folded_and_large_is_in_memory_in_the_place_of_what_it_was_folded_from() -> None:
    made = _model("c = Conv(x, w) y = Mul(c, s)", w=WEIGHT, s=numbers(40, 1, 1))
    x = numbers(2, 3, 4, 5)
    (before,) = run(made.inlined(), x=x)
    fold_batch_normalization(made)
    (values,) = made.memory.values()
    assert np.array_equal(values, WEIGHT * numbers(40, 1, 1, 1))
    np.testing.assert_allclose(run(made.inlined(), x=x)[0], before, rtol=1e-5)


def test_what_is_smaller_than_a_byte_stays_in_the_graph() -> None:
    made = _model("y = Conv(x, w)", w=WEIGHT)
    values = numpy_helper.to_array(helper.make_tensor("t", TensorProto.INT4, [4000], [1] * 4000))
    assert not is_external(made.tensor("t", values))


@pytest.mark.parametrize("memory", [{}, {"w": WEIGHT[0]}])
def test_a_place_in_memory_with_nothing_there_is_refused(memory: dict[str, Array]) -> None:
    proto = _model().proto
    with pytest.raises(PReLUToolsError, match=r"'w' is stored at 'prelu_tools\.memory'"):
        OnnxModel(proto, None, memory).values(proto.graph.initializer[0])


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_names_memory_is_refused(large: bool, tmp_path: Path) -> None:
    made = _model("y = Conv(x, w)", w=WEIGHT, b=np.zeros(1000) if large else np.zeros(1))
    (tmp_path / "net.onnx").write_bytes(made.proto.SerializeToString())
    (tmp_path / MEMORY).write_bytes(WEIGHT.tobytes())
    with pytest.raises(PReLUToolsError, match=r"stores tensor 'w' at 'prelu_tools\.memory'"):
        read_model(tmp_path / "net.onnx")


def test_a_file_may_speak_of_memory(tmp_path: Path) -> None:
    made = _model()
    made.proto.doc_string = MEMORY
    write_model(made, tmp_path / "net.onnx")
    assert read_model(tmp_path / "net.onnx").proto.doc_string == MEMORY
