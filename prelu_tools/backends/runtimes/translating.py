"""The graph of another format as an ONNX graph, so that one recogniser reads them all.

Element-wise operators become ONNX's own, which the recogniser knows; all others become nodes of
their own domain, which it passes over. Weights stay in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.model import OnnxModel, set_place
from prelu_tools.graph.io.sanity import Operators
from prelu_tools.graph.io.tensor_checks import BrokenGraphError

OPSET = 18


class GraphBuilder:
    """Takes one tensor or operator after the other."""

    def __init__(self, path: Path, domain: str) -> None:
        """Begin with nothing.

        Args:
            path: the file that holds the weights.
            domain: of operators that are not ONNX's.
        """
        self._path = path
        self._domain = domain
        self._model = OnnxModel(onnx.ModelProto(), path)
        self._graph = self._model.proto.graph
        self._graph.name = path.name
        self._names: Counter[str] = Counter()

    def name(self, wanted: str) -> str:
        """A name that no other tensor has."""
        self._names[wanted] += 1
        count = self._names[wanted]
        return wanted if count == 1 and wanted else self.name(f"{wanted}#{count}")

    def input(self, name: str, dtype: str, shape: Shape | None) -> None:
        """An input of the model."""
        self._graph.input.append(_value(name, dtype, shape))

    def output(self, name: str, dtype: str, shape: Shape | None) -> None:
        """An output of the model."""
        self._graph.output.append(_value(name, dtype, shape))

    def typed(self, name: str, dtype: str, shape: Shape | None) -> None:
        """What is known of a tensor that an operator makes."""
        self._graph.value_info.append(_value(name, dtype, shape))

    def stored(
        self, name: str, dtype: str, shape: Sequence[int], place: tuple[int, int], file: Path
    ) -> None:
        """A tensor whose values are in a file.

        Args:
            name: its name.
            dtype: numpy's name of its type.
            shape: its sizes.
            place: the position of its first byte, and how many bytes it has.
            file: which file; next to the model, or the model itself.
        """
        tensor = self._graph.initializer.add(name=name, dims=shape, data_type=_TYPES[dtype])
        offset, length = map(str, place)
        set_place(tensor, {"location": file.name, "offset": offset, "length": length})

    def constant(self, name: str, values: Array) -> str:
        """A tensor whose values are known here; returns its name."""
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        **attributes: Any,
    ) -> None:
        """An operator of ONNX."""
        name = outputs[0].partition("#")[0]
        node = helper.make_node(operator, inputs, outputs, name, **attributes)
        self._graph.node.append(node)

    def other(self, operator: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """An operator that is not ONNX's, or that need not be understood."""
        name = next(iter(outputs), "")
        node = helper.make_node(operator, inputs, outputs, name, domain=self._domain)
        self._graph.node.append(node)

    def finished(self, producer: str) -> OnnxModel:
        """The graph.

        Raises:
            PReLUToolsError: an operator reads the output of a later one, two have one output, or
                one of ONNX's lacks an input.
        """
        proto = self._model.proto
        self._check_order()
        self._check_operators()
        proto.ir_version = 8
        proto.producer_name = producer
        for domain, version in (("", OPSET), (self._domain, 1)):
            proto.opset_import.append(helper.make_opsetid(domain, version))
        return self._model

    def _check_operators(self) -> None:
        operators = Operators({"": OPSET})
        try:
            for node in self._graph.node:
                operators.refuse_misuse(node)
        except BrokenGraphError as error:
            raise PReLUToolsError(f"{self._path} is damaged: {error}") from error

    def _check_order(self) -> None:
        graph = self._graph
        later = Counter(name for node in graph.node for name in node.output if name)
        known = {value.name for value in graph.input} | {t.name for t in graph.initializer}
        for node in graph.node:
            early = next((name for name in node.input if name in later), None)
            if early is not None:
                raise PReLUToolsError(
                    f"{self._path} is damaged: operator {node.name!r} reads {early!r} before it "
                    "is produced"
                )
            for name in filter(None, node.output):
                if name in known:
                    raise PReLUToolsError(f"{self._path} is damaged: {name!r} is produced twice")
                known.add(name)
                later.pop(name, None)


_KNOWN = ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint64", "uint32",
          "uint16", "uint8", "bool", "complex64", "complex128")  # fmt: skip
_TYPES: Mapping[str, int] = {
    **{name: helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in _KNOWN},
    "bfloat16": onnx.TensorProto.BFLOAT16,
    "int4": onnx.TensorProto.INT4,
    "string": onnx.TensorProto.STRING,
}


def is_type(dtype: str) -> bool:
    """Whether a graph here can hold tensors of a type."""
    return dtype in _TYPES


def type_code(dtype: str) -> int:
    """The `TensorProto.DataType` of a type."""
    return _TYPES[dtype]


def _value(name: str, dtype: str, shape: Shape | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES.get(dtype, 0), shape)
