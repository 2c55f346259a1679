"""Errors that a user may see: what was found, what was expected, what to do."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from prelu_tools import __version__

_COLOUR = re.compile(r"\x1b\[[\d;]*m")


class PReLUToolsError(Exception):
    """No verdict could be reached: something is missing, unreadable or not supported (exit 3)."""


class MisfitError(PReLUToolsError):
    """Weights do not fit the model that they are loaded into.

    Args:
        text: the sentence.
        is_near: whether at least half of them do, so that it may be the model with other arguments.
        trained_with: the arguments of the model that the file states, by name.
    """

    def __init__(self, text: str, is_near: bool, trained_with: Mapping[str, Any]) -> None:
        """Take the sentence."""
        super().__init__(text)
        self.is_near = is_near
        self.trained_with = trained_with


class RefusedInputError(PReLUToolsError):
    """A candidate fails on inputs that its reference accepts, and runs on others."""


class UsageError(PReLUToolsError):
    """The request is not valid: an option, a name, or an existing file (exit 2)."""


_NOT_FOR_314 = ("tensorflow", "keras", "tf2onnx")


def remedy(package: str, extra: str) -> str:
    """What to do if the package of an extra is not installed.

    Args:
        package: the module that is missing.
        extra: the extra of prelu-tools that brings it.
    """
    if package in _NOT_FOR_314 and sys.version_info >= (3, 14):
        return "TensorFlow has no build for Python 3.14 yet: use Python 3.11 to 3.13"
    return f"pip install 'prelu-tools[{extra}]'"


class MissingExtraError(PReLUToolsError):
    """A package of an extra is not installed; the message says how to install it.

    Args:
        package: the module that could not be imported.
        extra: the extra of prelu-tools that brings it.
        purpose: what it is needed for, such as "to read nets.py:Net".
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Build the sentence."""
        super().__init__(
            f"{package} is needed {purpose} but is not installed: {remedy(package, extra)}"
        )


class MissingToolError(PReLUToolsError):
    """A program, or a package of another package manager, is not installed.

    Args:
        name: what is missing.
        purpose: what it is needed for.
        advice: how to install it.
    """

    def __init__(self, name: str, purpose: str, advice: str) -> None:
        """Build the sentence."""
        super().__init__(f"{name} is needed {purpose} but is not installed: {advice}")
        self.name = name
        self.advice = advice


@contextmanager
def explaining(what: str) -> Iterator[None]:
    """Turn any exception of a library within the block into one sentence.

    Raises:
        PReLUToolsError: its text begins with `what`; one raised in the block is passed on.
    """
    try:
        yield
    except PReLUToolsError:
        raise
    except Exception as error:
        raise PReLUToolsError(f"{what} ({type(error).__name__}: {one_line(error)})") from error


def explained(error: BaseException) -> str:
    """An error as a user may see it; an unexpected error is reported as a bug."""
    known = missing_extra(error) or error
    if isinstance(known, PReLUToolsError):
        return str(known) or type(known).__name__
    if isinstance(known, OSError) and known.strerror:  # a full disk, too many open files
        where = f" ({known.filename})" if known.filename else ""
        return f"the system says: {known.strerror}{where}"
    if isinstance(known, MemoryError):
        return "there is not enough memory for this model"
    if isinstance(known, ImportError) and not str(known.name).startswith("prelu_tools"):
        return (
            f"a package cannot be imported ({one_line(known)}): reinstall it; prelu-tools doctor "
            "shows what works, and -v where it happened"
        )
    return (
        f"unexpected {type(error).__name__}: {error}. This is a bug in prelu-tools "
        f"{__version__}; -v shows where it happened."
    )


EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "torch": ("torch", "onnxscript", "safetensors"),
    "keras": ("tensorflow", "keras", "tf2onnx", "h5py"),
    "plot": ("matplotlib",),
    "training": ("tensorboard",),
    "lightning": ("pytorch_lightning",),
    "dask": ("distributed", "fsspec"),
    "litert": ("ai_edge_litert",),
    "ncnn": ("ncnn", "pnnx"),
    "openvino": ("openvino",),
}
"""The extras of this package, and the modules for which each is installed."""


def missing_extra(error: BaseException) -> MissingExtraError | None:
    """The error to show if a missing package of an extra is the root cause of another."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, MissingExtraError):
        package = (getattr(seen, "name", None) or "").partition(".")[0]
        extra = next((name for name, modules in EXTRAS.items() if package in modules), None)
        if isinstance(seen, ModuleNotFoundError) and extra is not None:
            return MissingExtraError(package, extra, "for this")
        seen = seen.__cause__ or seen.__context__
    return seen


def one_line(error: BaseException) -> str:
    """What an exception says, on one line and without colours: it becomes part of a sentence."""
    return " ".join(_COLOUR.sub("", str(error)).split())
