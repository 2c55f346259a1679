"""A torch module to ONNX: the routes that are tried, in order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn

from prelu_tools.backends.interface import Conversion
from prelu_tools.backends.torch.conversion.dynamo import FixedDimensionError, by_program
from prelu_tools.backends.torch.conversion.putting import Tagged, tagged
from prelu_tools.backends.torch.conversion.task import INNER, LateRouteError, RouteError, Task
from prelu_tools.backends.torch.conversion.tracing import by_tracing
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError, missing_extra
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.core.results.export import RefusedRoute
from prelu_tools.graph.io.metadata import TORCH_SCOPES, module_scope, properties
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.passes.canonical import fuse_prelus
from prelu_tools.graph.walk import all_nodes

_ROUTES = ("dynamo", "dynamo strict", "tracing")


def converted(task: Task, wanted: ConversionOptions) -> Conversion:
    """Bring a module to ONNX by the first route that takes it.

    Raises:
        FixedDimensionError: a batch that was taken to be free is fixed by the module.
        UsageError: a dimension that the user declared free is.
        PReLUToolsError: no route takes it; the message says why for each.
    """
    refused: list[RefusedRoute] = []
    skipped = ""
    for name in _ROUTES:
        if name == skipped:
            continue
        route = f"torch.onnx {name} {torch.__version__}"
        tags = TagBook()
        slopes = tagged(task.module, task.calls, tags, puts=name == _ROUTES[0])
        try:
            model, notes = _by(name, task, wanted, slopes)
        except RouteError as error:
            if (missing := missing_extra(error)) is not None:  # no reason to take another route
                raise missing from error
            refused.append(RefusedRoute(route, str(error)))
            skipped = "dynamo strict" if isinstance(error, LateRouteError) else skipped
            continue
        except FixedDimensionError as error:
            if task.arguments.is_assumed and all(axis == 0 for _, axis, _ in error.fixed):
                raise
            raise UsageError(_fixed_dimensions(task, error)) from error
        _spell_out(model, tags, slopes.shown, _learned_numbers(task.module))
        keep = {f"{INNER}.{own}": own for own in task.module.state_dict()}
        return Conversion(model, tags, slopes.parameters, route, keep, tuple(refused), notes=notes)
    reasons = "; ".join(f"{found.route}: {found.reason}" for found in refused)
    raise PReLUToolsError(f"no converter can convert {task.spelled} to ONNX: {reasons}")


def _by(
    route: str, task: Task, wanted: ConversionOptions, slopes: Tagged
) -> tuple[OnnxModel, tuple[str, ...]]:
    if route == "tracing":
        model, fixed = by_tracing(task, wanted.opset, slopes)
        if fixed and not wanted.is_verified:
            raise RouteError(f"{fixed[0].text}, so the result has to be verified (--verify)")
        return model, tuple(f"fixed by tracing: {what.text}" for what in fixed if what.is_own)
    model, notes = by_program(task, wanted.opset, slopes, route.endswith("strict"))
    _name_nodes(model.proto.graph)
    return model, notes


def _fixed_dimensions(task: Task, error: FixedDimensionError) -> str:
    specs = task.arguments.specs
    found = ", ".join(
        f"{specs[i].shape[axis]} of {specs[i].name} is always {size}"
        for i, axis, size in error.fixed
    )
    i, axis, size = error.fixed[0]
    dims = ",".join(str(size if at == axis else dim) for at, dim in enumerate(specs[i].shape))
    code = f" ({error.code})" if error.code else ""
    return (
        f"{task.spelled} fixes a dimension that should be free: {found}{code}; give the size, as "
        f"in --input {specs[i].name}:{dims}"
    )


def _learned_numbers(module: nn.Module) -> set[float]:
    """The values of parameters and buffers that are one number throughout."""
    tensors = [*module.parameters(), *module.buffers()]
    floating = [t for t in tensors if t.is_floating_point() and t.numel()]
    firsts = [(tensor, tensor.flatten()[0]) for tensor in floating]
    return {float(first) for tensor, first in firsts if bool((tensor == first).all())}


def _spell_out(
    model: OnnxModel,
    tags: TagBook,
    shown: Sequence[tuple[Array, Array]],
    learned: Collection[float],
) -> None:
    """One PRelu node for every PReLU; one LeakyRelu where the slope is a number of the code.

    Slopes that are known by their values alone get their tags. A number that is learned is a
    slope that was not seen in the source: its node stays, for verification to find.
    """

    def is_of_the_code(slopes: Array) -> bool:
        first = slopes.flat[0] if slopes.size else np.nan
        return bool((slopes == first).all()) and float(first) not in learned

    def tags_of(slopes: Array) -> Array | None:
        return next((made for own, made in shown if _are_equal(own, slopes)), None)

    def wanted(match: Match) -> bool:
        is_known = tags.find(match.slopes) is not None or tags_of(match.slopes) is not None
        return is_known or is_of_the_code(match.slopes)

    fuse_prelus(model, wanted)
    tensors = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    for node in all_nodes(model.proto.graph.node):
        if node.op_type != "PRelu" or node.input[1] not in tensors:
            continue
        slopes = model.values(tensors[node.input[1]])
        made = tags_of(slopes)
        if made is not None:
            node.input[1] = f"{node.input[1]}/tags"
            if node.input[1] not in tensors:
                tensor = model.tensor(node.input[1], made.reshape(slopes.shape))
                model.proto.graph.initializer.append(tensor)
                tensors[tensor.name] = tensor
        elif tags.find(slopes) is None and is_of_the_code(slopes):
            node.op_type = "LeakyRelu"
            del node.input[1:]
            node.attribute.append(helper.make_attribute("alpha", float(slopes.flat[0])))


def _are_equal(left: Array, right: Array) -> bool:
    return np.array_equal(np.squeeze(left), np.squeeze(right))


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name nodes after the modules that the exporter saw them in."""
    for node in graph.node:
        module = module_scope(properties(node).get(TORCH_SCOPES, ""))
        module = module.removeprefix(INNER).removeprefix(".")
        node.name = f"{module}/{node.op_type}" if module else ""
