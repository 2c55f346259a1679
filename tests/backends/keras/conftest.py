"""What the tests of Keras share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, as the backend imports it."""
    from prelu_tools.backends.keras.framework import keras

    return keras
