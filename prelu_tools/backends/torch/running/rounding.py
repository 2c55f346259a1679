"""How ATen operators round: by name, without the underscore of in-place variants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _centred(rows: torch.Tensor) -> torch.Tensor:
    return rows - rows.mean(-1, keepdim=True)


def _terms(weight: torch.Tensor, transposed: bool) -> float:
    return weight.numel() / max(weight.shape[1 if transposed else 0], 1)


EXACT = _names(
    """
    _local_scalar_dense _pack_padded_sequence _pad_packed_sequence _reshape_alias _to_copy
    _unsafe_index _unsafe_view abs adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    alias all amax amin aminmax any arange argmax argmin argsort as_strided bernoulli bitwise_and
    bitwise_not bitwise_or bitwise_xor count_nonzero eq equal ge gt is_nonzero isneginf isposinf
    argwhere hardshrink isin msort nanmedian unique_dim diag diagonal_copy le logical_and
    logical_or logical_xor lt ne nextafter signbit bucketize cat channel_shuffle clamp clamp_max
    clamp_min clone col2im complex concat conj
    constant_pad_nd copy copysign copysign cummax cummin detach diag_embed diagonal_scatter
    dropout embedding empty empty_like empty_strided eye fill flip fmax fmin frac full
    full_like gather grid_sampler_nearest hardtanh heaviside im2col imag index index_copy
    index_fill index_put index_select isinf isnan kthvalue lift lift_fresh lift_fresh_copy
    linspace logical_not masked_fill masked_scatter masked_select max max_pool1d max_pool2d
    max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d
    maximum median min minimum mkldnn_max_pool2d mode nan_to_num narrow_copy
    native_channel_shuffle native_dropout neg new_empty new_empty_strided new_full new_ones
    new_zeros nonzero nonzero_static one_hot ones ones_like permute_copy pixel_shuffle
    pixel_unshuffle polar_ put rand rand_like randint randn randn_like randperm real
    reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 repeat repeat_interleave
    replication_pad1d replication_pad2d replication_pad3d resolve_conj resolve_neg resize roll
    rot90 squeeze swapaxes swapdims t transpose unsqueeze ceil floor round sign sgn trunc
    scalar_tensor scatter scatter_reduce searchsorted select_copy select_scatter set
    slice_copy slice_scatter sort split_copy split_with_sizes_copy stack take threshold to
    topk trace_ tril triu unbind_copy unfold_copy uniform unique_consecutive _unique _unique2
    unsafe_split unsafe_split_with_sizes upsample_nearest1d upsample_nearest2d
    upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d view_as_complex view_as_real view_copy where zero zeros
    zeros_like
    """
)
TIES = frozenset({"topk", "sort"})
"""Which of equal values comes first is not defined: neither is the index that they give."""
LINEAR: Mapping[str, Callable[[Sequence[Any]], float]] = {
    # how many terms one result has
    "addbmm": lambda args: args[1].shape[-1] * args[1].shape[0],
    "addmm": lambda args: args[1].shape[-1],
    "addmv": lambda args: args[1].shape[-1],
    "baddbmm": lambda args: args[1].shape[-1],
    "bmm": lambda args: args[0].shape[-1],
    "dot": lambda args: args[0].shape[-1],
    "mm": lambda args: args[0].shape[-1],
    "mv": lambda args: args[0].shape[-1],
    "vdot": lambda args: args[0].shape[-1],
    "linear": lambda args: args[1].shape[-1],
    "convolution": lambda args: _terms(args[1], transposed=bool(args[6])),
    "_convolution": lambda args: _terms(args[1], transposed=bool(args[6])),
    "mkldnn_convolution": lambda args: _terms(args[1], transposed=False),
    "_fft_r2c": lambda args: math.prod(args[0].shape[axis] for axis in args[1]),
    "_fft_c2c": lambda args: math.prod(args[0].shape[axis] for axis in args[1]),
    "_fft_c2r": lambda args: math.prod(args[0].shape[axis] for axis in args[1]),
}
SUMS = _names(
    """
    sum nansum mean _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d avg_pool1d
    avg_pool2d avg_pool3d _adaptive_avg_pool1d
    """
)
ADDED: Mapping[str, tuple[Callable[[torch.Tensor], torch.Tensor], float, int]] = {
    # the summed quantity, its power in the result, and the argument with the axes
    **dict.fromkeys(("sum", "nansum", "mean"), (lambda rows: rows, 1.0, 1)),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"), (lambda rows: rows, 1.0, -1)),
    **dict.fromkeys(("var", "var_mean"), (lambda rows: _centred(rows).square(), 1.0, 1)),
    **dict.fromkeys(("std", "std_mean"), (lambda rows: _centred(rows).square(), 0.5, 1)),
    **dict.fromkeys(("norm", "linalg_vector_norm"), (torch.square, 0.5, 2)),
    **dict.fromkeys(("_softmax", "logsumexp", "_log_softmax"),
                    (lambda rows: (rows - rows.amax(-1, keepdim=True)).exp(), 1.0, 1)),
}  # fmt: skip
"""What else than products adds up many terms."""
LOGARITHMS = ("logsumexp", "_log_softmax")
"""Logarithms of a sum: a relative error of the sum is an absolute error of the result."""
RUNNING = frozenset({"cumsum"})
STATISTICS = _names(
    """
    var std var_mean std_mean norm linalg_vector_norm native_layer_norm native_group_norm
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
    _batch_norm_with_update batch_norm instance_norm _batch_norm_no_update cudnn_batch_norm
    _fused_rms_norm rms_norm prod cumprod logsumexp _logcumsumexp _softmax softmax
    """
)
NORMS = frozenset({"native_layer_norm", "native_group_norm", "native_batch_norm"})
RELATIVE_TO_ONE = _names(
    """
    _log_softmax log_softmax sigmoid elu selu celu expm1
    """
)
GATES = frozenset({"silu", "gelu", "mish"})
GRIDS = frozenset(
    {"grid_sampler_2d", "grid_sampler_3d", "grid_sampler", "_grid_sampler_2d_cpu_fallback"}
)
INTERPOLATED = _names(
    """
    upsample_bilinear2d upsample_bicubic2d upsample_linear1d upsample_trilinear3d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    """
)
ROUNDED_ONCE = _names(
    """
    add sub rsub mul div square reciprocal lerp addcmul prelu leaky_relu _prelu_kernel sqrt
    remainder fmod hardswish hardsigmoid pixel_shuffle
    """
)
KERNELS = 4.0  # rounding errors of exp, tanh, erf: kernels are off by a few units
LOGS = frozenset({"softplus", "log_sigmoid", "log_sigmoid_forward", "log1p", "logaddexp"})


UNARY = _names(
    """
    acos acosh asin asinh atan atan2 atanh cos cosh digamma erf erfc erfinv exp exp2 glu i0
    lgamma log log10 log2 logit pow polar rsqrt sin sinc sinh special_entr special_erfcx tan
    tanh xlogy hypot angle
    """
)
