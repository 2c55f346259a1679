"""The explicit signatures of the library say what the requests declare: names, types, defaults."""

from __future__ import annotations

import dataclasses
import inspect as python_inspect
from collections.abc import Callable
from typing import Any, get_args

import pytest

from prelu_tools import api
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.quantize.request import QuantizeRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.option import Option, options_of, read_keywords
from prelu_tools.testing import assert_parity

REQUESTS: list[tuple[Callable[..., Any], type]] = [
    (api.export, ExportRequest),
    (api.verify, VerifyRequest),
    (api.inspect, InspectRequest),
    (api.optimize, OptimizeRequest),
    (api.quantize, QuantizeRequest),
    (assert_parity, VerifyRequest),
]
OWN = {api.quantize: {"calibration"}}
_FRAMEWORKS = {"custom_objects", "allow_unsafe_load"}
NOT_FOR_ONNX = {api.optimize: _FRAMEWORKS, api.quantize: {*_FRAMEWORKS, "input"}}
CASES = [
    pytest.param(function, request, one, id=f"{function.__name__}-{one.name}")
    for function, where in REQUESTS
    for request in (where, SourceOptions)
    for one in options_of(request, "api")
    if one.name not in NOT_FOR_ONNX.get(function, ())
]


def _keywords(function: Callable[..., Any]) -> dict[str, python_inspect.Parameter]:
    parameters = python_inspect.signature(function).parameters
    return {name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}


def _described(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose keywords are those of this one too, with their types and descriptions."""
    return api.verify if function is assert_parity else function


@pytest.mark.parametrize(("function", "request_type"), REQUESTS)
def test_every_option_is_a_keyword_and_every_keyword_an_option(
    function: Callable[..., Any], request_type: type
) -> None:
    declared = [*options_of(request_type, "api"), *options_of(SourceOptions, "api")]
    names = {one.name for one in declared} - NOT_FOR_ONNX.get(function, set())
    assert set(_keywords(function)) - OWN.get(function, set()) == names


@pytest.mark.parametrize(("function", "request_type", "one"), CASES)
def test_a_keyword_has_the_type_that_its_option_takes(
    function: Callable[..., Any], request_type: type, one: Option
) -> None:
    keyword = _keywords(function)[one.name]
    annotation = keyword.annotation.removesuffix(" | None")
    assert (annotation != keyword.annotation) == (keyword.default is None)
    if one.kind.words:
        names = python_inspect.unwrap(_described(function)).__globals__
        words = eval(annotation, names)
        words = eval(words, names) if isinstance(words, str) else words
        assert set(get_args(words)) == set(one.kind.words)
    else:
        assert annotation == one.kind.annotation


@pytest.mark.parametrize(("function", "request_type", "one"), CASES)
def test_a_keyword_has_the_default_of_its_field(
    function: Callable[..., Any], request_type: type, one: Option
) -> None:
    (item,) = (item for item in dataclasses.fields(request_type) if item.name == one.field)
    made = item.default_factory
    default = item.default if made is dataclasses.MISSING else made()
    found = read_keywords(request_type, {one.name: _keywords(function)[one.name].default})
    assert found.get(one.field, default) == default


@pytest.mark.parametrize(("function", "request_type", "one"), CASES)
def test_every_keyword_is_described(
    function: Callable[..., Any], request_type: type, one: Option
) -> None:
    described = _described(function)
    assert f"\n    {one.name}: " in (python_inspect.getdoc(described) or "")
