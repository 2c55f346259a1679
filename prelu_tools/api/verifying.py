"""`verify` as a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

from prelu_tools.arguments import PathLike, Range, Shapes, Values, values_file
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.core.requests.effect import refuse_ignored
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.live import Model, is_live, name_of, opened_together, turns


@speaking_python
def verify(
    reference: Model,
    *candidates: Model,
    provider: str | Sequence[str] = "cpu",
    runtime: str | Sequence[str] = (),
    allow_fallback: bool = False,
    inputs: Values | None = None,
    save_inputs: PathLike | None = None,
    input_range: Range | Mapping[str, Range] | None = None,
    samples: int | None = None,
    seed: int = 0,
    search_seconds: float | None = None,
    tolerance: Literal["calibrated"] | tuple[float, float] = "calibrated",
    layers: bool = True,
    min_coverage: float | None = None,
    min_hits: int | None = None,
    power: bool = True,
    min_power: float | None = None,
    quick: bool = False,
    bundle: PathLike | None = None,
    layout: Mapping[str, Layout] | None = None,
    strict_special: bool = False,
    strict_interface: bool = False,
    strict_warnings: bool = False,
    allow_no_prelu: bool = False,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> VerifyResult:
    """Compare each candidate with a reference: slopes bit for bit, every layer, every output.

    A candidate that fails or cannot be read is part of the result and raises no exception. Check
    the `verdict` of the result, use it as a condition (`if verify(...)`), or call
    `raise_for_verdict()`.

    Args:
        reference: the model that is correct.
        candidates: the models to compare with it; at least one.
        provider: the execution provider, or several, that ONNX candidates run on: `cpu`, `cuda`,
            `tensorrt`, `openvino` or onnxruntime's own name, optionally with options
            (`cuda:use_tf32=1`).
        runtime: a runtime, or several, that ONNX candidates run on too, converted if necessary:
            `ncnn`, `openvino`, `mnn` or `onnxruntime-web`.
        allow_fallback: whether nodes may run on a provider other than the requested one.
        inputs: use exactly these inputs; with `samples`, in addition to random ones.
        save_inputs: an `.npz` file in which to save the inputs that were used.
        input_range: `(low, high)` of the values that inputs may take, for all or by name.
        samples: number of random rows; None for 16.
        seed: random seed for the inputs.
        search_seconds: how long to search for inputs that reach slopes which no random input
            reached; 0 for not at all, None for a fixed number of steps.
        tolerance: `calibrated`, from the reference's own rounding error, or `(rtol, atol)` as in
            `numpy.testing.assert_allclose`.
        layers: whether to compare the output of every PReLU layer while the models run.
        min_coverage: required share of slopes, from 0 to 1, that meet a negative value.
        min_hits: required number of negative values that each slope meets.
        power: whether to plant slope faults in a copy of the candidate, to measure what the checks
            catch.
        min_power: required share of caught faults among those planted on reached slopes; None
            for all of them, if that can be measured.
        quick: whether to run only the cheap checks: 4 inputs, no search for further ones, no
            planted faults.
        bundle: a folder for a minimal reproduction of a failure.
        layout: the axis order, `nchw` or `nhwc`, of `reference`, `candidate` or a model's path.
        strict_special: whether a layer that differs only for infinite or NaN inputs fails.
        strict_interface: whether any difference in names, types, sizes or axes of inputs and
            outputs fails.
        strict_warnings: whether a warning fails, such as a record that is older than its model.
        allow_no_prelu: whether models without any PReLU pass if their outputs agree.
        input: the shapes of inputs that a model does not define.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        The result; true if everything passed.

    Raises:
        UsageError: an argument is not valid.
        PReLUToolsError: the reference cannot be read or run.
    """
    return verified(reference, candidates, locals())


def verified(
    reference: Model, candidates: Sequence[Model], given: Mapping[str, Any], in_test: bool = False
) -> VerifyResult:
    """The result of `verify`, for its keyword arguments by name.

    Args:
        reference: the model that is correct.
        candidates: the models to compare with it.
        given: the keyword arguments.
        in_test: whether a candidate that cannot be read raises, and options may say more than
            these models need, as a test does that runs for several.
    """
    from prelu_tools.commands.verify.command import before_loading, layouts_of, verify_source
    from prelu_tools.commands.verify.request import (
        VerifyRequest,
        refuse_lone_layouts,
        refuse_unknown_layouts,
    )

    if not candidates:
        raise UsageError(f"no candidate to compare {name_of(reference)} with: give at least one")
    options = SourceOptions(**read_keywords(SourceOptions, given), is_shared=in_test)
    fields = read_keywords(VerifyRequest, {**given, "inputs": None})  # written to a file below
    left = name_of(reference, "reference")
    names = _names(candidates)
    with turns(reference, *candidates), ExitStack() as stack:
        file = stack.enter_context(values_file(given["inputs"]))
        request = VerifyRequest(left, names, inputs_file=file, options=options, **fields)
        if in_test:
            refuse_unknown_layouts(request.layouts, (left, *names))
            refuse_lone_layouts([request])
            refuse_ignored(request, VerifyRequest)
        else:
            objects = zip((left, *names), (reference, *candidates), strict=True)
            refused = before_loading(request, [name for name, model in objects if is_live(model)])
            if refused is not None:
                return refused
        models = dict(zip(names, candidates, strict=True))
        orders = layouts_of(request, names[0] if len(names) == 1 else "")
        together = opened_together((left, reference), models, options, orders, paths=in_test)
        source, ready = stack.enter_context(together)
        return verify_source(source, request, ready)


def _names(candidates: Sequence[Model]) -> tuple[str, ...]:
    """What each is called; objects are numbered if there are several."""
    many = len(candidates) > 1
    return tuple(
        name_of(model, f"candidate {number}" if many else "candidate")
        for number, model in enumerate(candidates, start=1)
    )
