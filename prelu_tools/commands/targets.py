"""A model for a runtime, as `export --target` and `optimize --target` write it."""

from __future__ import annotations

from collections.abc import Iterable

from prelu_tools.backends.registry import check_runtime
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.reasons import Reason
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.finish import check
from prelu_tools.graph.targets.fitting import fitted
from prelu_tools.graph.targets.forecast import TARGETS
from prelu_tools.graph.targets.slope_shapes import RULES, WAYS


def for_target(model: OnnxModel, target: str) -> tuple[OnnxModel, tuple[Reason, ...]]:
    """The model with its PReLU written for a runtime, and a description of the changes.

    Args:
        model: every PReLU is a PRelu node; others stay as they are.
        target: a name of `graph.targets.forecast.TARGETS`; with `portable` nothing is done.

    Raises:
        PReLUToolsError: the runtime misreads a layer, however that is written.
    """
    if target == "portable":
        return model, ()
    known = TARGETS[target].measured
    if known is None:
        text = f"{target}: {TARGETS[target].remark} ({TARGETS[target].source}); not measured here"
        return model, (Reason(text, "target_not_measured"),)
    found, done = fitted(model, known, target, may_refuse=known in RULES)
    check(found)
    notes = [
        Reason(f"{target}: {names} written {WAYS[way]}", "target_rewritten")
        for way in WAYS
        if (names := _names(x.layer for x in done if x.plan is not None and x.plan.way == way))
    ]
    if names := _names(x.layer for x in done if x.is_refused):
        notes.append(Reason(f"{target}: runs {names} on the CPU", "target_refuses"))
    if names := _names(x.layer for x in done if x.plan is None and not x.is_refused):
        text = f"{target}: how it runs {names} is not known; check it with verify --runtime"
        notes.append(Reason(text, "target_not_measured"))
    if not runtime_of(target):
        text = f"{target}: the file was not run on {target}"
        notes.append(Reason(text, "target_not_run"))
    return found, tuple(notes)


def _names(layers: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(layers))


def runtime_of(target: str) -> tuple[str, ...]:
    """The runtime of a target, if it is installed and runs ONNX files: it checks the result."""
    try:
        return (check_runtime(target).name,)
    except PReLUToolsError:  # unknown, or not installed
        return ()
