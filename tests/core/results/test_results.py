"""The one thing that a result works out by itself."""

from __future__ import annotations

from typing import Literal

import pytest

from prelu_tools.core.results.export import DoctorItem, DoctorResult

State = Literal["ok", "missing", "broken"]


@pytest.mark.parametrize(
    ("states", "works"),
    [(["ok", "ok"], True), (["ok", "missing"], False), (["broken", "ok"], False)],
)
def test_the_tool_works_where_all_of_its_core_does(states: list[State], works: bool) -> None:
    core = tuple(DoctorItem("package", state, "") for state in states)
    missing = DoctorItem("torch: torch", "missing", "")
    result = DoctorResult("3.12", "Linux", core, extras=(missing,), providers=(missing,))
    assert result.works is works
