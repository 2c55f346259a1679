"""All of the specification's tests run where they are asked for (`make test-onnx`)."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `onnx_suite` out unless `-m` names the marker."""
    if "onnx_suite" in config.option.markexpr:
        return
    whole = [item for item in items if item.get_closest_marker("onnx_suite")]
    for item in whole:
        items.remove(item)
    config.hook.pytest_deselected(items=whole)
