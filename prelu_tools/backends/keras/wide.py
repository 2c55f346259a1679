"""A Keras model in float64: traced once, and the trace widened.

Cloning a model under a float64 policy fails on subclassed models and on classes that keep their
own float32, once silently; the trace has every operation and every type in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from prelu_tools.backends.calls import Tally
from prelu_tools.backends.interface import TensorSpec
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.watch import slope_name, watching
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.grouping import grouped

_ALWAYS_FLOAT = ("ResizeBilinear", "ResizeBicubic", "ResizeArea")  # their output has no other type
_UNKNOWN = 64  # for a size that the trace does not know


class WideKerasRunner:
    """Runs the widened trace of a model."""

    def __init__(
        self,
        model: Any,
        specs: Sequence[TensorSpec],
        call: Callable[[list[Any]], dict[str, Any]],
        tally: Callable[[], Tally] | None,
    ) -> None:
        """Trace and widen.

        Args:
            model: the `keras.Model`.
            specs: its inputs.
            call: runs the model on its flat inputs and names its outputs.
            tally: makes what is told of the calls of each run; None where nobody asks.

        Raises:
            PReLUToolsError: Keras cannot trace it, or TensorFlow cannot widen it.
        """
        self._specs = specs
        self._tally = tally
        self._names: list[str] = []
        self._slopes: list[str] = []
        variables = list({id(v): v for v in model.variables}.values())
        self._weights = [_wide(np.array(v)) for v in variables]
        try:
            with quiet(show=False):
                traced = self._trace(model, variables, call)
                definition = traced.graph.as_graph_def()
                self.stayed_narrow = widen(definition)
                self._load(traced, definition)
        except Exception as error:
            raise PReLUToolsError(f"{type(error).__name__}: {_line(error)}") from error

    def _trace(
        self, model: Any, variables: Sequence[Any], call: Callable[[list[Any]], dict[str, Any]]
    ) -> Any:
        taps: list[Any] = []
        tally = None if self._tally is None else self._tally()

        def after(layer: Any, x: Any, y: Any) -> None:
            name = slope_name(model, layer)
            if name is not None and tally is not None and tally.knows(name):
                self._slopes.append(name)
                taps.extend((tf.identity(x), tf.identity(y)))

        def traced(*flat: Any) -> list[Any]:
            del taps[:], self._slopes[:]
            inputs, weights = list(flat[: len(self._specs)]), flat[len(self._specs) :]
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                outputs = call(inputs)
            self._names = list(outputs)
            return [tf.identity(value) for value in outputs.values()] + taps

        shapes = [[s if isinstance(s, int) else None for s in spec.shape] for spec in self._specs]
        signature = [
            tf.TensorSpec(shape, spec.dtype)
            for shape, spec in zip(shapes, self._specs, strict=True)
        ]
        signature += [tf.TensorSpec(v.shape, v.dtype) for v in variables]
        with watching(model, None, after):
            function = tf.function(traced, autograph=False).get_concrete_function(*signature)
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        return convert_variables_to_constants_v2(function, lower_control_flow=False)

    def _load(self, traced: Any, definition: Any) -> None:
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
        inputs = [wrapped.graph.as_graph_element(t.name) for t in traced.inputs]
        fetches = [wrapped.graph.as_graph_element(t.name) for t in traced.outputs]
        outputs, taps = fetches[: len(self._names)], fetches[len(self._names) :]
        pairs = [(k, taps[2 * k], taps[2 * k + 1]) for k in range(len(taps) // 2)]
        sizes = [sum(map(_bytes, pair[1:])) for pair in pairs]
        self._outputs = wrapped.prune(inputs, outputs)
        self._groups = [
            ([k for k, _, _ in group], wrapped.prune(inputs, [t for p in group for t in p[1:]]))
            for group in grouped(pairs, sizes)
        ]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        values = [*(_wide(feeds[spec.name]) for spec in self._specs), *self._weights]
        flat = [tf.constant(value) for value in values]
        try:
            with quiet(show=False):
                outputs = [np.asarray(value) for value in self._outputs(*flat)]
                self._tell(flat)
        except Exception as error:
            raise PReLUToolsError(f"{type(error).__name__}: {_line(error)}") from error
        for name, array in zip(self._names, outputs, strict=True):
            if str(array.dtype) in ("float16", "bfloat16"):
                raise PReLUToolsError(f"output {name} is {array.dtype} even then")
        return dict(zip(self._names, outputs, strict=True))

    def _tell(self, flat: Sequence[Any]) -> None:
        if self._tally is None:
            return
        tally = self._tally()
        for numbers, function in self._groups:
            tapped = [np.asarray(value) for value in function(*flat)]
            for place, k in enumerate(numbers):
                tally(self._slopes[k], tapped[2 * place], tapped[2 * place + 1])


def widen(definition: Any) -> tuple[str, ...]:
    """Make a GraphDef compute in float64, in place; the nodes that do not, by name.

    Every attribute and constant of type float becomes double, in the functions of its library too,
    which are renamed, so that TensorFlow does not take them for the ones that it knows.
    """
    renamed = {f.signature.name: f"{f.signature.name}_wide" for f in definition.library.function}
    narrow: dict[str, None] = {}
    for function in definition.library.function:
        function.signature.name = renamed[function.signature.name]
        for argument in [*function.signature.input_arg, *function.signature.output_arg]:
            argument.type = _double(argument.type)
        added = _widen_nodes(function.node_def, renamed, narrow, ":resized_images:0", ":y:0")
        for key, name in function.ret.items():
            function.ret[key] = added.get(name, name)
        for node in function.node_def:
            _reroute(node, added)
    added = _widen_nodes(definition.node, renamed, narrow, "", "")
    for node in definition.node:
        _reroute(node, added)
    return tuple(narrow)


def _widen_nodes(
    nodes: Any, renamed: Mapping[str, str], narrow: dict[str, None], out: str, cast_out: str
) -> dict[str, str]:
    """Widen nodes; what reads the output of one that stays float has to read its Cast instead."""
    rerouted = {}
    for node in list(nodes):
        node.op = renamed.get(node.op, node.op)
        for attribute in node.attr.values():
            _widen_attribute(attribute, renamed)
        if any(a.type in (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)
               for a in node.attr.values()):  # fmt: skip
            narrow[node.name] = None
        if node.op in _ALWAYS_FLOAT:
            narrow[node.name] = None
            cast = nodes.add(name=f"{node.name}/wide", op="Cast", input=[f"{node.name}{out}"])
            cast.attr["SrcT"].type = tf.float32.as_datatype_enum
            cast.attr["DstT"].type = tf.float64.as_datatype_enum
            rerouted[f"{node.name}{out}"] = f"{cast.name}{cast_out}"
    return rerouted


def _reroute(node: Any, added: Mapping[str, str]) -> None:
    for place, name in enumerate(node.input):
        target = added.get(name) or added.get(name.removesuffix(":0"))
        if target is not None and not target.startswith(f"{node.name}:") and target != node.name:
            node.input[place] = target


def _widen_attribute(attribute: Any, renamed: Mapping[str, str]) -> None:
    kind = attribute.WhichOneof("value")
    if kind == "type":
        attribute.type = _double(attribute.type)
    elif kind == "tensor" and attribute.tensor.dtype == tf.float32.as_datatype_enum:
        values = tf.make_ndarray(attribute.tensor).astype(np.float64)
        attribute.tensor.CopyFrom(tf.make_tensor_proto(values, shape=values.shape))
    elif kind == "func":
        attribute.func.name = renamed.get(attribute.func.name, attribute.func.name)
    elif kind == "list":
        for place, value in enumerate(attribute.list.type):
            attribute.list.type[place] = _double(value)
        for function in attribute.list.func:
            function.name = renamed.get(function.name, function.name)


def _double(kind: int) -> int:
    wide: int = tf.float64.as_datatype_enum
    return wide if kind == tf.float32.as_datatype_enum else kind


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _bytes(tensor: Any) -> int:
    sizes = [_UNKNOWN if size is None else int(size) for size in (tensor.shape or ())]
    return 8 * int(np.prod(sizes, dtype=np.int64))


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
