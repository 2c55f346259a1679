"""The race at the end is short: how precise its ratio is does not matter to these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prelu_tools.commands.optimize import command


@pytest.fixture(autouse=True, scope="module")
def _few_rounds() -> Iterator[None]:
    fewest = command._FINAL_ROUNDS.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_FINAL_ROUNDS", range(fewest, fewest))
        yield
