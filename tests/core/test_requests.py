"""One parser an option: what is wrong is wrong in a file, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli

from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SHAPES, InputOption, SourceOptions
from prelu_tools.core.requests.kinds import WrongValueError
from prelu_tools.core.requests.option import read_keywords


@pytest.mark.parametrize("dims", ["²,3", "0,4", "", "a b", "1,,2", "1_0", "-2"])
def test_dims_that_are_none_are_refused_everywhere(dims: str) -> None:
    assert SHAPES.from_text is not None
    for read in (SHAPES.read, SHAPES.from_text):
        with pytest.raises(WrongValueError, match=r"expected NAME:DIMS|list of NAME:DIMS"):
            read([f"x:{dims}"])
    with pytest.raises(UsageError, match="input 'x' is given as"):
        read_keywords(SourceOptions, {"input": {"x": tuple(dims.split(","))}})
    found = cli("verify", "a.onnx", "b.onnx", "--input", f"x:{dims}")
    assert (found.code, found.out) == (2, "")
    assert f"'x:{dims}' is not a valid input: expected NAME:DIMS" in found.words


def test_dims_that_are_good_are_the_same_everywhere() -> None:
    wanted = (InputOption("a:b", ("batch", 3, 12)),)
    assert SHAPES.from_text is not None
    assert SHAPES.read(["a:b:batch, 3,12"]) == wanted
    assert SHAPES.from_text(("a:b:batch, 3,12",)) == wanted
    assert read_keywords(SourceOptions, {"input": {"a:b": ["batch", 3, 12]}}) == {"inputs": wanted}


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("samples", 1.5, "samples 1.5: expected a whole number, 1 or more"),
        ("samples", True, "samples True: expected a whole number, 1 or more"),
        ("seed", -1, "seed -1: expected a whole number, 0 or more"),
        ("search_seconds", float("inf"), "search_seconds inf: expected a number, 0 or more"),
        ("min_coverage", 1.01, "min_coverage 1.01: expected a number from 0 to 1"),
        ("layers", "no", "layers 'no': expected True or False"),
        ("provider", (), "provider (): expected a list of texts, with at least one"),
        ("tolerance", (1e-3, -1), "expected 'calibrated', or (rtol, atol), numbers of 0 or more"),
        ("input_range", {"x": (1, 1)}, "range (1, 1): expected (low, high), as in (0, 255)"),
        ("layout", {"candidate": "chw"}, "layout 'chw': expected one of nchw, nhwc"),
        ("bundle", 3, "bundle 3: expected text that is not empty"),
    ],
)
def test_a_keyword_that_is_wrong_is_named(keyword: str, value: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_keywords(VerifyRequest, {keyword: value})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "value", "field", "meant"),
    [
        ("provider", "cuda", "providers", ("cuda",)),
        ("samples", np.int64(4), "samples", 4),
        ("min_power", np.float32(0.5), "min_power", 0.5),
        ("layers", 0, "layers", False),
        ("input_range", (0, 255), "ranges", {"": (0.0, 255.0)}),
        ("input_range", {"x": [0, 1]}, "ranges", {"x": (0.0, 1.0)}),
        ("bundle", Path("a"), "bundle", Path("a")),
        ("layout", {"candidate": "nhwc"}, "layouts", {"candidate": "nhwc"}),
    ],
)
def test_a_keyword_becomes_its_field(keyword: str, value: Any, field: str, meant: Any) -> None:
    assert read_keywords(VerifyRequest, {keyword: value}) == {field: meant}


@pytest.mark.parametrize("value", [None, (), [], {}])
def test_nothing_is_the_default(value: Any) -> None:
    for keyword in ("layout", "input_range", "bundle", "samples"):
        if value is None or keyword in ("layout", "input_range"):
            assert read_keywords(VerifyRequest, {keyword: value}) == {}
    assert read_keywords(SourceOptions, {"input": value, "custom_objects": value}) == {}


def test_a_time_to_tune_is_above_zero_in_both_places() -> None:
    with pytest.raises(UsageError, match="tune_seconds 0: expected a number above 0"):
        read_keywords(OptimizeRequest, {"tune_seconds": 0})
    assert cli("optimize", "a.onnx", "-o", "b.onnx", "--tune-seconds", "0").code == 2
