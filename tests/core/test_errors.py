"""Errors that a user may see: the line that installs what is missing, and a verdict's result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools.core import errors
from prelu_tools.core.errors import (
    MissingExtraError,
    missing_extra,
)
from prelu_tools.core.results.verification.result import ExportVerificationError, VerdictError


def test_the_line_that_installs_it_is_in_the_sentence() -> None:
    assert str(MissingExtraError("torch", "torch", "to read nets.py:Net")) == (
        "torch is not installed, and it is needed to read nets.py:Net: "
        "pip install 'prelu-tools[torch]'"
    )


@pytest.mark.parametrize("package", ["tensorflow", "keras", "tf2onnx"])
def test_python_3_14_has_no_tensorflow_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "sys", SimpleNamespace(version_info=(3, 14, 0)))
    said = str(MissingExtraError(package, "keras", "to read nets.py:Net"))
    assert "no build for Python 3.14" in said
    assert "pip install" not in said
    assert "pip install" in str(MissingExtraError("torch", "torch", "to read nets.py:Net"))


def test_a_verdict_holds_its_result() -> None:
    result = cast(Any, object())
    for kind in (VerdictError, ExportVerificationError):
        error = kind("it differs", result)
        assert (str(error), error.result) == ("it differs", result)
        assert kind("it differs").result is None


def _missing(name: str | None) -> ModuleNotFoundError:
    return ModuleNotFoundError("no", name=name)


@pytest.mark.parametrize(
    ("package", "extra"),
    [("torch", "torch"), ("onnxscript", "torch"), ("safetensors", "torch"),
     ("tensorflow", "keras"), ("keras", "keras"), ("tf2onnx", "keras"), ("h5py", "keras"),
     ("matplotlib", "plot")],
)  # fmt: skip
def test_which_extra_a_package_is_of(package: str, extra: str) -> None:
    for name in (package, f"{package}.inner"):
        found = missing_extra(_missing(name))
        expected = (
            f"{package} is not installed, and it is needed for this: "
            f"pip install 'prelu-tools[{extra}]'"
        )
        assert str(found) == expected


@pytest.mark.parametrize(
    "error",
    [
        _missing("os"),
        _missing(None),
        _missing(""),
        ImportError("no", name="torch"),
        KeyError("torch"),
    ],
)
def test_what_is_no_package_of_an_extra_is_none(error: Exception) -> None:
    assert missing_extra(error) is None


def test_what_is_missing_may_lie_deeper() -> None:
    outer, middle = RuntimeError("outer"), ValueError("middle")
    outer.__cause__, middle.__context__ = middle, _missing("keras")
    found = missing_extra(outer)
    assert found is not None
    assert str(found).startswith("keras is not installed")
    own = MissingExtraError("torch", "torch", "here")
    outer.__cause__ = own
    assert missing_extra(outer) is own
