"""What models look up in tables as they run, in each framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_nets import save

from prelu_tools.backends.opening import open_object, open_source
from prelu_tools.backends.protocol.inputs import Lookup, TensorSpec, one_size_a_name
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import SourceOptions


def _plain(found: Sequence[Lookup]) -> list[tuple[int, list[int]]]:
    return [(lookup.size, np.asarray(lookup.positions).reshape(-1).tolist()) for lookup in found]


def _onnx(tmp_path: Path, nodes: list[Any], shape: list[Any], **constants: Array) -> Any:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes, "lookups", [helper.make_tensor_value_info("ids", TensorProto.INT64, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    return open_source(str(tmp_path / "net.onnx"), SourceOptions())


TABLE = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.mark.parametrize(
    ("operator", "given", "more", "expected"),
    [
        ("Gather", ["table", "next"], {}, [(6, [3, 1])]),
        ("Gather", ["table", "next"], {"axis": 1}, [(2, [3, 1])]),
        ("GatherElements", ["flat", "next"], {}, [(9, [3, 1])]),
        ("GatherND", ["table", "pairs"], {}, [(6, [3]), (2, [1])]),
        ("OneHot", ["next", "depth", "values"], {}, [(5, [3, 1])]),
        ("Gather", ["table", "fixed"], {}, []),
    ],
)
def test_what_an_onnx_file_looks_up(
    operator: str, given: list[str], more: dict[str, int],
    expected: list[tuple[int, list[int]]], tmp_path: Path,
) -> None:  # fmt: skip
    from onnx import helper

    source = _onnx(
        tmp_path,
        [
            helper.make_node("Add", ["ids", "one"], ["next"]),
            helper.make_node("Unsqueeze", ["next", "first"], ["pairs"]),
            helper.make_node(operator, given, ["z"], **more),
            helper.make_node("Cast", ["z"], ["y"], to=1),
        ],
        ["n"], one=np.array(1), first=np.array([0]), table=TABLE,
        flat=np.zeros(9, np.float32), depth=np.array(5), fixed=np.array([0, 1]),
        values=np.array([0.0, 1.0], np.float32),
    )  # fmt: skip
    ids = np.array([0, 0] if operator == "Gather" and more else [2, 0])
    found = source.lookups({"ids": ids})
    if more:
        expected = [(2, [1, 1])]
    assert _plain(found) == expected


def test_what_an_onnx_file_looks_up_in_a_branch_of_a_loop(tmp_path: Path) -> None:
    """Turns 0 and 2 look at the ids as they are, turn 1 at the ids and 1."""
    text = """
        y = Loop (three, , zeros) <
            body = turn (int64 i, bool c, float[n,2] s) => (bool d, float[n,2] r) {
                d = Identity(yes) o = Equal(i, one) g = If (o) <
                    then_branch = odd () => (float[n,2] u) {
                        k = Add(ids, one) u = Gather(table, k) },
                    else_branch = even () => (float[n,2] w) { w = Gather(table, ids) }>
                r = Add(s, g) }>"""
    path = save(
        tmp_path / "net.onnx", text, "int64[n] ids", "float[n,2] y", three=np.array(3),
        zeros=np.zeros((2, 2), np.float32), yes=np.array(True), one=np.array(1), table=TABLE,
    )  # fmt: skip
    source = open_source(str(path), SourceOptions())
    found = _plain(source.lookups({"ids": np.array([3, 1])}))
    assert sorted(found) == [(6, [3, 1]), (6, [3, 1]), (6, [4, 2])]


@pytest.mark.torch
def test_what_a_torch_module_looks_up() -> None:
    import torch
    from torch import nn
    from torch.nn.functional import one_hot

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.act = nn.Embedding(8, 3), nn.PReLU()
            self.bag = nn.EmbeddingBag(4, 3)
            self.bank = nn.Parameter(torch.ones(7, 3))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            parts = [
                self.table(ids), one_hot(ids, 9)[:, :3], self.bank[ids],
                self.bank.gather(0, ids[:, None].expand(-1, 3)), self.bag(ids[:, None]),
                self.bank.index_select(0, ids), self.bank[ids[0]],
            ]  # fmt: skip
            return self.act(sum(parts))

        def example_inputs(self) -> torch.Tensor:
            return torch.tensor([1, 2])

    source = open_object(Net(), "net", SourceOptions())
    found = _plain(source.lookups({"ids": np.array([3, 1])}))
    wanted = [(8, [3, 1]), (9, [3, 1]), (7, [3, 1]), (7, [3, 3, 3, 1, 1, 1]), (4, [3, 1]), (7, [3])]
    assert [lookup for lookup in wanted if lookup not in found] == []


@pytest.mark.keras
def test_what_a_keras_model_looks_up(tmp_path: Path) -> None:
    import keras
    from keras import layers

    ids = keras.Input((3,), dtype="int32", name="ids")
    table = layers.Embedding(20, 4)(ids)
    hot = keras.ops.one_hot(ids, 6)
    x = layers.Concatenate()([table, hot])
    model = keras.Model(ids, layers.PReLU(shared_axes=[1])(x))
    model.save(tmp_path / "m.keras")
    model.export(str(tmp_path / "saved"), verbose=False)
    for path in ("m.keras", "saved"):
        source = open_source(str(tmp_path / path), SourceOptions())
        (spec,) = source.inputs()
        found = _plain(source.lookups({spec.name: np.array([[2, 0, 5]], np.int32)}))
        assert found == [(20, [2, 0, 5]), (6, [2, 0, 5])]


def test_one_name_has_one_example() -> None:
    def specs(**shapes: Any) -> list[TensorSpec]:
        return [
            TensorSpec(name, "float32", shape, tuple(
                d if isinstance(d, int) else (1 if i == 0 else 48) for i, d in enumerate(shape)
            ))
            for name, shape in shapes.items()
        ]  # fmt: skip

    def examples(**shapes: Any) -> Mapping[str, tuple[int, ...]]:
        return {spec.name: spec.example for spec in one_size_a_name(specs(**shapes))}

    assert examples(x=("b", "t", 6), h=(1, "b", 9)) == {"x": (1, 48, 6), "h": (1, 1, 9)}
    assert examples(h=(1, "b", 9), x=("b", "t", 6)) == {"x": (1, 48, 6), "h": (1, 1, 9)}
    assert examples(x=("n", 7), a=("n", "n")) == {"x": (48, 7), "a": (48, 48)}
