"""The first route: torch.export, then torch.onnx, with tags in the program between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument
from torch.utils._sympy.numbers import int_oo

from prelu_tools.backends.conversion import Parameter
from prelu_tools.backends.interface import TensorSpec
from prelu_tools.backends.torch.simplify import simplify
from prelu_tools.backends.torch.skeleton import without_weights
from prelu_tools.backends.torch.task import (
    INNER,
    Flat,
    LateRouteError,
    RouteError,
    Task,
    first_line,
)
from prelu_tools.backends.torch.weights import to_numpy
from prelu_tools.core.arrays import same_bits
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.model import OnnxModel

_NEWEST = 23  # opset that torch's translations are written for
_FEWEST = 2  # torch.export takes a free dimension to be that at least, and writes no check of it
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
    task: Task, opset: int, tags: TagBook, parameters: Mapping[str, Parameter], strict: bool
) -> tuple[OnnxModel, tuple[str, ...]]:
    """Convert a module by way of a `torch.export` program.

    Args:
        task: the module.
        opset: the opset that is wanted.
        tags: hands out the tags that are put in the place of the slopes.
        parameters: the slopes.
        strict: whether TorchDynamo reads the Python code, in place of running it.

    Returns:
        The graph, and what to say of it.

    Raises:
        FixedDimensionError: the module fixes a dimension that is to be free.
        RouteError: torch refuses the module, or keeps another opset than one that is wanted.
    """
    program = _program_of(task, strict)
    _put_tags(program, task, tags, parameters)
    simplify(program)
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=min(opset, _NEWEST),
            input_names=task.input_names,
            output_names=list(task.outputs),
            dynamic_shapes=(_dynamic(task.arguments.specs, None),),
            verbose=False,
        )
    except Exception as error:
        raise LateRouteError(first_line(error.__cause__ or error)) from error
    if exported is None:
        raise LateRouteError("torch.onnx.export returned nothing")
    model = without_weights(exported.model)
    if model.opset > opset:
        raise LateRouteError(f"it writes opset {model.opset}, and {opset} is asked")
    return model, _limits(program, task)


def _program_of(task: Task, strict: bool) -> ExportedProgram:
    shapes = (_dynamic(task.arguments.specs, torch.export.Dim.DYNAMIC),)
    try:
        return torch.export.export(Flat(task), task.tensors, dynamic_shapes=shapes, strict=strict)
    except Exception as error:
        fixed = [(int(i), int(axis), int(size)) for i, axis, size in _FIXED.findall(str(error))]
        if fixed:
            raise FixedDimensionError(fixed, _code_of(task, shapes)) from error
        raise RouteError(first_line(error)) from error


def _code_of(task: Task, shapes: Any) -> str:
    """The line of the module that fixes a dimension: TorchDynamo alone knows it."""
    try:
        torch.export.export(Flat(task), task.tensors, dynamic_shapes=shapes, strict=True)
    except Exception as error:
        lines = _CODE.findall(str(error))
        return f"{Path(lines[-1][0]).name}, line {lines[-1][1]}: {lines[-1][2]}" if lines else ""
    return ""


def _limits(program: ExportedProgram, task: Task) -> tuple[str, ...]:
    """The sizes that the graph is for, where the module branches on them."""
    inputs = [node for node in program.graph.nodes if node.op == "placeholder"]
    names = {
        str(size.node.expr): f"{dim} of {spec.name}"
        for node, spec in zip(
            inputs[-len(task.arguments.specs) :], task.arguments.specs, strict=True
        )
        for size, dim in zip(node.meta["val"].shape, spec.shape, strict=True)
        if not isinstance(size, int)
    }
    notes = []
    for symbol, limits in program.range_constraints.items():
        name = names.get(str(symbol))
        if name is None or (limits.lower <= _FEWEST and limits.upper == int_oo):
            continue
        upper = "" if limits.upper == int_oo else f" and at most {limits.upper}"
        notes.append(
            f"the graph is for sizes of at least {limits.lower}{upper} for {name}: the module "
            "branches on it"
        )
    return tuple(notes)


def _dynamic(specs: Sequence[TensorSpec], hint: Any) -> tuple[dict[int, Any], ...]:
    return tuple(
        {axis: hint or dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in specs
    )


def _put_tags(
    program: ExportedProgram, task: Task, tags: TagBook, parameters: Mapping[str, Parameter]
) -> None:
    """Put tags in the place of the slopes, under every name that they have."""
    held = {id(tensor): name for name, tensor in _tensors(task.module)}
    aliases: dict[str, list[str]] = {}
    for name, tensor in _tensors(task.module):
        aliases.setdefault(held[id(tensor)], []).append(name)
    for key, parameter in parameters.items():
        tagged = torch.from_numpy(tags.tag(key, tuple(parameter.values.shape)))
        if key in task.derived:
            _lift(program, f"{INNER}.{task.derived[key]}", key, parameter, tagged)
            continue
        names = next((group for group in aliases.values() if key in group), [key])
        for name in names:
            where = f"{INNER}.{name}"
            if where in program.state_dict:
                program.state_dict[where] = nn.Parameter(tagged)
            elif where in program.constants:
                program.constants[where] = tagged


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]


def _lift(
    program: ExportedProgram, origin: str, key: str, parameter: Parameter, tagged: torch.Tensor
) -> None:
    """Make a parameter of slopes that the program computes, so that they can be tagged."""
    signature, graph = program.graph_signature, program.graph
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    values: dict[Any, Any] = {
        node: program.state_dict[origin].detach()
        for node in graph.nodes
        if node.op == "placeholder" and sources.get(node.name) == origin
    }
    found = None
    for node in graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "call_function" and inputs and all(n in values for n in inputs):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = node.target(*args, **kwargs)
            if _are_equal(values[node], parameter):
                found = node
    if found is None:
        raise RouteError(f"the slopes {parameter.name} are not found in the program")
    with graph.inserting_before(next(iter(graph.nodes))):
        holder = graph.placeholder(f"p_prelu_tools_{len(signature.input_specs)}")
    holder.meta["val"] = found.meta["val"]
    found.replace_all_uses_with(holder)
    target = f"{INNER}.{key}/slopes"
    argument = TensorArgument(holder.name)
    signature.input_specs.insert(0, InputSpec(InputKind.PARAMETER, argument, target))
    program.state_dict[target] = nn.Parameter(tagged.reshape(tuple(found.meta["val"].shape)))
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _are_equal(value: Any, parameter: Parameter) -> bool:
    if not isinstance(value, torch.Tensor) or value.numel() != parameter.values.size:
        return False
    return same_bits(to_numpy(value).reshape(-1), np.asarray(parameter.values).reshape(-1))
