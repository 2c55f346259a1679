"""From the graph of a model to ONNX.

tf2onnx works on a graph without the larger weights, so it handles only kilobytes; they are attached
to its result. Slopes are constants in it, and tags (`core/prelu/tags.py`): tf2onnx transposes a
constant to the graph's new axis order, but leaves Transposes around anything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, shape_inference

from prelu_tools.backends.keras.conversion.constants import fold
from prelu_tools.backends.keras.conversion.optimizing import optimized
from prelu_tools.backends.keras.conversion.rewriting import sparing_prelus
from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.marks import STAND_IN, with_slopes
from prelu_tools.backends.keras.graphs.program import Program, Tap
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.protocol.interface import Conversion, layouts_between
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError
from prelu_tools.core.options import ConversionOptions, WantedLayout, free_size
from prelu_tools.core.prelu.layout import from_layouts
from prelu_tools.core.prelu.slopes import SlopeParameter
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.cleaning.folding import attach_weights
from prelu_tools.graph.passes.cleaning.layouts import move_inputs, move_outputs
from prelu_tools.graph.passes.pipeline import AFTER_TF2ONNX, run_passes
from prelu_tools.graph.passes.spelling import spell_out
from prelu_tools.graph.passes.tidy import name_boundaries

_LARGE = 1 << 16  # bytes; larger weights become inputs of the graph that tf2onnx converts
_NEWEST = 18  # opset of tf2onnx


def convert_program(
    program: Program,
    calls: Sequence[PReLUCall],
    wanted: ConversionOptions,
    show: bool,
    notes: Sequence[str],
) -> Conversion:
    """Convert a program.

    Args:
        program: the graph.
        calls: what is known of the slopes of each of its taps.
        wanted: the properties of the result.
        show: whether to let the framework write to standard error.
        notes: notes for the user.

    Raises:
        PReLUToolsError: tf2onnx cannot convert it.
    """
    tf2onnx = _import_tf2onnx()
    tags = TagBook()
    parameters, slopes = _tagged(program, calls, tags)
    constants = constants_of(program)
    with quiet(show, logger="tf2onnx"):
        opset = min(wanted.opset, _NEWEST)
        fused = OnnxModel(to_onnx(program, constants, slopes, opset), None)
        graph = fused.proto.graph
        weights = {value.name for value in graph.input} - set(program.inputs)
        move_inputs(graph, program.layout, wanted.input_layout, weights)
        move_outputs(graph, program.layout, wanted.output_layout, weights)
        model = OnnxModel(optimized(tf2onnx, fused.inlined(), program.name), None)
    attach_weights(
        model, {w.tensor: w.read() for w in program.weights if w.tensor not in constants}
    )
    run_passes(model, AFTER_TF2ONNX)
    held = [values.reshape(-1) for values in constants.values() if values.dtype.kind == "f"]
    spell_out(model, tags, {float(v[0]) for v in held if v.size and (v == v[0]).all()})
    _name_boundaries(model.proto.graph, program, wanted.input_layout)
    for node in model.proto.graph.node:
        layer = program.layer_of(node.name)
        node.name = f"{layer}/{node.op_type}" if layer else ""
    return Conversion(
        model=model,
        tags=tags,
        parameters=parameters,
        route=f"tf2onnx {tf2onnx.__version__}",
        notes=tuple(notes),
        input_layouts=layouts_between(program.layout, wanted.input_layout),
        output_layouts=layouts_between(program.layout, wanted.output_layout),
    )


def _tagged(
    program: Program, calls: Sequence[PReLUCall], tags: TagBook
) -> tuple[dict[str, SlopeParameter], dict[Tap, Array]]:
    """Tags for each call whose output is used, and how they broadcast over its input."""
    parameters: dict[str, SlopeParameter] = {}
    slopes: dict[Tap, Array] = {}
    numbers: Counter[str] = Counter()
    for tap, call in zip(program.taps, calls, strict=True):
        number = numbers[tap.parameter]
        numbers[tap.parameter] += 1
        if not program.is_used(tap):
            continue
        key = f"{call.parameter}@{number}"
        parameters[key] = SlopeParameter(
            call.layer, call.parameter, call.values, call.indices, 1, number
        )
        slopes[tap] = tags.tag(key, call.values.shape).reshape(-1)[call.indices]
    return parameters, slopes


def constants_of(program: Program) -> dict[str, Array]:
    """What is a constant for tf2onnx: all that is small."""
    return {w.tensor: w.read() for w in program.weights if w.n_bytes <= _LARGE}


def to_onnx(
    program: Program, constants: Mapping[str, Array], slopes: Mapping[Tap, Array], opset: int
) -> onnx.ModelProto:
    """A program as ONNX, before any of tf2onnx's optimizations; its tensors keep their names.

    Args:
        program: the graph.
        constants: values for placeholders of weights; the others become inputs.
        slopes: of its calls of PReLU, each of which becomes one PRelu node.
        opset: of the result.

    Raises:
        PReLUToolsError: tf2onnx cannot convert it.
    """
    tf2onnx = _import_tf2onnx()
    left = [weight.tensor for weight in program.weights if weight.tensor not in constants]
    try:
        with tf.Graph().as_default() as graph:
            definition = with_slopes(program.with_constants(constants), slopes)
            tf.import_graph_def(fold(definition, program.outputs.values()), name="")
            with (
                tf2onnx.tf_loader.tf_session(graph=graph),
                sparing_prelus(tf2onnx.tfonnx, constants),
            ):
                converted = tf2onnx.tfonnx.process_tf_graph(
                    graph,
                    opset=opset,
                    input_names=[*program.inputs, *left],
                    output_names=list(program.outputs.values()),
                    custom_op_handlers={
                        "Erfc": (_erfc, []),
                        "Select": (_select, []),
                        "SelectV2": (_select, []),
                        STAND_IN: (_prelu, []),
                    },
                )
        proto: onnx.ModelProto = converted.make_model("prelu-tools")
        proto.graph.value_info.extend(_missing_shapes(proto, converted))
    except Exception as error:
        raise PReLUToolsError(
            f"tf2onnx cannot convert {program.name} ({type(error).__name__}: {error})"
        ) from error
    return proto


def _missing_shapes(proto: onnx.ModelProto, graph: Any) -> list[onnx.ValueInfoProto]:
    """Ranks that tf2onnx knows from TensorFlow, where ONNX' own inference finds nothing.

    Its optimizers fail where they need one; and where they see more, a Transpose along a size of 1
    becomes a Reshape that no other cancels.
    """
    inferred = {
        value.name: value.type for value in shape_inference.infer_shapes(proto).graph.value_info
    }
    found = []
    for node in graph.get_nodes():
        for name in node.output:
            known, shape = inferred.get(name), graph.get_shape(name)
            if shape is None or (known is not None and known.tensor_type.HasField("shape")):
                continue
            kind = graph.get_dtype(name) if known is None else known.tensor_type.elem_type
            if kind:
                found.append(helper.make_tensor_value_info(name, kind, [None] * len(shape)))
    return found


def _erfc(context: Any, node: Any, _name: str, _args: Any) -> Any:
    """1 - Erf(x): ONNX has no other."""
    kind = context.get_dtype(node.output[0])
    erf = context.make_node("Erf", [node.input[0]], dtypes=[kind])
    one = np.array(1, helper.tensor_dtype_to_np_dtype(kind))
    inputs = [context.make_const(f"{node.name}/one", one).output[0], erf.output[0]]
    shapes, dtypes = node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    return context.make_node(
        "Sub", inputs, name=node.name, outputs=node.output, shapes=shapes, dtypes=dtypes
    )


def _select(context: Any, node: Any, _name: str, _args: Any) -> None:
    """A Where: tf2onnx adds products with a mask, and what is not selected may be infinite."""
    import tf2onnx.onnx_opset.controlflow

    node.set_attr("handles_nan", True)
    tf2onnx.onnx_opset.controlflow.Select.version_9(context, node)


def _prelu(context: Any, node: Any, _name: str, _args: Any) -> None:
    """The operator that stands for a PReLU: of its input and of its slopes."""
    inputs, outputs, shapes, dtypes = (
        node.input,
        node.output,
        node.output_shapes,
        node.output_dtypes,
    )
    context.remove_node(node.name)
    context.make_node(
        "PRelu", inputs, name=node.name, outputs=outputs, shapes=shapes, dtypes=dtypes
    )


def _name_boundaries(graph: onnx.GraphProto, program: Program, layout: WantedLayout) -> None:
    """Give inputs and outputs the source's names and dimensions."""
    names = dict(zip(program.inputs, (spec.name for spec in program.specs), strict=True))
    names |= {value.name: name for value, name in zip(graph.output, program.outputs, strict=True)}
    name_boundaries(graph, names)
    shapes = {spec.name: spec.shape for spec in program.specs}
    for value in graph.input:
        shape = shapes[value.name]
        if layout != "keep":
            order = from_layouts(program.layout, layout, len(shape))
            shape = tuple(shape[axis] for axis in order)
        for dim, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
            if isinstance(size, str):
                dim.dim_param = size
    for value in graph.output:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value"):
                dim.dim_param = free_size(value.name, axis)


def _import_tf2onnx() -> Any:
    try:
        import tf2onnx
        import tf2onnx.graph
        import tf2onnx.tf_loader
        import tf2onnx.tfonnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("tf2onnx", "keras", "to convert Keras models") from error
    return tf2onnx
