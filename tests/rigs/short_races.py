"""The race at the end of a command made short: how precise its ratio is does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest


def few_rounds(module: ModuleType) -> Callable[[], Iterator[None]]:
    """A fixture that leaves the fewest rounds to the race of a module."""

    @pytest.fixture(autouse=True, scope="module")
    def fewest() -> Iterator[None]:
        rounds = module._FINAL_ROUNDS.start
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_FINAL_ROUNDS", range(rounds, rounds))
            yield

    return fewest
