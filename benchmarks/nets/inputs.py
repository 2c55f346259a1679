"""Inputs with the statistics of pictures, and of sounds behind an encoder.

How long a kernel with a branch takes depends on how often neighbours differ in sign. White noise
is its worst case, and no picture: the amplitudes of pictures fall with the frequency (Field,
"Relations between the statistics of natural images", 1987). Results on white noise would flatter
whatever replaces such a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def natural(shape: Sequence[int], seed: int) -> Floats:
    """Draw what a net would see.

    Args:
        shape: of pictures, [N, C, H, W], or [N, H, W, C] where the last axis is the shortest; or
            of encoded sounds, [N, C, T]. These are white: with a filter's phase their sign turns
            from frame to frame.
        seed: of the draw.
    """
    if len(shape) == 3:
        return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    axes = (1, 2) if shape[-1] < min(shape[1:3]) else (2, 3)
    return _picture(tuple(shape), axes, seed)


def _picture(shape: tuple[int, ...], axes: tuple[int, int], seed: int) -> Floats:
    """Noise whose amplitude falls with 1/frequency; mean 0 and deviation 1 a channel."""
    noise = np.random.default_rng(seed).normal(size=shape)
    high, wide = (shape[axis] for axis in axes)
    frequency = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.rfftfreq(wide))
    frequency[0, 0] = np.inf  # no constant part
    frequency = np.expand_dims(frequency, 2) if axes == (1, 2) else frequency
    spectrum = np.fft.rfftn(noise, axes=axes) / frequency
    drawn = np.fft.irfftn(spectrum, s=(high, wide), axes=axes)
    picture: Floats = (drawn / drawn.std(axis=axes, keepdims=True)).astype(np.float32)
    return picture
