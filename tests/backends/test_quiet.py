"""Chatter is kept away; a warning that matters is handed on."""

from __future__ import annotations

import os
import warnings

import pytest

from prelu_tools.backends.quiet import listening, quiet

_BAKED = "Converting a tensor to a Python boolean might cause the trace to be incorrect."


def _chatter() -> None:
    os.write(1, b"out")
    os.write(2, b"err")
    warnings.warn("this function is deprecated", DeprecationWarning, stacklevel=1)
    for _ in range(2):
        warnings.warn(f"{_BAKED}\n  more", UserWarning, stacklevel=1)


def test_only_what_matters_is_heard_and_once(capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as heard, quiet(show=False):
        _chatter()
    assert heard == [f"{_BAKED} more"]
    assert capfd.readouterr() == ("", "")


def test_what_was_said_before_an_error_is_heard() -> None:
    with listening() as heard, pytest.raises(ValueError, match="no"), quiet(show=False):  # noqa: PT012
        _chatter()
        raise ValueError("no")
    assert len(heard) == 1


def test_whoever_asks_is_shown_everything(capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as heard, quiet(show=True), pytest.warns(UserWarning, match="incorrect"):
        _chatter()
    assert heard == []
    assert capfd.readouterr() == ("out", "err")


def test_without_a_listener_nothing_is_kept() -> None:
    with quiet(show=False):
        _chatter()
    with listening() as heard:
        pass
    assert heard == []
