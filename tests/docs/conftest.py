"""Pages whose commands take long run where they are asked for (`make test-docs`)."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `docs` out unless `-m` names the marker."""
    if "docs" in config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("docs")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
