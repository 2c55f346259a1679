"""From one trace of a Keras model to ONNX.

The trace is a function of the inputs *and of the larger variables*, so the graph that tf2onnx
works on weighs kilobytes; the weights are attached to its result. Slopes are constants in the
trace, and tags (`core/tags.py`): tf2onnx moves a constant to the axis order that it gives to the
graph, and leaves Transposes around anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from prelu_tools.backends.conversion import Conversion, Parameter
from prelu_tools.backends.interface import TensorSpec
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.watch import layer_names, watching
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.canonical import fuse_prelus
from prelu_tools.graph.folding import (
    attach_weights,
    fix_reshapes,
    fold_batch_normalization,
    fold_constants,
)
from prelu_tools.graph.model import OnnxModel
from prelu_tools.graph.tidy import rename_values

_LARGE = 1 << 16  # bytes; above, a variable is an input of the trace


def convert_model(
    model: Any,
    specs: Sequence[TensorSpec],
    call: Callable[[list[Any]], dict[str, Any]],
    slopes: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    opset: int,
    options: SourceOptions,
) -> Conversion:
    """Trace a model and convert the trace.

    Args:
        model: the `keras.Model`.
        specs: its inputs.
        call: runs the model on its flat inputs and names its outputs.
        slopes: the variables of its slopes by parameter name.
        parameters: the slope tensors.
        opset: of the result.
        options: how the user wants it.

    Raises:
        PReLUToolsError: Keras cannot trace it, or tf2onnx cannot convert it.
    """
    tf2onnx = _import_tf2onnx()
    tags = TagBook()
    values = {id(v): tags.tag(name, tuple(v.shape)) for name, v in slopes.items()}
    with quiet(options.show_chatter, logger="tf2onnx"):
        trace = _Trace(model, specs, call, values)
        proto = trace.convert(tf2onnx, opset)
        fused = OnnxModel(proto, None)
        fuse_prelus(fused, lambda match: tags.find(match.slopes) is not None)
        optimize = tf2onnx.graph.GraphUtil.optimize_model_proto
        converted = OnnxModel(optimize(fused.inlined(), catch_errors=False), None)
    attach_weights(converted, trace.weights())
    fold_constants(converted)
    fold_batch_normalization(converted)
    fix_reshapes(converted)
    _name_boundaries(converted.proto.graph, specs, trace.outputs)
    trace.name_nodes(converted.proto.graph)
    return Conversion(converted, tags, parameters, f"tf2onnx {tf2onnx.__version__}")


class _Trace:
    """The traced function, and what was recorded while it was traced."""

    def __init__(
        self,
        model: Any,
        specs: Sequence[TensorSpec],
        call: Callable[[list[Any]], dict[str, Any]],
        values: Mapping[int, Array],
    ) -> None:
        self.outputs: list[str] = []
        self._model = model
        self._specs = specs
        self._call = call
        self._scopes: dict[str, str] = {}
        variables = list({id(v): v for v in model.variables}.values())
        self._large = [
            v for v in variables if id(v) not in values and np.prod(v.shape) * 4 > _LARGE
        ]
        large = {id(v) for v in self._large}
        self._small = [(v, values.get(id(v))) for v in variables if id(v) not in large]
        self._small = [(v, np.array(v) if a is None else a) for v, a in self._small]
        self._function = self._build()

    def _build(self) -> Any:
        names = layer_names(self._model)

        def before(layer: Any) -> None:
            self._scopes[tf.get_current_name_scope()] = names.get(id(layer), layer.name)

        def traced(*flat: Any) -> list[Any]:
            inputs, weights = list(flat[: len(self._specs)]), flat[len(self._specs) :]
            mapping = [(v, tf.constant(a)) for v, a in self._small]
            mapping += list(zip(self._large, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                outputs = self._call(inputs)
            self.outputs = list(outputs)
            return [tf.identity(v, name=f"out_{i}") for i, v in enumerate(outputs.values())]

        specs = [
            tf.TensorSpec(
                [s if isinstance(s, int) else None for s in spec.shape], spec.dtype, f"in_{i}"
            )
            for i, spec in enumerate(self._specs)
        ]
        specs += [tf.TensorSpec(v.shape, v.dtype, f"weight_{i}") for i, v in enumerate(self._large)]
        try:
            with watching(self._model, before, None):
                function = tf.function(traced, autograph=False).get_concrete_function(*specs)
            return _freeze(function)
        except Exception as error:
            raise PReLUToolsError(
                f"Keras cannot trace {self._model.name} ({type(error).__name__}: {error})"
            ) from error

    def convert(self, tf2onnx: Any, opset: int) -> onnx.ModelProto:
        """The trace as ONNX, before any of tf2onnx's optimizations."""
        definition = self._function.graph.as_graph_def(add_shapes=True)
        try:
            with tf.Graph().as_default() as graph:
                tf.import_graph_def(definition, name="")
                with tf2onnx.tf_loader.tf_session(graph=graph):
                    converted = tf2onnx.tfonnx.process_tf_graph(
                        graph,
                        opset=opset,
                        input_names=[tensor.name for tensor in self._function.inputs],
                        output_names=[tensor.name for tensor in self._function.outputs],
                    )
            proto: onnx.ModelProto = converted.make_model("prelu-tools")
        except Exception as error:
            raise PReLUToolsError(
                f"tf2onnx cannot convert {self._model.name} ({type(error).__name__}: {error})"
            ) from error
        return proto

    def weights(self) -> dict[str, Array]:
        """The values of the larger variables, not copied, by the names of their inputs."""
        return {f"weight_{i}:0": _array(v) for i, v in enumerate(self._large)}

    def name_nodes(self, graph: onnx.GraphProto) -> None:
        """Name nodes after the layers whose scopes they were traced in."""
        scopes = sorted(self._scopes, key=len, reverse=True)
        for node in graph.node:
            scope = next((s for s in scopes if s and node.name.startswith(f"{s}/")), None)
            node.name = f"{self._scopes[scope]}/{node.op_type}" if scope else ""


def _array(variable: Any) -> Array:
    """What a variable holds; TensorFlow's numpy() would copy it."""
    held = tf.convert_to_tensor(variable.value)
    return np.array(held) if held.dtype == tf.bfloat16 else np.asarray(memoryview(held))


def _freeze(function: Any) -> Any:
    """Inline the functions that Keras wraps some layers in."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function, lower_control_flow=False)


def _name_boundaries(
    graph: onnx.GraphProto, specs: Sequence[TensorSpec], outputs: Sequence[str]
) -> None:
    """Give inputs and outputs the source's names and dimensions."""
    names = {value.name: spec.name for value, spec in zip(graph.input, specs, strict=True)}
    names |= {value.name: name for value, name in zip(graph.output, outputs, strict=True)}
    rename_values(graph, names)
    for value, spec in zip(graph.input, specs, strict=True):
        for dim, size in zip(value.type.tensor_type.shape.dim, spec.shape, strict=True):
            if isinstance(size, str):
                dim.dim_param = size
    for value in graph.output:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value"):
                dim.dim_param = "batch" if axis == 0 else f"{value.name}_dim_{axis}"


def _import_tf2onnx() -> Any:
    try:
        import tf2onnx
        import tf2onnx.graph
        import tf2onnx.tf_loader
        import tf2onnx.tfonnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("tf2onnx", "keras", "to convert Keras models") from error
    return tf2onnx
