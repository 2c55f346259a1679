"""Assertions for tests: on live models and on paths, with messages like numpy.testing's.

from prelu_tools.testing import assert_parity, assert_slopes_equal

def test_export(net, tmp_path):
...
assert_parity(net, tmp_path / "net.onnx", min_coverage=1.0)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prelu_tools.api.verifying import verified, verify
from prelu_tools.arguments import Shapes
from prelu_tools.commands.speaking import in_python, speaking_python
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.callers import level_of_caller
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.requests.speaking import spoken
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.live import Model, name_of, opened_together
from prelu_tools.reports.headline import first_of, headline

if TYPE_CHECKING:
    from prelu_tools.core.prelu.layout import Layout

__all__ = ["ParityWarning", "assert_parity", "assert_slopes_equal"]
P = ParamSpec("P")
R = TypeVar("R")
__unittest = True  # unittest shows no line of this module in a traceback


class ParityWarning(UserWarning):
    """A check passed, but proves less than it seems to: all slopes are initial, for example."""


def _with_parameters_of(
    function: Callable[P, VerifyResult],
) -> Callable[[Callable[..., VerifyResult]], Callable[P, VerifyResult]]:
    """The parameters of another function, for type checkers and for `help`."""

    def shown(check: Callable[..., VerifyResult]) -> Callable[P, VerifyResult]:
        check.__signature__ = signature(function)  # type: ignore[attr-defined]
        return check

    return shown


def _at_the_test(check: Callable[P, R]) -> Callable[P, R]:
    """The function with tracebacks that end at the test's own line."""

    @wraps(check)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        try:
            return check(*args, **kwargs)
        except (AssertionError, PReLUToolsError) as error:
            raise error.with_traceback(None) from None

    return called


@_at_the_test
@speaking_python
@_with_parameters_of(verify)
def assert_parity(reference: Model, *candidates: Model, **options: Any) -> VerifyResult:
    """Raise an error if a candidate differs from its reference, or if there is no verdict.

    The options are those of `prelu_tools.verify`, described there. Three older names still work:
    `inputs` with shapes for `input`, `inputs_file` for `inputs`, `layouts` for `layout`.

    Args:
        reference: the model that is correct; see `Model`.
        candidates: the model to compare with it, or several.
        options: such as `input={"x": ("batch", 3, 112, 112)}`, if the models do not know their
            shapes, or `inputs`, an `.npz` file or numpy arrays by name.

    Returns:
        The result, if it passes. What makes it prove less than it seems to (its `warnings`) is
        issued as a `ParityWarning` at the line of the test.

    Raises:
        AssertionError: the models differ, or there is no verdict; the message says where.
        UsageError: an argument is not valid.
        PReLUToolsError: one of them cannot be read, or the reference cannot be run.
    """
    given = signature(verify).bind(reference, *candidates, **_by_its_name_today(options))
    given.apply_defaults()
    result = spoken(verified(reference, candidates, given.arguments, in_test=True), in_python)
    if result.verdict != "pass":
        raise AssertionError(_message(result))
    for note in result.warnings:
        warnings.warn(note, ParityWarning, stacklevel=level_of_caller())
    return result


def _by_its_name_today(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options under the names that `prelu_tools.verify` has for them.

    Raises:
        UsageError: one is given under both names.
    """
    found = dict(given)
    older = {"inputs_file": "inputs", "layouts": "layout"}
    if _are_shapes(found.get("inputs")):
        found["shapes"] = found.pop("inputs")
        older = {"shapes": "input", **older}
    for old, name in older.items():
        value = found.pop(old, None)
        if value is None:
            continue
        if found.get(name) is not None:
            said = "inputs" if old == "shapes" else old
            raise UsageError(f"{name} and its older name {said} are both given: leave out {said}")
        found[name] = value
    return found


def _are_shapes(values: object) -> bool:
    """Whether these are sizes by name, not arrays."""
    return isinstance(values, Mapping) and all(
        isinstance(sizes, (tuple, list)) and all(isinstance(size, (int, str)) for size in sizes)
        for sizes in values.values()
    )


@_at_the_test
@speaking_python
def assert_slopes_equal(
    reference: Model,
    candidate: Model,
    *,
    input: Shapes | None = None,
    layout: Mapping[str, Layout] | None = None,
    inputs: Shapes | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> None:
    """Raise an error unless the slopes of two models are equal bit for bit; compares only slopes.

    Args:
        reference: the model that is correct; see `Model`.
        candidate: the model to compare with it.
        input: as for `assert_parity`.
        layout: as for `assert_parity`.
        inputs: older name of `input`.
        layouts: older name of `layout`.

    Raises:
        AssertionError: a layer differs, is missing or is additional; or there are no layers.
        PReLUToolsError: one of them cannot be read.
    """
    from prelu_tools.commands.verify.command import layouts_of
    from prelu_tools.commands.verify.request import (
        VerifyRequest,
        refuse_lone_layouts,
        refuse_unknown_layouts,
    )
    from prelu_tools.core.prelu.slopediff import compare_slopes, pair_layers

    keywords = _by_its_name_today(
        {"input": input, "layout": layout, "inputs": inputs, "layouts": layouts}
    )
    options = SourceOptions(**read_keywords(SourceOptions, keywords))
    given = read_keywords(VerifyRequest, {"layout": keywords["layout"]}).get("layouts", {})
    left_name, right_name = name_of(reference, "reference"), name_of(candidate, "candidate")
    request = VerifyRequest(left_name, (right_name,), layouts=given)
    refuse_unknown_layouts(given, (left_name, right_name))
    refuse_lone_layouts([request])
    orders = layouts_of(request, right_name)
    models = (left_name, reference), {right_name: candidate}
    with opened_together(*models, options, orders, paths=True) as (left, ready):
        mine, theirs = left.layers(), ready[right_name].layers()
    if not mine and not theirs:
        raise AssertionError(f"neither {left_name} nor {right_name} has a PReLU to compare")
    paired = pair_layers(mine, theirs)
    lines = [f"{layer.name}: missing in {right_name}" for layer in paired.missing]
    lines += [f"{layer.name}: not in {left_name}" for layer in paired.unexpected]
    for layer, other in paired.pairs:
        difference = compare_slopes(layer, other, orders.permutation(layer.slopes.ndim))
        if not difference.equal:
            lines.append(f"{layer.name}: {difference.description}")
    if lines:
        title = f"Slopes are not equal: {_sides(left_name, right_name)}"
        raise AssertionError("\n".join([first_of(lines), title, *(f"  {x}" for x in lines)]))


def _sides(reference: str, candidates: str) -> str:
    """Both sides by name; an object's begins with its role."""
    role = "" if reference.startswith("reference (") else " (reference)"
    return f"{reference}{role}, {candidates}"


def _message(result: VerifyResult) -> str:
    from prelu_tools.reports import Style, render

    state = "Not equal" if result.verdict == "fail" else "Not proven equal"
    names = ", ".join(dict.fromkeys(report.model for report in result.candidates))
    lines = [
        headline(result) or state,  # pytest's summary shows the first line
        f"{state}: {_sides(result.reference, names)}",
    ]
    for report in result.candidates:
        for output in report.outputs:
            if output.verdict == "pass":
                continue
            count = output.n_mismatched + output.n_nonfinite_mismatch
            lines += [
                f"Output {output.name}: {count:,} elements differ",
                f"Max absolute difference: {output.max_abs_diff:.8g}",
                f"Max relative difference: {output.max_rel_diff:.8g}",
            ]
    return "\n".join([*lines, "", render(result, "table", Style(details=True))])
