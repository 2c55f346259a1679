"""Error messages for failures of a framework."""

from __future__ import annotations

from collections.abc import Mapping

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


def failed_on(label: str, feeds: Mapping[str, Array], error: Exception) -> PReLUToolsError:
    """A model failed on inputs of these shapes."""
    shapes = ", ".join(f"{name}{list(array.shape)}" for name, array in feeds.items())
    return PReLUToolsError(f"{label} fails on inputs {shapes} with {type(error).__name__}: {error}")
