"""More faults: nodes that compute something else, tensors that are narrowed, outputs that move."""

from __future__ import annotations

import numpy as np

from benchmarks.honest.faults import Known, fault
from benchmarks.honest.surgery import Graph, node

FLOAT, FLOAT16, INT32, INT64 = 1, 10, 6, 7


@fault
def padding_shifted(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
        pads = list(graph.attribute(at, "pads", []))
        half = len(pads) // 2
        if half and pads[0] > 0:
            pads[0], pads[half] = pads[0] - 1, pads[half] + 1
            graph.set_attribute(at, "pads", pads)
            return f"pads of {at.name} are {pads}"
    return None


@fault
def all_padding_at_the_end(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv", "ConvTranspose", where=lambda n: True):
        pads = list(graph.attribute(at, "pads", []))
        half = len(pads) // 2
        if half and any(pads) and not graph.attribute(at, "auto_pad"):
            moved = [0] * half + [pads[i] + pads[half + i] for i in range(half)]
            if moved != pads:
                graph.set_attribute(at, "pads", moved)
                return f"pads of {at.name} are {moved}"
    return None


@fault
def dilation_changed(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Conv"):
        weight = graph.weight(at, 1)
        pads = list(graph.attribute(at, "pads", []))
        if weight is None or not pads or min(weight.shape[2:]) < 3 or max(weight.shape[2:]) > 3:
            continue
        rank = weight.ndim - 2
        old = list(graph.attribute(at, "dilations", [1] * rank))
        new = [d + 1 for d in old]
        graph.set_attribute(at, "dilations", new)
        graph.set_attribute(at, "pads", [p + 1 for p in pads])
        return f"dilations of {at.name} are {new}"
    return None


def _exchanged(
    graph: Graph, operator: str, attribute: str, usual: str, new: str, other: str
) -> str | None:
    """Give an attribute of a node a new value, or another one where it has that already."""
    at = graph.pick(operator)
    if at is None:
        return None
    now = graph.attribute(at, attribute, usual.encode()).decode()
    new = new if now != new else other
    graph.set_attribute(at, attribute, new)
    return f"{attribute} of {at.name} is {new}, not {now}"


@fault
def pad_mode_changed(graph: Graph, known: Known) -> str | None:
    return _exchanged(graph, "Pad", "mode", "constant", "edge", "reflect")


@fault
def resize_coordinates_changed(graph: Graph, known: Known) -> str | None:
    attribute = "coordinate_transformation_mode"
    return _exchanged(graph, "Resize", attribute, "half_pixel", "asymmetric", "half_pixel")


@fault
def resize_mode_changed(graph: Graph, known: Known) -> str | None:
    return _exchanged(graph, "Resize", "mode", "nearest", "nearest", "linear")


@fault
def ceil_mode_toggled(graph: Graph, known: Known) -> str | None:
    at = graph.pick("MaxPool", "AveragePool")
    if at is None:
        return None
    new = 1 - int(graph.attribute(at, "ceil_mode", 0))
    graph.set_attribute(at, "ceil_mode", new)
    return f"ceil_mode of {at.name} is {new}"


@fault
def pooling_type_changed(graph: Graph, known: Known) -> str | None:
    at = graph.pick("GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean", "ReduceMax")
    if at is None:
        return None
    others = {
        "GlobalAveragePool": "GlobalMaxPool",
        "GlobalMaxPool": "GlobalAveragePool",
        "AveragePool": "MaxPool",
        "ReduceMean": "ReduceMax",
        "ReduceMax": "ReduceMean",
    }
    before, at.op_type = at.op_type, others[at.op_type]
    for attribute in [a for a in at.attribute if a.name == "count_include_pad"]:
        at.attribute.remove(attribute)
    return f"{at.name} is {at.op_type}, not {before}"


@fault
def residual_dropped(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Add"):
        shapes = [known[name].shape if name in known else None for name in at.input]
        if shapes[0] is not None and shapes[0] == shapes[1]:
            graph.become(at, "Identity", [at.input[int(graph.rng.integers(2))]])
            return f"{at.name} adds nothing"
    return None


@fault
def softmax_axis_changed(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Softmax", "LogSoftmax", "ArgMax"):
        found = known.get(at.input[0])
        if found is None or found.ndim < 2:
            continue
        now = int(graph.attribute(at, "axis", 0 if at.op_type == "ArgMax" else -1)) % found.ndim
        new = next(axis for axis in reversed(range(found.ndim)) if axis != now)
        graph.set_attribute(at, "axis", new)
        return f"axis of {at.name} is {new}, not {now}"
    return None


@fault
def activation_removed(graph: Graph, known: Known) -> str | None:
    at = graph.pick(
        "Clip", "Relu", "Sigmoid", "Tanh", "HardSigmoid", "Softplus", "Exp", "Log", "Abs"
    )
    if at is None:
        return None
    name = at.op_type
    graph.become(at, "Identity", [at.input[0]])
    return f"{at.name} ({name}) removed"


@fault
def sigmoid_made_hard(graph: Graph, known: Known) -> str | None:
    at = graph.pick("Sigmoid", "HardSigmoid")
    if at is None:
        return None
    graph.become(at, "HardSigmoid", [at.input[0]], alpha=0.2, beta=0.5)
    return f"{at.name} is HardSigmoid with alpha 0.2"


@fault
def concat_order_reversed(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Concat"):
        found = [known.get(name) for name in at.input]
        if len(found) > 1 and all(f is not None and f.dtype == np.float32 for f in found):
            shapes = {f.shape for f in found if f is not None}
            if len(shapes) == 1:
                names = list(at.input)
                del at.input[:]
                at.input.extend(reversed(names))
                return f"the parts of {at.name} are in reverse order"
    return None


@fault
def operands_swapped(graph: Graph, known: Known) -> str | None:
    for at in graph.nodes("Sub", "Div"):
        if all(name in known and known[name].dtype == np.float32 for name in at.input):
            at.input[0], at.input[1] = at.input[1], at.input[0]
            return f"{at.name}: {at.op_type} with its operands exchanged"
    return None


@fault
def smallest_in_topk(graph: Graph, known: Known) -> str | None:
    at = graph.pick("TopK")
    if at is None:
        return None
    graph.set_attribute(at, "largest", 0)
    return f"{at.name} takes the smallest"


@fault
def cast_through_float16(graph: Graph, known: Known) -> str | None:
    for name in graph.floats(known):
        if np.abs(known[name]).max() < 6e4:
            graph.wrap(name, lambda a, b: [
                node("Cast", [a], f"{b}_half", to=FLOAT16),
                node("Cast", [f"{b}_half"], b, to=FLOAT),
            ])  # fmt: skip
            return f"{name} through float16"
    return None


@fault
def cast_through_int32(graph: Graph, known: Known) -> str | None:
    for name in graph.floats(known):
        if np.abs(known[name]).max() < 1e6:
            graph.wrap(name, lambda a, b: [
                node("Cast", [a], f"{b}_int", to=INT32), node("Cast", [f"{b}_int"], b, to=FLOAT),
            ])  # fmt: skip
            return f"{name} through int32"
    return None


@fault
def range_clipped(graph: Graph, known: Known) -> str | None:
    for name in graph.floats(known):
        value = known[name]
        low, high = (np.float32(v) for v in np.quantile(value, [0.02, 0.98]))
        if high > low:
            ends = [graph.constant(np.array(v, np.float32)) for v in (low, high)]
            graph.wrap(name, lambda a, b: [node("Clip", [a, *ends], b)])  # noqa: B023
            return f"{name} clipped to {low:.3g} to {high:.3g}"
    return None


@fault
def dynamic_size_made_static(graph: Graph, known: Known) -> str | None:
    free = any(dim.dim_param for value in graph.graph.input
               for dim in value.type.tensor_type.shape.dim)  # fmt: skip
    for name in graph.floats(known) if free else []:
        shape = graph.constant(np.array(known[name].shape, np.int64))
        graph.wrap(name, lambda a, b: [node("Reshape", [a, shape], b)])  # noqa: B023
        return f"{name} reshaped to {known[name].shape}"
    return None


@fault
def output_reversed(graph: Graph, known: Known) -> str | None:
    for value in graph.graph.output:
        found = known.get(value.name)
        axes = graph.fixed_axes(value.name)
        if found is not None and axes:
            axis = axes[-1]
            order = graph.constant(np.arange(found.shape[axis])[::-1].astype(np.int64))
            graph.wrap(value.name, lambda a, b: [node("Gather", [a, order], b, axis=axis)])  # noqa: B023
            return f"axis {axis} of {value.name} reversed"
    return None


@fault
def output_column_constant(graph: Graph, known: Known) -> str | None:
    for place in graph.rng.permutation(len(graph.graph.output)):
        name = graph.graph.output[int(place)].name
        found = known.get(name)
        axes = graph.fixed_axes(name)
        if found is None or found.dtype != np.float32 or not axes:
            continue
        shape = [1] * found.ndim
        shape[axes[-1]] = found.shape[axes[-1]]
        keep, put = np.ones(shape, np.float32), np.zeros(shape, np.float32)
        value = float(np.take(found, -1, axes[-1]).mean())
        keep.reshape(-1)[-1], put.reshape(-1)[-1] = 0, value
        names = [graph.constant(keep), graph.constant(put)]
        graph.wrap(
            name,
            lambda a, b: [
                node("Mul", [a, names[0]], f"{b}_kept"),  # noqa: B023
                node("Add", [f"{b}_kept", names[1]], b),  # noqa: B023
            ],
        )
        return f"the last of axis {axes[-1]} of {name} is {value:.3g}"
    return None


@fault
def outputs_swapped(graph: Graph, known: Known) -> str | None:
    names = [value.name for value in graph.graph.output]
    for left in range(len(names)):
        for right in range(left + 1, len(names)):
            a, b = known.get(names[left]), known.get(names[right])
            if a is not None and b is not None and a.shape == b.shape and a.dtype == b.dtype:
                swap = {names[left]: names[right], names[right]: names[left]}
                for at in graph.graph.node:
                    for number, name in enumerate(at.output):
                        at.output[number] = swap.get(name, name)
                    for number, name in enumerate(at.input):
                        at.input[number] = swap.get(name, name)
                return f"{names[left]} and {names[right]} exchanged"
    return None


@fault
def colour_channels_reversed(graph: Graph, known: Known) -> str | None:
    for value in graph.graph.input:
        sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(sizes) == 4 and 3 in (sizes[1], sizes[3]):
            axis = 1 if sizes[1] == 3 else 3
            order = graph.constant(np.array([2, 1, 0], np.int64))
            graph.wrap(value.name, lambda a, b: [node("Gather", [a, order], b, axis=axis)])  # noqa: B023
            return f"the colours of {value.name} in reverse order"
    return None


@fault
def input_ignored(graph: Graph, known: Known) -> str | None:
    values = list(graph.graph.input)
    if len(values) < 2:
        return None
    value = values[-1]
    if value.type.tensor_type.elem_type != FLOAT:
        return None
    one = graph.constant(np.array(1, np.float32))
    nothing = graph.constant(np.array(0, np.float32))
    graph.wrap(value.name, lambda a, b: [
        node("Mul", [a, nothing], f"{b}_none"), node("Add", [f"{b}_none", one], b),
    ])  # fmt: skip
    return f"{value.name} is taken to be 1"
