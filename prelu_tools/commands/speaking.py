"""Errors and results that name options as Python or a check file does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.quantize.request import QuantizeRequest
from prelu_tools.commands.record.request import RecordRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.speaking import Speak, speaking, spoken
from prelu_tools.core.results.verification.result import VerdictError

Function = TypeVar("Function", bound=Callable[..., Any])

in_python: Speak = speaking(
    "api",
    *(SourceOptions, VerifyRequest, ExportRequest, InspectRequest, OptimizeRequest),
    *(QuantizeRequest, RecordRequest),
)
"""A sentence with keyword arguments in the place of flags."""
in_check_file: Speak = speaking("file", SourceOptions, VerifyRequest)
"""A sentence with keys of a check in the place of flags."""


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
