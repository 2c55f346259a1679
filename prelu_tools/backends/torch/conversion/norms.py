"""Norms that torch.onnx writes as operators that runtimes compute inaccurately."""

from __future__ import annotations

from typing import Any

from onnxscript import opset18

op: Any = opset18


def group_norm(
    x: Any,
    groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    """GroupNorm as an InstanceNormalization of its groups, as torch writes it before opset 21.

    From then on torch writes GroupNormalization. onnx defines that by the mean square minus the
    square of the mean, and onnxruntime computes it so: of flat maps the difference may be negative,
    and its root NaN. Nor does onnx infer the shape of what it gives.
    """
    rows = op.Reshape(x, op.Constant(value_ints=[0, groups, -1]))
    ones = op.CastLike(op.Constant(value_floats=[1.0] * groups), x)
    zeros = op.CastLike(op.Constant(value_floats=[0.0] * groups), x)
    rows = op.InstanceNormalization(rows, ones, zeros, epsilon=eps)
    result = op.Reshape(rows, op.Shape(x))
    shape = op.Constant(value_ints=[-1, *[1] * (len(x.shape) - 2)])
    if weight is not None:
        result = op.Mul(result, op.Reshape(weight, shape))
    return result if bias is None else op.Add(result, op.Reshape(bias, shape))
