"""`inspect` as a function, for one model and for two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from prelu_tools.arguments import Shapes, Values, values_file
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.targets import Runtime
from prelu_tools.live import Model, name_of, opened, turns


@overload
def inspect(
    source: Model,
    other: None = None,
    *,
    near: float = ...,
    data: Values | None = ...,
    target: Runtime | None = ...,
    input: Shapes | None = ...,
    custom_objects: str | Sequence[str] = ...,
    allow_unsafe_load: bool = ...,
    verbose: bool = ...,
) -> InspectResult: ...
@overload
def inspect(
    source: Model,
    other: Model,
    *,
    near: float = ...,
    data: Values | None = ...,
    target: Runtime | None = ...,
    input: Shapes | None = ...,
    custom_objects: str | Sequence[str] = ...,
    allow_unsafe_load: bool = ...,
    verbose: bool = ...,
) -> CompareResult: ...
@speaking_python
def inspect(
    source: Model,
    other: Model | None = None,
    *,
    near: float = 0.01,
    data: Values | None = None,
    target: Runtime | None = None,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> InspectResult | CompareResult:
    """Show the PReLU slopes of a model, layer by layer, or what changed from one to another.

    Args:
        source: the model, or a file that has only weights.
        other: a second model, to compare with the first.
        near: how close to 0 (or 1) a slope has to be to count as ReLU (or the identity).
        data: inputs to run an ONNX model on, to see how often each negative branch is used.
        target: a runtime of `core.targets.RUNTIMES`, to predict what it does with each layer of an
            ONNX model.
        input: the shapes of inputs that the model does not define.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to list near misses, and show the frameworks' messages.

    Returns:
        The layers with their statistics, health and findings; for two models, what changed.

    Raises:
        UsageError: an argument is not valid, or needs an ONNX model.
        PReLUToolsError: a model cannot be read, or the data cannot be run.
    """
    given = locals()
    from prelu_tools.commands.inspect.command import inspect_opened
    from prelu_tools.commands.inspect.compare import compare
    from prelu_tools.commands.inspect.request import InspectRequest

    shared = other is not None
    options = SourceOptions(**read_keywords(SourceOptions, given), is_shared=shared)
    fields = read_keywords(InspectRequest, {**given, "data": None})
    found = []
    with values_file(data) as file:
        request = InspectRequest(data=file, explain=verbose, options=options, **fields)
        for model in (source,) if other is None else (source, other):
            with turns(model), opened(model, name_of(model), options, inspecting=True) as live:
                found.append(inspect_opened(live, request))
    return found[0] if other is None else compare(found[0], found[1])
