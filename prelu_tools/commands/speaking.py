"""Errors and results in the words of Python, and of a check file: see `core.requests.speaking`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.speaking import speaking
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification import VerifyResult

Function = TypeVar("Function", bound=Callable[..., Any])
Speak = Callable[[str], str]

in_python: Speak = speaking(
    "api", SourceOptions, VerifyRequest, ExportRequest, InspectRequest, OptimizeRequest
)
"""A sentence with keyword arguments in the place of flags."""
in_check_file: Speak = speaking("file", SourceOptions, VerifyRequest)
"""A sentence with keys of a check in the place of flags."""


def speaking_python(function: Function) -> Function:
    """The function with errors that name options as its keyword arguments."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except PReLUToolsError as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (in_python(error.args[0]), *error.args[1:])
            raise

    return cast(Function, called)


def spoken_result(result: VerifyResult, speak: Speak) -> VerifyResult:
    """A result whose reasons and notes name options in other words; codes stay."""

    def said(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(Reason(speak(text), code_of(text)) for text in texts)

    reports = tuple(replace(one, reasons=said(one.reasons)) for one in result.candidates)
    return replace(
        result, candidates=reports, reasons=said(result.reasons), notes=said(result.notes)
    )
