"""Every spelling of PReLU in PyTorch, with every sharing, rank, opset and type, through export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from cells import (
    EXCLUDED,
    FEATURES,
    Cell,
    Exclusion,
    Group,
    a_part_at_once,
    every_cell,
    groups,
    pairwise,
)
from checking import Array, Framework, problems_of, report_each

pytestmark = pytest.mark.torch

FORMS = ("native", "function", "where", "mask", "clip", "max_min", "relu_sub", "abs", "max")
NO_CELLS: tuple[Exclusion, ...] = (
    *EXCLUDED,
    (
        "PyTorch's own PReLU has one slope, or one a channel",
        lambda cell: (
            cell.form in ("native", "function")
            and cell.group.sharing in ("element-wise", "partial")
        ),
    ),
)
CELLS = every_cell(FORMS, NO_CELLS)


def _run(forms: Sequence[str], group: Group, x: Array) -> Mapping[str, Array]:
    import torch
    from torch_cells import Net

    with torch.no_grad():
        outputs = Net(forms, group.sharing, group.rank, group.size)(torch.from_numpy(x))
    return {form: output.numpy() for form, output in outputs.items()}


def _input(group: Group) -> tuple[str, ...]:
    places = zip(group.free, group.places, strict=True)
    free = [f"size_{axis}" if free else str(size) for axis, (free, size) in enumerate(places)]
    sizes = ["batch", str(FEATURES), *free]
    return ("--input", f"x:{','.join(sizes)}") if group.size == "dynamic" else ()


TORCH = Framework(
    source=f"{Path(__file__).with_name('torch_cells.py')}:Net",
    slopes="{}.weight",
    channels_last=False,
    around={2: frozenset({"Gemm"}), **dict.fromkeys((3, 4, 5), frozenset({"Conv"}))},
    run=_run,
    options=_input,
)


def test_the_matrix_of_torch_is_whole() -> None:
    from torch_cells import SPELLINGS

    assert ("native", *SPELLINGS) == FORMS
    # By the rank, and the kinds of sharing that are written by hand only: 3 opsets, 2 types.
    at_rank_2, channels, places = 2 * 9, 3 * 3 * 2 * 9, 3 * 2 * 2 * 7
    assert len(CELLS) == (at_rank_2 + channels + places) * 3 * 2
    assert len(set(CELLS)) == len(CELLS)


@pytest.mark.parametrize("cell", a_part_at_once(pairwise(CELLS)), ids=str)
def test_torch_cell(cell: Cell, tmp_path: Path) -> None:
    assert problems_of(TORCH, cell.group, [cell.form], tmp_path) == ""


@pytest.mark.matrix
@pytest.mark.parametrize("group", groups(CELLS), ids=str)
def test_every_torch_cell(group: Group, tmp_path: Path) -> None:
    assert report_each(TORCH, group, groups(CELLS)[group], tmp_path) == {}
