"""The effort of runs, and what a search may take: by effort, and by the clock where that is far."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from prelu_tools.core.process import effort
from prelu_tools.core.process.effort import Budget, effort_of


def test_more_of_anything_is_more_effort() -> None:
    least = effort_of(0, 0, 0)
    assert least > 0
    assert all(effort_of(*more) > least for more in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert effort_of(2e8, 0, 0) - least == pytest.approx(2 * (effort_of(1e8, 0, 0) - least))


def test_a_budget_ends_once_and_says_by_what(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [7.0]
    monkeypatch.setattr(effort, "time", SimpleNamespace(monotonic=lambda: now[0]))
    budget = Budget(3.0, 10.0)
    assert [budget.spend(2.0), budget.ended_by] == [True, None]
    assert [budget.spend(1.5), budget.ended_by] == [False, "effort"]
    assert not budget.spend(0.5)  # it has ended
    assert budget.spent == 2.0
    budget.extend(5.0, 20.0)
    now[0] = 27.0
    assert [budget.spend(3.0), budget.ended_by] == [True, None]
    now[0] = 27.1
    assert [budget.spend(0.0), budget.ended_by] == [False, "clock"]
