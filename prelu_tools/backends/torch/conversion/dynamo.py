"""The first route: torch.export, then torch.onnx, with tags inserted between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from torch import nn
from torch.export import ExportedProgram

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.torch.conversion.exact import lower, optimize
from prelu_tools.backends.torch.conversion.norms import group_norm
from prelu_tools.backends.torch.conversion.putting import Tagged
from prelu_tools.backends.torch.conversion.recurrent import free_lengths
from prelu_tools.backends.torch.conversion.simplify import simplify
from prelu_tools.backends.torch.conversion.task import (
    INNER,
    Flat,
    LateRouteError,
    RouteError,
    Task,
    first_line,
)
from prelu_tools.graph.io.model import INLINE_LIMIT, MEMORY, OnnxModel
from prelu_tools.graph.passes.tidy import name_boundaries

_OLDEST = 18  # opset that torch's translations and onnxscript's rewriting are written for
_NEWEST = 23  # the newest supported opset
_FEWEST = 2  # torch.export assumes that a dynamic dimension is at least this, without a check
_FIXED = re.compile(
    r"\['tensors'\]\[(\d+)\]\.size\(\)\[(\d+)\] as dynamic but .*? constant \((\d+)\)"
)
_CODE = re.compile(r'File "(.+?)", line (\d+), in .*\n\s+(.+)')


class FixedDimensionError(Exception):
    """The module fixes dimensions that are to be free."""

    def __init__(self, fixed: Sequence[tuple[int, int, int]], code: str) -> None:
        """Take the number of the input, the axis and the size of each, and the line of code."""
        super().__init__()
        self.fixed = tuple(fixed)
        self.code = code


def by_program(
    task: Task, opset: int, slopes: Tagged, strict: bool
) -> tuple[OnnxModel, tuple[str, ...]]:
    """Convert a module by way of a `torch.export` program.

    Args:
        task: the module.
        opset: the opset that is wanted.
        slopes: what to put in the place of the slopes.
        strict: whether TorchDynamo reads the Python code, in place of running it.

    Returns:
        The graph, and what to say of it.

    Raises:
        FixedDimensionError: the module fixes a dimension that should be free.
        RouteError: torch refuses the module, or keeps another opset than one that is wanted.
    """
    with free_lengths():
        program = _program_of(task, slopes, strict)
        _put_tags(program, task, slopes)
        simplify(program)
        exported = _exported(program, task, opset)
    model = _without_weights(exported.model)
    name_boundaries(model.proto.graph, task.placeholders)
    if model.opset > opset:
        raise LateRouteError(f"it writes opset {model.opset}, but {opset} was requested")
    return model, _limits(program, task)


def _exported(program: ExportedProgram, task: Task, opset: int) -> torch.onnx.ONNXProgram:
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=min(max(opset, _OLDEST), _NEWEST),
            dynamic_shapes=(_dynamic(task.arguments.specs, None),),
            optimize=False,
            verbose=False,
            custom_translation_table={torch.ops.aten.group_norm.default: group_norm},
        )
        if exported is None:
            raise LateRouteError("torch.onnx.export returned nothing")
        optimize(exported)
        # Only now: before, an output that is also an input has no separate name.
        graph = exported.model.graph
        for value, name in zip((*graph.inputs, *graph.outputs), task.placeholders, strict=True):
            value.name = name
        if opset < _OLDEST:
            lower(exported, opset)
    except LateRouteError:
        raise
    except Exception as error:
        raise LateRouteError(first_line(error.__cause__ or error)) from error
    return exported


def _without_weights(exported: ir.Model) -> OnnxModel:
    """The model with its larger initializers in memory: as numpy sees torch's tensors, not copied.

    Args:
        exported: what `torch.onnx.export(...).model` is; its initializers are taken out of it.
    """
    arrays = {}
    for name, value in exported.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or tensor.nbytes <= INLINE_LIMIT or tensor.dtype.bitwidth < 8:
            continue
        arrays[name] = tensor.numpy()
        value.const_value = ir.ExternalTensor(
            MEMORY, None, None, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=name
        )
    proto: onnx.ModelProto = ir.to_proto(exported)
    model = OnnxModel(proto, None)
    for initializer in proto.graph.initializer:
        if initializer.name in arrays:
            model.keep(initializer, arrays[initializer.name])
    return model


def _program_of(task: Task, slopes: Tagged, strict: bool) -> ExportedProgram:
    shapes = (_dynamic(task.arguments.specs, torch.export.Dim.DYNAMIC),)
    try:
        flat = Flat(task, slopes.put)
        return torch.export.export(flat, task.tensors, dynamic_shapes=shapes, strict=strict)
    except Exception as error:
        fixed = [(int(i), int(axis), int(size)) for i, axis, size in _FIXED.findall(str(error))]
        if fixed:
            raise FixedDimensionError(fixed, _code_of(task, shapes)) from error
        raise RouteError(first_line(error)) from error


def _code_of(task: Task, shapes: Any) -> str:
    """The line of the module that fixes a dimension: TorchDynamo alone knows it."""
    try:
        torch.export.export(Flat(task, {}), task.tensors, dynamic_shapes=shapes, strict=True)
    except Exception as error:
        lines = _CODE.findall(str(error))
        return f"{Path(lines[-1][0]).name}, line {lines[-1][1]}: {lines[-1][2]}" if lines else ""
    return ""


def _limits(program: ExportedProgram, task: Task) -> tuple[str, ...]:
    """The sizes that the graph is for, where the module branches on them."""
    from torch.utils._sympy.numbers import int_oo  # sympy takes a while to load

    inputs = [node for node in program.graph.nodes if node.op == "placeholder"]
    names = {
        str(size.node.expr): (spec.name, str(dim))
        for node, spec in zip(
            inputs[-len(task.arguments.specs) :], task.arguments.specs, strict=True
        )
        for size, dim in zip(node.meta["val"].shape, spec.shape, strict=True)
        if not isinstance(size, int)
    }
    found: dict[tuple[str, str], list[str]] = {}
    for symbol, limits in program.range_constraints.items():
        if str(symbol) not in names or (limits.lower <= _FEWEST and limits.upper == int_oo):
            continue
        name, dim = names[str(symbol)]
        upper = "" if limits.upper == int_oo else f" and at most {limits.upper}"
        found.setdefault((name, f"at least {limits.lower}{upper}"), []).append(dim)
    return tuple(
        f"the graph is valid only if {_sizes(dims, name)} {least}: the module rejects other sizes "
        "or treats them differently"
        for (name, least), dims in found.items()
    )


def _sizes(dims: Sequence[str], name: str) -> str:
    if dims[1:]:
        return f"sizes {' and '.join(dims)} of input {name!r} are"
    return f"size {dims[0]} of input {name!r} is"


def _dynamic(specs: Sequence[TensorSpec], hint: Any) -> tuple[dict[int, Any], ...]:
    return tuple(
        {axis: hint or dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in specs
    )


def _put_tags(program: ExportedProgram, task: Task, slopes: Tagged) -> None:
    """Put tags in the place of parameters, under every name that they have."""
    held = {id(tensor): name for name, tensor in _tensors(task.module)}
    aliases: dict[str, list[str]] = {}
    for name, tensor in _tensors(task.module):
        aliases.setdefault(held[id(tensor)], []).append(name)
    for key, made in slopes.held.items():
        names = next((group for group in aliases.values() if key in group), [])
        for name in names:
            where = f"{INNER}.{name}"
            if where in program.state_dict:
                program.state_dict[where] = nn.Parameter(made)
            elif where in program.constants:
                program.constants[where] = made


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
