"""The last route: the older exporter, which runs the module once and records what it did."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from torch import nn
from torch.jit._trace import TracerWarning

from prelu_tools.backends.torch.conversion.putting import Tagged
from prelu_tools.backends.torch.conversion.task import INNER, Flat, RouteError, Task, first_line
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.pipeline import AFTER_TRACING, run_passes
from prelu_tools.graph.passes.tidy import name_boundaries

_OPSETS = (13, 20)  # the opsets that it is requested to write


class Fixed(NamedTuple):
    """Python code that depends on values: it ran as it does for the inputs of the trace."""

    text: str
    """Where it is, and what it does."""
    is_own: bool
    """Whether it is the user's own, and none of the framework's."""


def by_tracing(task: Task, opset: int, slopes: Tagged) -> tuple[OnnxModel, tuple[Fixed, ...]]:
    """Convert a module by tracing it.

    Returns:
        The graph, and what of the module became fixed.

    Raises:
        RouteError: torch refuses the module.
    """
    written: Any = io.BytesIO()  # torch's annotation does not say that it accepts one
    names = list(task.placeholders)
    axes = {
        name: {axis: dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for name, spec in zip(names, task.arguments.specs, strict=False)
    }
    with warnings.catch_warnings(record=True) as heard, _holding(task.module, slopes):
        warnings.simplefilter("always")
        try:
            torch.onnx.export(
                Flat(task, slopes.put),
                task.tensors,
                written,
                dynamo=False,
                opset_version=min(max(opset, _OPSETS[0]), _OPSETS[1]),
                input_names=names[: len(task.input_names)],
                output_names=names[len(task.input_names) :],
                dynamic_axes=axes,
            )
        except Exception as error:
            raise RouteError(first_line(error)) from error
    proto = onnx.load_from_string(written.getvalue())
    for node in proto.graph.node:
        node.name = _plain_name(node.name)
    model = OnnxModel(proto, None)
    name_boundaries(proto.graph, task.placeholders)
    run_passes(model, AFTER_TRACING)
    return model, tuple(_fixed(heard))


@contextmanager
def _holding(module: nn.Module, slopes: Tagged) -> Iterator[None]:
    """Within the block the module has tags for parameters; afterwards they are restored."""
    swapped: list[tuple[Any, str, torch.Tensor]] = []
    try:
        for key, made in slopes.held.items():
            path, _, name = key.rpartition(".")
            owner = module.get_submodule(path)
            original = owner._parameters.get(name, owner._buffers.get(name))
            tagged = nn.Parameter(made)
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


def _fixed(heard: list[warnings.WarningMessage]) -> Iterator[Fixed]:
    """What the tracer says that it cannot see, once a place."""
    frameworks = (sys.modules.get(name) for name in ("torch", "keras"))
    homes = [Path(str(module.__file__)).parent for module in frameworks if module is not None]
    found: dict[Fixed, None] = {}
    for warning in heard:
        if issubclass(warning.category, TracerWarning):
            text = str(warning.message).splitlines()[0].partition(" might cause")[0]
            path = Path(warning.filename)
            where = f"{path.name}, line {warning.lineno} ({text[:1].lower()}{text[1:]})"
            found[Fixed(where, not any(path.is_relative_to(home) for home in homes))] = None
    yield from found
