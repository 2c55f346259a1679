"""The race at the end is short: how precise its ratio is does not matter to these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prelu_tools.commands.quantize import outcome


@pytest.fixture(autouse=True, scope="module")
def _few_rounds() -> Iterator[None]:
    fewest = outcome._FINAL_ROUNDS.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome, "_FINAL_ROUNDS", range(fewest, fewest))
        yield
