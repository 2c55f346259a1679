"""Convert a torch module to ONNX: the routes that are tried, in order."""

from __future__ import annotations

import onnx
import torch

from prelu_tools.backends.protocol.interface import Conversion
from prelu_tools.backends.torch.conversion.dynamo import FixedDimensionError, by_program
from prelu_tools.backends.torch.conversion.putting import Tagged, tagged
from prelu_tools.backends.torch.conversion.task import INNER, LateRouteError, RouteError, Task
from prelu_tools.backends.torch.conversion.tracing import Fixed, by_tracing
from prelu_tools.core.errors import PReLUToolsError, UsageError, missing_extra
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.core.results.export import RefusedRoute
from prelu_tools.graph.io.metadata import TORCH_SCOPES, module_scope, properties
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.spelling import spell_out

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
        route = f"torch.onnx {torch.__version__} ({name})"
        tags = TagBook()
        slopes = tagged(task.module, task.calls, tags, puts=name == _ROUTES[0])
        try:
            model, notes = _by(name, task, wanted, slopes)
        except RouteError as error:
            if (missing := missing_extra(error)) is not None:  # no reason to try another route
                raise missing from error
            refused.append(RefusedRoute(route, str(error)))
            skipped = "dynamo strict" if isinstance(error, LateRouteError) else skipped
            continue
        except FixedDimensionError as error:
            if task.arguments.is_assumed and all(axis == 0 for _, axis, _ in error.fixed):
                raise
            raise UsageError(_fixed_dimensions(task, error)) from error
        learned = [
            tensor.detach() for tensor in (*task.module.parameters(), *task.module.buffers())
        ]
        numbers = {float(t.flatten()[0]) for t in learned if t.is_floating_point() and _is_even(t)}
        spell_out(model, tags, numbers, slopes.shown)
        keep = {f"{INNER}.{own}": own for own in task.module.state_dict()}
        return Conversion(
            model, tags, slopes.parameters, route, keep, tuple(refused), notes=notes,
            needs_check=name == _ROUTES[-1],
        )  # fmt: skip
    reasons = "; ".join(f"{found.route}: {found.reason}" for found in refused)
    raise PReLUToolsError(f"no converter can convert {task.label} to ONNX: {reasons}")


def _by(
    route: str, task: Task, wanted: ConversionOptions, slopes: Tagged
) -> tuple[OnnxModel, tuple[str, ...]]:
    if route == "tracing":
        if not wanted.is_verified:  # sizes may become fixed without a warning
            raise RouteError(
                "it may fix sizes and values: its result has to be verified (--verify)"
            )
        model, fixed = by_tracing(task, wanted.opset, slopes)
        return model, tuple(_frozen(what) for what in fixed if what.is_own)
    model, notes = by_program(task, wanted.opset, slopes, route.endswith("strict"))
    _name_nodes(model.proto.graph)
    return model, notes


def _frozen(what: Fixed) -> str:
    return (
        f"tracing froze {what.text} as it ran for the traced inputs: use tensor operations there, "
        "such as torch.where"
    )


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
        f"{task.label} fixes a dimension that should be dynamic: {found}{code}; set its size, "
        f"as in --input {specs[i].name}:{dims}"
    )


def _is_even(tensor: torch.Tensor) -> bool:
    """Whether it is one number throughout."""
    return bool(tensor.numel()) and bool((tensor == tensor.flatten()[0]).all())


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name nodes after the modules that the exporter saw them in."""
    for node in graph.node:
        module = module_scope(properties(node).get(TORCH_SCOPES, ""))
        module = module.removeprefix(INNER).removeprefix(".")
        node.name = f"{module}/{node.op_type}" if module else ""
