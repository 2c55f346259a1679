"""Calls of the onnx library, which fails in many ways on broken graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

import numpy as np
import onnx
from onnx import helper, inliner, shape_inference

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.walk import all_nodes, every_node


def inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the nodes of local functions in the place of their calls; itself without any.

    Raises:
        PReLUToolsError: that cannot be done.
    """
    if not proto.functions:
        return proto
    try:
        prepared = _with_defaults(proto)
        found: onnx.ModelProto = inliner.inline_local_functions(prepared, _differ(prepared))
    except Exception as error:
        raise PReLUToolsError(
            f"the model's functions cannot be inlined by onnx "
            f"{onnx.__version__} ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
    functions = {(function.domain, function.name) for function in proto.functions}
    left = next(
        (n for n in all_nodes(found.graph.node) if (n.domain, n.op_type) in functions), None
    )
    if left is not None:
        raise PReLUToolsError(
            f"the model's function {left.op_type!r} cannot be inlined by onnx "
            f"{onnx.__version__}: its operators are of another opset than the model's"
        )
    return found


def _differ(proto: onnx.ModelProto) -> bool:
    """Whether a function has operators that its own opset defines otherwise than the model's.

    The opset of one that has none becomes the model's, in place.
    """
    versions = {opset.domain: opset.version for opset in proto.opset_import}
    differ = False
    for function in proto.functions:
        for opset in function.opset_import:
            wanted = versions.get(opset.domain, opset.version)
            own = [node for node in all_nodes(function.node) if node.domain == opset.domain]
            if all(_same(node.op_type, opset, wanted) for node in own):
                opset.version = wanted
            else:
                differ = True
    return differ


def _same(operator: str, opset: onnx.OperatorSetIdProto, wanted: int) -> bool:
    """Whether two versions of a domain define an operator alike."""
    if opset.version == wanted:
        return True
    try:
        schemas = [
            onnx.defs.get_schema(operator, version, opset.domain)
            for version in (opset.version, wanted)
        ]
    except onnx.defs.SchemaError:
        return False
    return schemas[0].since_version == schemas[1].since_version


def _with_defaults(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model, with every attribute at its call that a function has by default.

    onnx's inliner knows no defaults.
    """
    defaults = {
        (function.domain, function.name, function.overload): function.attribute_proto
        for function in proto.functions
        if function.attribute_proto
    }
    copy = deepcopy(proto)
    for node in every_node(copy):
        given = {attribute.name for attribute in node.attribute}
        for default in defaults.get((node.domain, node.op_type, node.overload), ()):
            if default.name not in given:
                node.attribute.add().CopyFrom(default)
    return copy


def inferred(proto: onnx.ModelProto, data_prop: bool = False) -> onnx.ModelProto:
    """The model with the types that shape inference finds; as it is if that fails.

    What a file states about its own tensors may be out of date (axes that were moved, a batch that
    was freed), and runtimes pass over it. It counts only where inference finds nothing (after an
    operator that onnx does not know), and for sizes that inference leaves open where nothing that
    it finds speaks against them.
    """
    bare = deepcopy(proto)
    stated = list(proto.graph.value_info)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        found: onnx.ModelProto = shape_inference.infer_shapes(bare, data_prop=data_prop)
        names = _names_of_sizes(proto.graph.input)
        known = {value.name: value for value in found.graph.value_info if _has_shape(value)}
        left = [
            value if value.name not in known else completed
            for value in stated
            if _has_shape(value)
            and (completed := _completed(known.get(value.name, value), value, names)) is not None
        ]
        if left:
            again = {value.name for value in left}
            kept = [value for value in found.graph.value_info if value.name not in again]
            del bare.graph.value_info[:]
            bare.graph.value_info.extend([*kept, *left])
            found = shape_inference.infer_shapes(bare, data_prop=data_prop)
    except Exception:
        return proto
    for value, declared in zip(found.graph.output, proto.graph.output, strict=True):
        _complete(value, declared)
    return found


def with_shapes(
    proto: onnx.ModelProto, shapes: Mapping[str, Sequence[int | str]]
) -> onnx.ModelProto:
    """A copy of a model whose inputs have these sizes; other known shapes are dropped.

    Args:
        proto: the model.
        shapes: sizes of inputs by name; entries that are not numbers change nothing.
    """
    copy = deepcopy(proto)
    del copy.graph.value_info[:]
    for value in copy.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, shapes.get(value.name, ()), strict=False):
            if not isinstance(size, str):
                dim.dim_value = size
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    return copy


def _names_of_sizes(values: Iterable[onnx.ValueInfoProto]) -> set[str]:
    """The names of dynamic sizes; inference makes up others."""
    return {size.dim_param for value in values for size in value.type.tensor_type.shape.dim} - {""}


def _completed(
    found: onnx.ValueInfoProto, stated: onnx.ValueInfoProto, names: set[str]
) -> onnx.ValueInfoProto | None:
    """What was found with the stated sizes where it is open; None if that adds nothing."""
    if found is stated:
        return found
    own, other = found.type.tensor_type.shape.dim, stated.type.tensor_type.shape.dim
    if len(own) != len(other):
        return None
    pairs = list(zip(own, other, strict=True))
    if any(a.dim_value != b.dim_value for a, b in pairs if a.HasField("dim_value")):
        return None
    is_open = [not a.HasField("dim_value") and a.dim_param not in names for a, _ in pairs]
    if not any(is_open):
        return None
    result = deepcopy(found)
    for place, (_, size) in enumerate(pairs):
        if is_open[place]:
            result.type.tensor_type.shape.dim[place].CopyFrom(size)
    return result


def _has_shape(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.HasField("shape")


def _complete(value: onnx.ValueInfoProto, declared: onnx.ValueInfoProto) -> None:
    """Give an output the shape, or the sizes, that it is declared with and inference left open."""
    if not _has_shape(declared) or not value.type.HasField("tensor_type"):
        return
    own, other = value.type.tensor_type.shape, declared.type.tensor_type.shape
    if not _has_shape(value):
        own.CopyFrom(other)
        return
    if len(own.dim) == len(other.dim):
        for found, stated in zip(own.dim, other.dim, strict=True):
            if not found.HasField("dim_value"):
                found.CopyFrom(stated)


def computed(
    proto: onnx.ModelProto, node: onnx.NodeProto, tensor: str, inputs: Sequence[Array | None]
) -> Array | None:
    """One output of one node by onnx's reference implementation; None if that fails.

    Args:
        proto: the model, for its opsets.
        node: the node.
        tensor: which of its outputs.
        inputs: one for each of its inputs, None for one that is left out.
    """
    from onnx.reference import ReferenceEvaluator  # 0.1 s, for what is rare

    feeds = {name: x for name, x in zip(node.input, inputs, strict=True) if x is not None}
    values = [helper.make_tensor_value_info(name, 0, None) for name in feeds]
    outputs = [helper.make_tensor_value_info(tensor, 0, None)]
    plain, opsets = node, list(proto.opset_import)
    if node.domain:  # onnxruntime's name for an operator that ONNX has added since
        plain, opsets = deepcopy(node), [helper.make_opsetid("", onnx.defs.onnx_opset_version())]
        plain.domain = ""
    graph = helper.make_graph([plain], "node", values, outputs)
    try:
        model = helper.make_model(graph, opset_imports=opsets)
        (found,) = ReferenceEvaluator(model).run(None, feeds)
    except Exception:
        return None
    return found if isinstance(found, np.ndarray) else None
