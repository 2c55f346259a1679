"""Errors and results in the words of Python, and of a check file: see `core.requests.speaking`."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.record.request import RecordRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.speaking import speaking
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification import VerdictError

Function = TypeVar("Function", bound=Callable[..., Any])
T = TypeVar("T")
Speak = Callable[[str], str]

in_python: Speak = speaking(
    "api",
    *(SourceOptions, VerifyRequest, ExportRequest, InspectRequest, OptimizeRequest, RecordRequest),
)
"""A sentence with keyword arguments in the place of flags."""
in_check_file: Speak = speaking("file", SourceOptions, VerifyRequest)
"""A sentence with keys of a check in the place of flags."""
SENTENCES = frozenset(
    {"difference", "documented", "doubts", "failures", "message", "note", "notes"}
    | {"reason", "reasons", "remark"}
)
"""Fields of results that hold sentences; all other texts are names, and stay as they are."""


def speaking_python(function: Function) -> Function:
    """The function with results and errors that name options as its keyword arguments."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return spoken(function(*args, **kwargs), in_python)
        except PReLUToolsError as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (in_python(error.args[0]), *error.args[1:])
            if isinstance(error, VerdictError):
                error.result = spoken(error.result, in_python)
            raise

    return cast(Function, called)


def spoken(result: T, speak: Speak) -> T:
    """A result whose sentences name options in other words, however deep they lie; codes stay."""
    return cast(T, _spoken(result, speak))


def _spoken(value: Any, speak: Speak) -> Any:
    if isinstance(value, tuple):
        new = tuple(_spoken(item, speak) for item in value)
        return value if all(map(operator.is_, new, value)) else new
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    changed = {}
    for field in dataclasses.fields(value):
        old = getattr(value, field.name)
        new = _said(old, speak) if field.name in SENTENCES else _spoken(old, speak)
        if new is not old:
            changed[field.name] = new
    return dataclasses.replace(value, **changed) if changed else value


def _said(value: Any, speak: Speak) -> Any:
    """A sentence, or several."""
    if isinstance(value, tuple):
        return tuple(_said(text, speak) for text in value)
    if not isinstance(value, str):
        return value
    text = speak(value)
    return value if text == value else Reason(text, code_of(value))
