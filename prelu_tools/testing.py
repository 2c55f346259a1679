"""Assertions for tests: on live models and on paths, with messages like numpy.testing's.

from prelu_tools.testing import assert_parity, assert_slopes_equal

def test_export(net, tmp_path):
...
assert_parity(net, tmp_path / "net.onnx", min_coverage=1.0)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prelu_tools.arguments import Range, ranges_of, source_options, tolerance_of
from prelu_tools.core.options import Dim, SourceOptions
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.live import Model, name_of, opened

if TYPE_CHECKING:
    from prelu_tools.core.prelu.layout import Layout

__all__ = ["assert_parity", "assert_slopes_equal"]


def assert_parity(
    reference: Model,
    candidate: Model,
    *,
    inputs: Mapping[str, Sequence[Dim]] | None = None,
    inputs_file: str | os.PathLike[str] | None = None,
    samples: int | None = None,
    seed: int = 0,
    tolerance: Literal["calibrated"] | tuple[float, float] = "calibrated",
    min_coverage: float | None = None,
    min_power: float | None = None,
    power: bool = True,
    search_seconds: float = 5.0,
    input_range: Range | Mapping[str, Range] | None = None,
    layouts: Mapping[str, Layout] | None = None,
    provider: str = "cpu",
    strict_special: bool = False,
    strict_interface: bool = False,
    allow_no_prelu: bool = False,
) -> VerifyResult:
    """Raise where a candidate is not its reference, or where that could not be found out.

    Args:
        reference: what is taken to be right; see `Model`.
        candidate: what is compared with it.
        inputs: shapes by input name, such as `{"x": ("batch", 3, 112, 112)}`, where the reference
            does not know them.
        inputs_file: an `.npz` file of inputs to replay; None to draw.
        samples: rows to draw; None for the usual number.
        seed: of the inputs.
        tolerance: `calibrated`, or `(rtol, atol)` as in numpy.testing.assert_allclose.
        min_coverage: share of the slopes whose negative branch the inputs have to reach.
        min_power: share of the planted faults on reached slopes that have to be caught; None for
            all of them, where that can be measured.
        power: whether to plant faults.
        search_seconds: how long to look for inputs that reach slopes which no draw reached.
        input_range: the values that inputs may take, for all or by name; None for any.
        layouts: axis orders by `reference` and `candidate`.
        provider: what runs an ONNX candidate.
        strict_special: whether a layer that differs for infinite or NaN inputs only fails.
        strict_interface: whether any difference in names, types and sizes of inputs and outputs
            fails.
        allow_no_prelu: whether models without any PReLU may pass.

    Returns:
        What was found, where it passes.

    Raises:
        AssertionError: they are not the same, or it could not be told; the message says where.
        PReLUToolsError: the reference cannot be read or run.
    """
    from prelu_tools.commands.verify.command import verify_source
    from prelu_tools.commands.verify.request import VerifyRequest

    left_name, right_name = name_of(reference, "reference"), name_of(candidate, "candidate")
    with (
        opened(reference, left_name, source_options(inputs)) as left,
        opened(candidate, right_name, SourceOptions()) as right,
    ):
        request = VerifyRequest(
            reference=left_name,
            candidates=(right_name,),
            providers=(provider,),
            samples=samples,
            seed=seed,
            inputs_file=None if inputs_file is None else Path(inputs_file),
            tolerance=tolerance_of(tolerance),
            layouts=dict(layouts or {}),
            min_coverage=min_coverage,
            min_power=min_power,
            power=power,
            search_seconds=search_seconds,
            ranges=ranges_of(input_range),
            strict_special=strict_special,
            strict_interface=strict_interface,
            allow_no_prelu=allow_no_prelu,
        )
        result = verify_source(left, request, {right_name: right})
    if result.verdict != "pass":
        raise AssertionError(_message(result))
    return result


def assert_slopes_equal(
    reference: Model,
    candidate: Model,
    *,
    inputs: Mapping[str, Sequence[Dim]] | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> None:
    """Raise where the slopes of two models are not the same bits; nothing is compared but slopes.

    Args:
        reference: what is taken to be right; see `Model`.
        candidate: what is compared with it.
        inputs: as for `assert_parity`.
        layouts: as for `assert_parity`.

    Raises:
        AssertionError: a layer differs, is missing, or is too much; or there are none at all.
        PReLUToolsError: one of them cannot be read.
    """
    from prelu_tools.core.prelu.layout import from_layouts
    from prelu_tools.core.prelu.slopediff import compare_slopes, pair_layers

    given = dict(layouts or {})
    left_name, right_name = name_of(reference, "reference"), name_of(candidate, "candidate")
    with (
        opened(reference, left_name, source_options(inputs)) as left,
        opened(candidate, right_name, source_options(inputs)) as right,
    ):
        mine, theirs = left.layers(), right.layers()
    if not mine and not theirs:
        raise AssertionError(f"neither {left_name} nor {right_name} has a PReLU to compare")
    paired = pair_layers(mine, theirs)
    lines = [f"{layer.name}: missing in {right_name}" for layer in paired.missing]
    lines += [f"{layer.name}: not in {left_name}" for layer in paired.unexpected]
    for layer, other in paired.pairs:
        order = None
        if "reference" in given and "candidate" in given:
            order = from_layouts(given["reference"], given["candidate"], layer.slopes.ndim)
        difference = compare_slopes(layer, other, order)
        if not difference.equal:
            lines.append(f"{layer.name}: {difference.description}")
    if lines:
        title = f"Slopes are not equal: {left_name} (reference), {right_name}"
        raise AssertionError("\n".join(["", title, *(f"  {line}" for line in lines)]))


def _message(result: VerifyResult) -> str:
    from prelu_tools.reports import Style, render

    state = "Not equal" if result.verdict == "fail" else "Not proven equal"
    lines = [f"{state}: {result.reference} (reference), {result.candidates[0].model}"]
    for report in result.candidates:
        for output in report.outputs:
            if output.verdict == "pass":
                continue
            count = output.n_mismatched + output.n_nonfinite_mismatch
            lines += [
                f"Output {output.name}: {count} elements differ",
                f"Max absolute difference: {output.max_abs_diff:.8g}",
                f"Max relative difference: {output.max_rel_diff:.8g}",
            ]
    lines += list(result.reasons)
    return "\n".join(["", *lines, "", render(replace(result, reasons=()), "table", Style())])
