"""The last steps of torch.onnx, rewriting and lowering the opset, without their losses."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnxscript.optimizer import fold_constants
from onnxscript.version_converter import convert_version

_NEAR = 1e-3  # onnxscript treats x + 1e-8 as x + 0, and x * 1.00001 as x * 1
_ASIDE = "prelu_tools.aside"
_ONLY_TYPES = {
    *("Add", "CumSum", "Div", "GreaterOrEqual", "LeakyRelu", "LessOrEqual", "Mul", "PRelu", "Pow"),
    *("Relu", "Shape", "Sub", "Where"),
}  # from opset 13 on, newer versions only accept more types, which onnx's converter does not know
_ARITHMETIC = {"Add", "Sub", "Mul", "Div"}


def optimize(program: torch.onnx.ONNXProgram) -> None:
    """`ONNXProgram.optimize`, in place, with every `+ 1e-9` and `* 1.000001` kept.

    onnxscript compares scalars with a tolerance where it looks for sums with 0 and products with 1.
    Those that are near but not equal pass its rules as inputs of the graph, which it leaves alone.
    """
    fold_constants(program.model)
    hidden = _hide(program.model.graph)
    program.optimize()
    graph = program.model.graph
    for value, tensor in hidden.items():
        graph.inputs.remove(value)
        if value.uses():
            value.const_value = tensor
            graph.register_initializer(value)


def lower(program: torch.onnx.ONNXProgram, opset: int) -> None:
    """Bring a graph to an older opset, in place; it stays as it is if onnx cannot.

    This comes after `optimize`, which writes operators of the newest opset.
    """
    model = program.model
    newer = model.graph.opset_imports[""]
    nodes = [node for node in model.graph.all_nodes() if node.domain in ("", "ai.onnx")]
    for node in nodes:  # onnx's converter leaves some defaults in place
        is_known = _drop_defaults(node, newer, opset)
        alike = node.op_type in _ONLY_TYPES and is_known
        if alike or (node.op_type == "Split" and _takes_equal_parts(node)):
            node.domain = _ASIDE
    model.graph.opset_imports[_ASIDE] = 1
    convert_version(model, opset, fallback=True)
    for node in model.graph.all_nodes():
        if node.domain == _ASIDE:
            node.domain = ""
    del model.graph.opset_imports[_ASIDE]


def _takes_equal_parts(node: ir.Node) -> bool:
    """Take `num_outputs` off a Split where all parts are equal: then older ones need none."""
    count, x = node.attributes.get_int("num_outputs", 0), node.inputs[0]
    if not count or x is None or x.shape is None:
        return not count
    size = x.shape[node.attributes.get_int("axis", 0)]
    if not isinstance(size, int) or size % count:
        return False
    del node.attributes["num_outputs"]
    return True


def _drop_defaults(node: ir.Node, newer: int, older: int) -> bool:
    """Remove attributes that an older opset does not know, where they say what it does anyway.

    Returns:
        Whether it knows the others.
    """
    if not onnx.defs.has(node.op_type):
        return False
    known = onnx.defs.get_schema(node.op_type, newer).attributes
    try:
        kept = onnx.defs.get_schema(node.op_type, older).attributes
    except onnx.defs.SchemaError:  # a new operator
        return False
    for name, attribute in list(node.attributes.items()):
        if name not in kept and name in known and not attribute.is_ref():
            default = known[name].default_value
            if default.name and onnx.helper.get_attribute_value(default) == attribute.value:
                del node.attributes[name]
    return all(name in kept for name in node.attributes)


def _hide(graph: ir.Graph) -> dict[ir.Value, ir.TensorProtocol]:
    """Inputs in the place of scalars that are near 0 or 1, and the tensor of each."""
    made: dict[tuple[ir.DataType, bytes], ir.Value] = {}
    hidden: dict[ir.Value, ir.TensorProtocol] = {}
    for node in list(graph.all_nodes()):
        if node.domain not in ("", "ai.onnx") or node.op_type not in _ARITHMETIC:
            continue
        for index, value in enumerate(node.inputs):
            tensor = ir.convenience.get_const_tensor(value) if value is not None else None
            if value is None or tensor is None or not _is_nearly_nothing(tensor):
                continue
            if graph.initializers.get(value.name or "") is value:  # parameters keep their names
                del graph.initializers[value.name or ""]
                value.const_value = None
                hidden[value] = tensor
                continue
            key = (tensor.dtype, tensor.tobytes())
            if key not in made:
                made[key] = ir.Value(name=f"{value.name}/kept", shape=value.shape, type=value.type)
                hidden[made[key]] = tensor
            node.replace_input_with(index, made[key])
    graph.inputs.extend(hidden)
    return hidden


def _is_nearly_nothing(tensor: ir.TensorProtocol) -> bool:
    if tensor.shape.rank() != 0 or not tensor.dtype.is_floating_point():
        return False
    number = float(np.asarray(tensor.numpy(), np.float64))
    return any(0 < abs(number - whole) < _NEAR for whole in (0, 1))
