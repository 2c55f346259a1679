"""The Keras backend that runs and converts a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from prelu_tools.core.errors import MissingExtraError, UsageError
from prelu_tools.core.options import Route

_BACKENDS: Mapping[Route, str] = {"tf2onnx": "tensorflow", "torch": "torch"}
_EXTRAS: Mapping[str, str] = {"tensorflow": "keras", "torch": "torch"}


def take_route(route: Route | None) -> None:
    """Have Keras run on the backend of a route, in this process; None leaves it as it is.

    Keras reads its backend once, when it is imported.

    Raises:
        UsageError: Keras is imported, and runs on another backend.
        MissingExtraError: the backend is not installed.
    """
    if route is None:
        return
    wanted = _BACKENDS[route]
    if (keras := sys.modules.get("keras")) is not None:
        if (found := keras.backend.backend()) != wanted:
            raise UsageError(
                f"the route {route} needs Keras on {wanted}, but in this process it runs on "
                f"{found}: set KERAS_BACKEND={wanted} before Keras is imported"
            )
        return
    if find_spec(wanted) is None:
        raise MissingExtraError(wanted, _EXTRAS[wanted], f"for the route {route}")
    os.environ["KERAS_BACKEND"] = wanted
