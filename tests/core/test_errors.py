"""Errors that a user may see: the line that installs what is missing, and a verdict's result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools import __version__
from prelu_tools.core import errors
from prelu_tools.core.errors import (
    MisfitError,
    MissingExtraError,
    MissingToolError,
    PReLUToolsError,
    UsageError,
    explained,
    explaining,
    missing_extra,
    one_line,
)
from prelu_tools.core.results.verification.result import ExportVerificationError, VerdictError


def test_the_line_that_installs_it_is_in_the_sentence() -> None:
    assert str(MissingExtraError("torch", "torch", "to read nets.py:Net")) == (
        "torch is needed to read nets.py:Net but is not installed: pip install 'prelu-tools[torch]'"
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


@pytest.mark.parametrize("is_near", [True, False])
def test_weights_that_do_not_fit_come_with_how_near_they_are(is_near: bool) -> None:
    error = MisfitError("it does not fit", is_near, {"width": 8})
    assert (str(error), explained(error)) == ("it does not fit", "it does not fit")
    assert (error.is_near, error.trained_with) == (is_near, {"width": 8})


def _missing(name: str | None) -> ModuleNotFoundError:
    return ModuleNotFoundError("no", name=name)


@pytest.mark.parametrize(
    ("package", "extra"),
    [("torch", "torch"), ("onnxscript", "torch"), ("safetensors", "torch"),
     ("tensorflow", "keras"), ("keras", "keras"), ("tf2onnx", "keras"), ("h5py", "keras"),
     ("matplotlib", "plot")],
)  # fmt: skip
def test_which_extra_a_package_is_of(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "sys", SimpleNamespace(version_info=(3, 13, 0)))
    for name in (package, f"{package}.inner"):
        found = missing_extra(_missing(name))
        expected = (
            f"{package} is needed for this but is not installed: pip install 'prelu-tools[{extra}]'"
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
    assert str(found).startswith("keras is needed for this")
    own = MissingExtraError("torch", "torch", "here")
    outer.__cause__ = own
    assert missing_extra(outer) is own


def test_a_tool_that_is_missing_comes_with_advice() -> None:
    error = MissingToolError("node", "to run it", "install Node.js")
    assert str(error) == "node is needed to run it but is not installed: install Node.js"
    assert (error.name, error.advice) == ("node", "install Node.js")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PReLUToolsError("a sentence"), "a sentence"),
        (UsageError(), "UsageError"),
        (_missing("torch.nn"), str(missing_extra(_missing("torch")))),
        (OSError(28, "No space left", "a.onnx"), "the system says: No space left (a.onnx)"),
        (OSError(24, "Too many open files"), "the system says: Too many open files"),
        (MemoryError("2 GB"), "there is not enough memory for this model"),
        (ImportError("libcudart.so.12:\n not found"), "a package cannot be imported "
         "(libcudart.so.12: not found): reinstall it; prelu-tools doctor shows what works, and -v "
         "where it happened"),
        (ModuleNotFoundError("No module named 'wrapt'", name="wrapt"),
         "a package cannot be imported (No module named 'wrapt'): reinstall it; prelu-tools doctor "
         "shows what works, and -v where it happened"),
        (ImportError("our own", name="prelu_tools.core"), "unexpected ImportError: our own. This "
         f"is a bug in prelu-tools {__version__}; -v shows where it happened."),
        (OSError("odd"), f"unexpected OSError: odd. This is a bug in prelu-tools {__version__}; "
         "-v shows where it happened."),
        (KeyError("x"), f"unexpected KeyError: 'x'. This is a bug in prelu-tools {__version__}; "
         "-v shows where it happened."),
    ],
)  # fmt: skip
def test_what_a_user_sees_of_an_error(error: BaseException, words: str) -> None:
    assert explained(error) == words


def test_what_a_library_raises_is_explained() -> None:
    ran = []
    with explaining("it cannot be read"):
        ran.append(1)
    assert ran == [1]
    with pytest.raises(PReLUToolsError) as raised, explaining("it cannot be read"):
        raise ValueError("two\n  lines")
    assert str(raised.value) == "it cannot be read (ValueError: two lines)"
    assert isinstance(raised.value.__cause__, ValueError)
    with pytest.raises(UsageError, match=r"^as it is$"), explaining("it cannot be read"):
        raise UsageError("as it is")


def test_an_error_on_one_line() -> None:
    assert one_line(ValueError(" two\n\tlines ")) == "two lines"
    assert one_line(ValueError("\x1b[1;31mred\x1b[0m and\x1b[m plain")) == "red and plain"
