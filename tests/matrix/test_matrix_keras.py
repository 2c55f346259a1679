"""Every spelling of PReLU in Keras, with every sharing, rank, opset and type, through export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from cells import CHANNELS, EXCLUDED, Cell, Group, a_part_at_once, every_cell, groups, pairwise
from checking import Array, Framework, problems_of, report_each, unpadded
from onnx import numpy_helper
from running import cli

pytestmark = pytest.mark.keras

FORMS = (
    "native", "where", "tf_where", "mask", "clip", "max_min", "relu_sub", "relu_neg", "abs", "max"
)  # fmt: skip
CELLS = every_cell(FORMS, EXCLUDED)


def _run(forms: Sequence[str], group: Group, x: Array) -> Mapping[str, Array]:
    from keras import ops
    from keras_cells import net

    outputs = net(forms, group.sharing, group.rank, group.size)(x)
    return {form: ops.convert_to_numpy(output) for form, output in outputs.items()}


KERAS = Framework(
    source=f"{Path(__file__).with_name('keras_cells.py')}:net",
    slopes="{}/alpha",
    channels_last=True,
    around={
        2: frozenset({"MatMul", "Add", "Gemm"}),
        3: frozenset({"Transpose", "Unsqueeze", "Conv", "Squeeze", "Add"}),
        4: frozenset({"Transpose", "Conv"}),
        5: frozenset({"Transpose", "Conv"}),
    },
    run=_run,
)


def test_the_matrix_of_keras_is_whole() -> None:
    from keras_cells import SPELLINGS

    assert ("native", *SPELLINGS) == FORMS
    # By the rank, and what slopes a position leave dynamic: 10 forms, 3 opsets, 2 types.
    at_rank_2, channels, places = 2, 3 * 3 * 2, 3 * 2 * 2
    assert len(CELLS) == (at_rank_2 + channels + places) * 10 * 3 * 2
    assert len(set(CELLS)) == len(CELLS)


@pytest.mark.parametrize("cell", a_part_at_once(pairwise(CELLS)), ids=str)
def test_keras_cell(cell: Cell, tmp_path: Path) -> None:
    assert problems_of(KERAS, cell.group, [cell.form], tmp_path) == ""


@pytest.mark.matrix
@pytest.mark.parametrize("group", groups(CELLS), ids=str)
def test_every_keras_cell(group: Group, tmp_path: Path) -> None:
    assert report_each(KERAS, group, groups(CELLS)[group], tmp_path) == {}


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_keras_slopes_shared_along_every_combination_of_axes(rank: int, tmp_path: Path) -> None:
    from keras_cells import combinations_of, every_sharing, sharing_name

    source = f"{Path(__file__).with_name('keras_cells.py')}:every_sharing({rank})"
    found = cli("export", source, "-o", tmp_path / "net.onnx", "-q")
    assert found.code == 0, found.err
    graph = onnx.load(tmp_path / "net.onnx").graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "PRelu"]
    names = [sharing_name(axes) for axes in combinations_of(rank)]
    assert [node.name for node in nodes] == names
    net = every_sharing(rank)
    for node in nodes:
        due = np.moveaxis(np.asarray(net.get_layer(node.name).alpha), -1, 0)
        slopes = tensors[node.input[1]]
        assert slopes.size == 1 or slopes.ndim > 1
        slopes = slopes.reshape(unpadded(slopes.shape))
        broadcast = np.broadcast_to(slopes, (CHANNELS,) * (rank - 1))
        assert np.array_equal(broadcast, np.broadcast_to(due, broadcast.shape))
