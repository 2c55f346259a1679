"""The choice of cells: every pair of values is in one, and what is not a cell has a reason."""

from __future__ import annotations

import importlib
from itertools import product

import onnx
import onnxruntime
import pytest
from cells import (
    DTYPES,
    EXCLUDED,
    OPSETS,
    RANKS,
    SHARINGS,
    SIZES,
    Cell,
    Group,
    a_part_at_once,
    every_cell,
    groups,
    pairs,
    pairwise,
)
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

FORMS = ("native", "where", "clip")


def test_every_combination_is_a_cell_or_has_one_reason_not_to_be() -> None:
    axes = (SHARINGS, RANKS, SIZES, OPSETS, DTYPES)
    every = {Cell(form, Group(*values)) for form in FORMS for values in product(*axes)}
    cells = set(every_cell(FORMS, EXCLUDED))
    reasons = {cell: [why for why, excludes in EXCLUDED if excludes(cell)] for cell in every}
    assert {cell for cell, why in reasons.items() if not why} == cells
    assert {why for found in reasons.values() for why in found} == {why for why, _ in EXCLUDED}


def test_pairwise_holds_every_pair_in_few_cells() -> None:
    cells = every_cell(FORMS, EXCLUDED)
    chosen = pairwise(cells)
    assert set().union(*map(pairs, chosen)) == set().union(*map(pairs, cells))
    assert len(chosen) <= 1.5 * len(SHARINGS) * len(RANKS)
    assert chosen == pairwise(cells)


def test_groups_hold_every_cell_once() -> None:
    cells = every_cell(FORMS, EXCLUDED)
    found = [Cell(form, group) for group, forms in groups(cells).items() for form in forms]
    assert sorted(map(str, found)) == sorted(map(str, cells))


def _load(opset: int) -> None:
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_the_last_opset_is_the_newest_that_onnxruntime_loads() -> None:
    _load(OPSETS[-1])
    with pytest.raises(Fail, match="opset"):
        _load(OPSETS[-1] + 1)


@pytest.mark.parametrize("module", ["test_matrix_torch", "test_matrix_keras"])
def test_the_cells_that_every_run_exports_hold_every_value(module: str) -> None:
    cells = importlib.import_module(module).CELLS
    at_once = [cell for cell in a_part_at_once(pairwise(cells)) if isinstance(cell, Cell)]
    assert 0 < len(at_once) < len(pairwise(cells))
    every, chosen = (
        [set(values) for values in zip(*(cell.values for cell in some), strict=True)]
        for some in (cells, at_once)
    )
    assert chosen == every
