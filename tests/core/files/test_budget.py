"""What reading a file may take is counted, in bytes and in steps."""

from __future__ import annotations

import pytest

from prelu_tools.core.files.budget import LEAST_BYTES, LEAST_STEPS, Budget, BudgetError


def test_a_small_file_may_fill_a_hundred_megabytes_and_no_more() -> None:
    budget = Budget(1000)
    budget.take(LEAST_BYTES)
    budget.take(2000)
    with pytest.raises(
        BudgetError, match="from a file of 1,000: rejected, because it would need too much memory"
    ):
        budget.take(1)


def test_a_file_may_take_a_step_for_each_byte_and_two_million_more() -> None:
    budget = Budget(10)
    budget.step(LEAST_STEPS)
    budget.step(10)
    with pytest.raises(BudgetError, match=r"too much work for a file of 10 bytes"):
        budget.step()


def test_filling_memory_is_work_too() -> None:
    budget = Budget(0)
    budget.step(LEAST_STEPS)
    with pytest.raises(BudgetError, match="too much work"):
        budget.take(1 << 13)
