"""A warning is about the user's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prelu_tools.core.process.callers import level_of_caller


def _function_of(module: str, code: str) -> Callable[..., Any]:
    space: dict[str, Any] = {"__name__": module, "level_of_caller": level_of_caller}
    exec(f"def function(*call):\n    return {code}", space)
    made: Callable[..., Any] = space["function"]
    return made


def test_frames_of_frameworks_and_of_this_package_are_passed_over() -> None:
    warn = _function_of("prelu_tools.training.recorder", "level_of_caller()")
    hook = _function_of("torch.optim.optimizer", "call[0](*call[1:])")
    callback = _function_of("prelu_tools.training", "call[0]()")
    assert warn() == 2
    assert hook(warn) == 3
    assert hook(hook, callback, warn) == 5
    user = _function_of("train", "call[0](*call[1:])")
    assert user(hook, callback, warn) == user(callback, warn) + 1 == 4
