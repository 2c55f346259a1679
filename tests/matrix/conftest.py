"""The whole matrix runs where it is asked for (`make test-matrix`), not with the other tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `matrix` out unless `-m` names the marker."""
    if "matrix" in config.option.markexpr:
        return
    whole = [item for item in items if item.get_closest_marker("matrix")]
    if whole:
        config.hook.pytest_deselected(items=whole)
        items[:] = [item for item in items if item not in whole]
