"""How TensorFlow's operators round."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LINEAR = {
    **dict.fromkeys(
        _names(
            """
            AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv3D Cumsum
            DepthwiseConv2dNative Einsum FFT FFT2D FFT3D IFFT IFFT2D IFFT3D IRFFT IRFFT2D IRFFT3D
            MatMul Mean RFFT RFFT2D RFFT3D Sum
            """
        ),
        0,
    ),
    "Conv2DBackpropInput": 2,
    "Conv3DBackpropInputV2": 2,
}
"""Sums of many terms, and which input is perturbed for them."""
ROUNDED_ONCE = _names(
    """
    Add AddN AddV2 BiasAdd Div FloorMod LeakyRelu Mod Mul RealDiv Reciprocal Rsqrt Sqrt Square
    SquaredDifference Sub
    """
)
KERNELS = _names(
    """
    Acos Acosh Asin Asinh Atan Atan2 Atanh Cos Cosh Erf Erfc Exp Lgamma Log Log1p Pow Sin Sinh
    Softplus Softsign Tan Tanh Xlogy
    """
)
"""Functions whose kernels are off by a few units."""
RELATIVE_TO_ONE = _names("Elu Expm1 LogSoftmax Selu Sigmoid")
"""Off by a unit of 1, since 1 is added or subtracted inside."""
ROUNDS_INSIDE = _names(
    """
    CropAndResize Cumprod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN
    LogSumExp Prod ResizeArea ResizeBicubic ResizeBilinear ScaleAndTranslate Softmax
    """
)
