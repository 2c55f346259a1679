"""Inputs with the statistics of pictures and sounds.

How long a kernel with a branch takes depends on how often neighbours differ in sign. White noise
is its worst case, and no picture: theirs, and those of sounds, have amplitudes that fall with the
frequency (Field, "Relations between the statistics of natural images", 1987).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def natural(shape: Sequence[int], seed: int) -> npt.NDArray[np.float32]:
    """Noise whose amplitude falls with 1/frequency; mean 0, deviation 1 a channel.

    Args:
        shape: [N, C, H, W] or [N, C, T]; [N, H, W, C] where the last axis is the shortest.
        seed: of the draw.
    """
    last = len(shape) == 4 and shape[-1] < min(shape[1:3])
    axes = (1, 2) if last else tuple(range(2, len(shape)))
    spectrum = np.fft.rfftn(np.random.default_rng(seed).normal(size=shape), axes=axes)
    squares = np.zeros([1] * len(shape))
    for axis in axes:
        full = axis != axes[-1]
        steps = np.fft.fftfreq(shape[axis]) if full else np.fft.rfftfreq(shape[axis])
        squares = squares + steps.reshape([-1 if k == axis else 1 for k in range(len(shape))]) ** 2
    frequency = np.sqrt(squares)
    frequency.flat[0] = np.inf  # no constant part
    drawn = np.fft.irfftn(spectrum / frequency, s=[shape[axis] for axis in axes], axes=axes)
    drawn /= drawn.std(axis=axes, keepdims=True)
    return drawn.astype(np.float32)
