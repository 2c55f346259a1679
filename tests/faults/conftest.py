"""Kills by the hundred run where it is asked for (`make test-kill`), not with the other tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `kill` out unless `-m` names the marker."""
    if "kill" in config.option.markexpr:
        return
    many = [item for item in items if item.get_closest_marker("kill")]
    if many:
        config.hook.pytest_deselected(items=many)
        items[:] = [item for item in items if item not in many]
