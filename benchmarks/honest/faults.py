"""Faults that are not slopes, as they come about when nets are exported and rewritten by hand.

Each function plants one in a graph and says what it did, or returns None where it does not apply.
`known` holds values of the honest file's tensors for one input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.honest.surgery import Array, Graph, node

Known = dict[str, Array]
Fault = Callable[[Graph, Known], str | None]
FAULTS: dict[str, Fault] = {}
"""All of them, by name."""


def fault(function: Fault) -> Fault:
    """Count a function among them."""
    FAULTS[function.__name__.replace("_", " ")] = function  # type: ignore[attr-defined]
    return function


def amount(graph: Graph, usual: float) -> float:
    """A usual amount, or a hundredth of it."""
    return usual if graph.rng.random() < 0.5 else usual / 100


_LINEAR = ("Conv", "Gemm", "MatMul", "ConvTranspose")


def _rows(graph: Graph, at: object, weight: Array) -> int:
    """The axis of a weight that runs over its output's channels."""
    op_type = at.op_type  # type: ignore[attr-defined]
    if op_type == "MatMul" or (op_type == "Gemm" and not graph.attribute(at, "transB", 0)):
        return weight.ndim - 1
    return 1 if op_type == "ConvTranspose" else 0


@fault
def weight_row_scaled(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes(*_LINEAR):
        weight = graph.weight(at, 1)
        if weight is not None and weight.ndim > 1:
            axis = _rows(graph, at, weight)
            row = int(graph.rng.integers(weight.shape[axis]))
            factor = 1 + amount(graph, 0.02)
            np.moveaxis(weight, axis, 0)[row] *= factor
            graph.set_weight(at, 1, weight)
            return f"row {row} of {at.name} times {factor:.6g}"
    return None


@fault
def two_channels_swapped(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes(*_LINEAR):
        weight = graph.weight(at, 1)
        if weight is not None and weight.ndim > 1:
            axis = _rows(graph, at, weight)
            if weight.shape[axis] > 1:
                rows = np.moveaxis(weight, axis, 0)
                rows[[0, 1]] = rows[[1, 0]]
                graph.set_weight(at, 1, weight)
                return f"rows 0 and 1 of {at.name} exchanged"
    return None


@fault
def two_classes_swapped(graph: Graph, known: Known) -> str | None:
    for value in graph.graph.output:
        found = known.get(value.name)
        axes = graph.fixed_axes(value.name)
        if found is not None and axes and found.dtype == np.float32:
            axis = axes[0] if found.ndim == 4 else axes[-1]
            order = np.arange(found.shape[axis])
            order[[-1, -2]] = order[[-2, -1]]
            places = graph.constant(order.astype(np.int64))
            graph.wrap(value.name, lambda a, b: [node("Gather", [a, places], b, axis=axis)])  # noqa: B023
            return f"the last two of axis {axis} of {value.name} exchanged"
    return None


@fault
def one_bias_value_off(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv", "Gemm", "ConvTranspose"):
        bias = graph.weight(at, 2)
        if bias is not None and bias.ndim == 1:
            place = int(graph.rng.integers(len(bias)))
            moved = amount(graph, 0.003) * max(1.0, float(np.abs(bias).max()))
            bias[place] += moved
            graph.set_weight(at, 2, bias)
            return f"bias {place} of {at.name} off by {moved:.2g}"
    return None


@fault
def bias_dropped(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv", "Gemm", "ConvTranspose"):
        bias = graph.weight(at, 2)
        if bias is not None and np.abs(bias).max() > 1e-3:
            graph.set_weight(at, 2, np.zeros_like(bias))
            return f"{at.name} without its bias"
    return None


@fault
def one_weight_zero(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes(*_LINEAR):
        weight = graph.weight(at, 1)
        if weight is not None:
            flat = weight.reshape(-1)
            place = int(np.abs(flat).argmax())
            flat[place] = 0
            graph.set_weight(at, 1, weight)
            return f"weight {place} of {at.name} is 0"
    return None


@fault
def weights_rounded_to_float16(graph: Graph, known: Known) -> str | None:
    changed = 0
    for at in graph.nodes(*_LINEAR):
        weight = graph.weight(at, 1)
        if weight is not None and weight.dtype == np.float32:
            graph.set_weight(at, 1, weight.astype(np.float16))
            changed += 1
    return f"{changed} weights rounded to float16" if changed else None


@fault
def kernel_transposed(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv", "ConvTranspose"):
        weight = graph.weight(at, 1)
        if weight is not None and weight.ndim > 3 and weight.shape[2] == weight.shape[3] > 1:
            graph.set_weight(at, 1, weight.swapaxes(2, 3))
            return f"kernel of {at.name} transposed"
    return None


@fault
def kernel_flipped(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv", "ConvTranspose"):
        weight = graph.weight(at, 1)
        if weight is not None and weight.shape[-1] > 1:
            graph.set_weight(at, 1, np.ascontiguousarray(weight[..., ::-1]))
            return f"kernel of {at.name} flipped"
    return None


@fault
def square_matrix_transposed(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Gemm", "MatMul"):
        weight = graph.weight(at, 1)
        if weight is not None and weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
            graph.set_weight(at, 1, weight.T.copy())
            return f"weight of {at.name} transposed"
    return None


@fault
def norm_mean_changed(graph: Graph, known: Known) -> str | None:
    at = graph.pick("BatchNormalization")
    mean = graph.weight(at, 3) if at else None
    if mean is None:
        return None
    moved = amount(graph, 0.02)
    mean[0] += moved
    graph.set_weight(at, 3, mean)
    return f"a mean of {at.name} off by {moved:.2g}"


@fault
def norm_variance_scaled(graph: Graph, known: Known) -> str | None:
    at = graph.pick("BatchNormalization")
    variance = graph.weight(at, 4) if at else None
    if variance is None:
        return None
    graph.set_weight(at, 4, variance * 1.05)
    return f"the variances of {at.name} times 1.05 (n / (n - 1))"


@fault
def norm_scale_dropped(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("BatchNormalization", "InstanceNormalization", "LayerNormalization"):
        scale = graph.weight(at, 1)
        if scale is not None and np.abs(scale - 1).max() > 1e-3:
            graph.set_weight(at, 1, np.ones_like(scale))
            return f"{at.name} without its scale"
    return None


@fault
def epsilon_changed(graph: Graph, known: Known) -> str | None:
    types = ("BatchNormalization", "InstanceNormalization", "LayerNormalization",
             "GroupNormalization")  # fmt: skip
    at = graph.pick(*types)
    if at is not None:
        graph.set_attribute(at, "epsilon", 100 * graph.attribute(at, "epsilon", 1e-5))
        return f"epsilon of {at.name} times 100"
    for at in graph.nodes("Add", "Max", "Clip"):
        for place in range(1, len(at.input)):
            value = graph.weight(at, place)
            if value is not None and value.size == 1 and 0 < float(value.reshape(-1)[0]) < 1e-3:
                graph.set_weight(at, place, value * 1000)
                return f"epsilon of {at.name} times 1000"
    return None


@fault
def constant_scaled(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Mul", "Add", "Sub", "Div"):
        for place in (0, 1):
            value = graph.weight(at, place)
            if value is not None and value.dtype == np.float32 and np.abs(value).max() > 1e-3:
                factor = 1 + amount(graph, 0.01)
                graph.set_weight(at, place, value * factor)
                return f"the constant of {at.name} times {factor:.6g}"
    return None


@fault
def embedding_row_zeroed(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Gather"):
        table = graph.weight(at, 0)
        if table is not None and table.ndim == 2 and len(table) > 2:
            row = int(graph.rng.integers(1, len(table)))
            table[row] = 0
            graph.set_weight(at, 0, table)
            return f"row {row} of {len(table)} of the table of {at.name} is 0"
    return None


@fault
def gates_swapped(graph: Graph, known: Known) -> str | None:
    at = graph.pick("LSTM", "GRU")
    bias = graph.weight(at, 3) if at else None
    if at is None or bias is None:
        return None
    width = bias.shape[1] // (8 if at.op_type == "LSTM" else 6)
    first, second = bias[:, :width].copy(), bias[:, width : 2 * width].copy()
    bias[:, :width], bias[:, width : 2 * width] = second, first
    graph.set_weight(at, 3, bias)
    return f"biases of two gates of {at.name} exchanged"


@fault
def recurrent_weight_scaled(graph: Graph, known: Known) -> str | None:
    at = graph.pick("LSTM", "GRU")
    weight = graph.weight(at, 2) if at else None
    if weight is None:
        return None
    weight[:, 0] *= 1.05
    graph.set_weight(at, 2, weight)
    return f"a row of the recurrent weights of {at.name} times 1.05"


@fault
def linear_before_reset_toggled(graph: Graph, known: Known) -> str | None:
    at = graph.pick("GRU")
    if at is None:
        return None
    now = int(graph.attribute(at, "linear_before_reset", 0))
    graph.set_attribute(at, "linear_before_reset", 1 - now)
    return f"linear_before_reset of {at.name} is {1 - now}"
