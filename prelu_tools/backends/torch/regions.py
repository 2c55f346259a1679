"""Which of the functions called by a torch module may together be a PReLU.

A *region* is a node (`tracing.py`) and what it was computed from, back to one single tensor x, by
elementwise functions and parameters alone. Functions that move elements, and products that may be
one number for each element, are part of it too. It is then probed, by running it again
(`backends/probing/probe.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils import _pytree as pytree

from prelu_tools.backends.torch.files.weights import to_tensor
from prelu_tools.backends.torch.functions import JOINS, SMOOTH
from prelu_tools.backends.torch.tracing import Node, same_shape, shown
from prelu_tools.core.arrays import Array

_STEPS = 16  # functions in one region
_JOINED_STEPS = 1024  # functions in a region that concatenates its output


class CallSignature(NamedTuple):
    """How a call of a PReLU is spelled: equal in every run of a module."""

    constants: str
    """What its slopes are computed from, and how."""
    form: str
    """The functions."""


@dataclass(frozen=True)
class Region:
    """A node that may be the output of a PReLU."""

    signature: CallSignature
    """How it is spelled."""
    source: Node
    """What goes in."""
    x: torch.Tensor
    """Its tensor."""
    y: Node
    """What comes out."""
    constants: Mapping[str, torch.Tensor]
    """What its slopes may come from: by the names of parameters, or as `#0` where it has none."""
    call: Callable[[Array, Mapping[str, Array]], Array]
    """The same computation in float32, with other values in the place of constants."""


def regions_of(y: Node) -> Iterator[Region]:
    """The regions that end in a node, the smallest first."""
    output = y.tensor()
    if output is None or y.is_constant or not output.is_floating_point():
        return
    edge = {y.index: y}
    constants: dict[int, Node] = {}
    labels: list[str] = []
    steps = _JOINED_STEPS if y.label in JOINS else _STEPS
    while len(labels) < steps:
        latest = edge.pop(max(edge))
        if latest.function is None or latest.is_layer:
            return
        labels.append(latest.label)
        for node in latest.inputs:
            (constants if node.is_constant else edge)[node.index] = node
        if not edge:
            return
        (x, *others) = edge.values()
        before = x.tensor()
        if SMOOTH.issuperset(labels) or (before is not None and _is_widened(x, before)):
            continue
        if not others and before is not None and same_shape(before.shape, output.shape):
            roots = _roots(constants.values())
            if roots:
                texts = sorted(_text(constant) for constant in constants.values())
                signature = CallSignature("+".join(texts), "-".join(reversed(labels)))
                values = {key: value for key, (_, value) in roots.items()}
                yield Region(signature, x, before, y, values, _replay(y, x, roots))


def _is_widened(x: Node, tensor: torch.Tensor) -> bool:
    """Whether it was made float64 only to compute in it: the slopes lie on what it was before."""
    before = x.inputs[0].tensor() if tensor.dtype == torch.float64 and len(x.inputs) == 1 else None
    return before is not None and before.dtype == torch.float32 and not x.is_constant


def _roots(constants: Iterable[Node]) -> dict[str, tuple[Node, torch.Tensor]]:
    """What constants are computed from: parameters, and tensors of more than one number.

    What is computed from whole numbers alone, as of quantized slopes, begins there.

    Those that have a name come first, and of them the largest.
    """
    found: dict[str, tuple[Node, torch.Tensor]] = {}
    behind = {node.index: node for constant in constants for node in _behind(constant)}
    for _, node in sorted(behind.items()):
        value = node.tensor()
        if value is None or not value.is_floating_point() or any(map(_is_floating, node.inputs)):
            continue
        name = next((one.name for one in (node, *node.inputs) if one.name), "")
        if name or value.numel() > 1:
            found[name or f"#{len(found)}"] = node, value
    return dict(
        sorted(found.items(), key=lambda item: (item[0].startswith("#"), -item[1][1].numel()))
    )


def _is_floating(node: Node) -> bool:
    value = node.tensor()
    return value is not None and value.is_floating_point()


def _behind(node: Node) -> list[Node]:
    """A node and everything that it was computed from, in the order of the calls."""
    found: dict[int, Node] = {}
    left = [node]
    while left:
        inner = left.pop()
        if inner.index not in found:
            found[inner.index] = inner
            left.extend(inner.inputs)
    return [found[index] for index in sorted(found)]


def _text(node: Node) -> str:
    """How a constant is computed, in words."""
    steps = []
    for inner in _behind(node):
        arguments = pytree.tree_map(
            lambda value: "_" if isinstance(value, Node) else shown(value), inner.arguments
        )
        place = getattr(inner.function, "place", inner.number or "")  # one of several results
        steps.append(inner.name or f"{inner.label}{place}{arguments}")
    return "-".join(steps)


def _replay(
    y: Node, x: Node, roots: Mapping[str, tuple[Node, torch.Tensor]]
) -> Callable[[Array, Mapping[str, Array]], Array]:
    """Compute y again for another x and other constants."""
    # The values, not the nodes: a module may change a constant later.
    own = {node.index: value.detach().float() for node, value in roots.values()}

    def call(values: Array, changed: Mapping[str, Array]) -> Array:
        known = {**own, x.index: to_tensor(values)}
        known |= {roots[key][0].index: to_tensor(array) for key, array in changed.items()}
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return np.asarray(_computed(y, known).float().numpy())

    return call


def _computed(node: Node, known: dict[int, torch.Tensor]) -> torch.Tensor:
    if node.index in known:
        return known[node.index]
    value = node.tensor() if node.is_constant else None
    if value is not None and not any(inner.index in known for inner in _behind(node)):
        return value.detach()
    copied = str(getattr(node.function, "__name__", "")).endswith("_")

    def filled(part: Any) -> Any:
        if not isinstance(part, Node):
            return part
        found = _computed(part, known)
        return found.clone() if copied else found

    args, kwargs = pytree.tree_map(filled, node.arguments)
    result: torch.Tensor = node.function(*args, **kwargs)
    known[node.index] = result
    return result
