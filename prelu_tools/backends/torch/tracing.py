"""The last route: the older exporter, which runs the module once and writes down what it did."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.jit._trace import TracerWarning

from prelu_tools.backends.conversion import Parameter
from prelu_tools.backends.torch.task import INNER, Flat, RouteError, Task, first_line
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.model import OnnxModel

_OPSETS = (13, 20)  # that it is asked for


def by_tracing(
    task: Task, opset: int, tags: TagBook, parameters: Mapping[str, Parameter]
) -> tuple[OnnxModel, tuple[str, ...]]:
    """Convert a module by tracing it.

    Returns:
        The graph, and what of the module became fixed: Python code that depends on values ran as
        it does for the inputs of the trace.

    Raises:
        RouteError: torch refuses the module.
    """
    if task.derived:
        raise RouteError(f"the slopes {next(iter(task.derived))} are computed as the module runs")
    written: Any = io.BytesIO()  # torch's annotation leaves out that it takes one
    axes = {
        spec.name: {axis: dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in task.arguments.specs
    }
    with warnings.catch_warnings(record=True) as heard, _tagged(task.module, tags, parameters):
        warnings.simplefilter("always")
        try:
            torch.onnx.export(
                Flat(task),
                task.tensors,
                written,
                dynamo=False,
                opset_version=min(max(opset, _OPSETS[0]), _OPSETS[1]),
                input_names=task.input_names,
                output_names=list(task.outputs),
                dynamic_axes=axes,
            )
        except Exception as error:
            raise RouteError(first_line(error)) from error
    proto = onnx.load_from_string(written.getvalue())
    for node in proto.graph.node:
        node.name = _plain_name(node.name)
    return OnnxModel(proto, None), tuple(_fixed(heard))


@contextmanager
def _tagged(
    module: nn.Module, tags: TagBook, parameters: Mapping[str, Parameter]
) -> Iterator[None]:
    """Within the block the module has tags for slopes; afterwards it is as it was."""
    swapped: list[tuple[Any, str, torch.Tensor]] = []
    try:
        for key, parameter in parameters.items():
            path, _, name = key.rpartition(".")
            owner = module.get_submodule(path)
            original = owner._parameters.get(name, owner._buffers.get(name))
            tagged = nn.Parameter(torch.from_numpy(tags.tag(key, tuple(parameter.values.shape))))
            for part in module.modules():
                for held in (part._parameters, part._buffers):
                    for own, tensor in held.items():
                        if tensor is original and tensor is not None:
                            swapped.append((held, own, tensor))
                            held[own] = tagged
        yield
    finally:
        for held, own, tensor in swapped:
            held[own] = tensor


def _plain_name(name: str) -> str:
    """A node's module and operator: `features.1/PRelu` of `/inner/features/features.1/PRelu`."""
    *path, operator = name.strip("/").split("/")
    parts: list[str] = []
    for part in path[1:] if path[:1] == [INNER] else path:
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return "/".join([".".join(parts), operator] if parts else [operator])


def _fixed(heard: list[warnings.WarningMessage]) -> Iterator[str]:
    """What the tracer says that it cannot see, once a place."""
    found: dict[str, None] = {}
    for warning in heard:
        if issubclass(warning.category, TracerWarning):
            text = str(warning.message).splitlines()[0].partition(" might cause")[0]
            found[f"{Path(warning.filename).name}, line {warning.lineno}: {text}"] = None
    yield from found
