"""The result of torch's exporter, with the weights left in torch's memory."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from prelu_tools.graph.io.model import INLINE_LIMIT, MEMORY, OnnxModel


def without_weights(exported: ir.Model) -> OnnxModel:
    """The model with its larger initializers in memory: as numpy sees torch's tensors, not copied.

    Args:
        exported: what `torch.onnx.export(...).model` is; its initializers are taken out of it.
    """
    arrays = {}
    for name, value in exported.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or tensor.nbytes <= INLINE_LIMIT or tensor.dtype.bitwidth < 8:
            continue
        arrays[name] = tensor.numpy()
        value.const_value = ir.ExternalTensor(
            MEMORY, None, None, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=name
        )
    proto: onnx.ModelProto = ir.to_proto(exported)
    model = OnnxModel(proto, None)
    for initializer in proto.graph.initializer:
        if initializer.name in arrays:
            model.keep(initializer, arrays[initializer.name])
    return model
