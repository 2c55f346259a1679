"""Watch how a Keras model, run eagerly, reads numbers from tensors and decides by them.

`tf.cond` and `keras.ops.cond` read their condition like a Python `if`; when traced, both branches
are kept, and Python code that reads a tensor is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from tensorflow.python.framework import op_callbacks, ops, smart_cond
from tensorflow.python.ops import cond as conditionals

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.probing.reading import Readings

_READS: Final = ("__bool__", "__float__", "__int__", "__index__")
_FREE_OF_VALUES: Final = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


@contextmanager
def reading(readings: Readings, inputs: Sequence[Any]) -> Iterator[None]:
    """Within the block, reads of tensors that depend on the inputs are reported.

    Args:
        readings: receives them.
        inputs: the inputs, as eager tensors.
    """
    dependent: dict[int, Any] = {id(tensor): tensor for tensor in inputs}  # kept alive for its id

    def note(
        op_type: Any, given: Any, _attrs: Any, results: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is not None:
            return
        kind = op_type.decode() if isinstance(op_type, bytes) else str(op_type)
        variables = [x._id for x in given if getattr(x, "dtype", None) == tf.resource]
        readings.note(f"{kind} {variables}")
        if kind not in _FREE_OF_VALUES and any(id(tensor) in dependent for tensor in given):
            dependent.update({id(tensor): tensor for tensor in results})

    def told(function: Any) -> Any:
        def read(tensor: Any) -> Any:
            value = function(tensor)
            return readings.read(value) if id(tensor) in dependent else value

        return read

    choose = conditionals._eager_cond_implementation

    def chosen(pred: Any, *branches: Any, **options: Any) -> Any:
        return choose(tf.constant(bool(tf.convert_to_tensor(pred))), *branches, **options)

    def constant(pred: Any) -> Any:
        return bool(pred) if id(pred) in dependent else known(pred)

    known = smart_cond.smart_constant_value
    with ExitStack() as stack:
        stack.enter_context(patch.object(smart_cond, "smart_constant_value", constant))
        stack.enter_context(patch.object(conditionals, "_eager_cond_implementation", chosen))
        for name in _READS:
            kept = getattr(ops._EagerTensorBase, name)
            stack.enter_context(patch.object(ops._EagerTensorBase, name, told(kept)))
        op_callbacks.add_op_callback(note)
        stack.callback(op_callbacks.remove_op_callback, note)
        yield
