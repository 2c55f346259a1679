"""Planted faults are measured on onnxruntime; of other runtimes a note says that they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from between_convolutions import save_between_convolutions

from prelu_tools.api import verify
from prelu_tools.core.results.reasons import code_of

pytestmark = pytest.mark.runtimes


@pytest.mark.parametrize(("power", "said"), [(True, True), (False, False)])
def test_it_is_said_where_power_was_not_measured(tmp_path: Path, power: bool, said: bool) -> None:
    path = save_between_convolutions(tmp_path / "net.onnx", [6, 5, 4], (6, 1, 1))
    result = verify(path, path, runtime="openvino", samples=4, search_seconds=0.0, power=power)
    assert result.verdict == "pass"
    codes = [code_of(note) for note in result.notes]
    assert codes.count("power_not_measured") == (1 if said else 0)
    assert ("not on openvino" in " ".join(result.notes)) == said
