"""How integer codes represent real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from prelu_tools.core.arrays import Array

_ENDS: Final = {np.dtype(kind): np.iinfo(kind) for kind in
                (np.uint8, np.int8, np.uint16, np.int16)}  # fmt: skip


@dataclass(frozen=True)
class Codes:
    """How integer codes stand for real numbers: real = (code - zero) * scale."""

    scale: Array
    """One number, or one for each index of `axis`."""
    zero: Array
    """The same of the codes' type."""
    axis: int = 1

    def reals(self, codes: Array) -> Array:
        """The real numbers that codes stand for, float32."""
        shape = [1] * codes.ndim
        if self.scale.size > 1:
            shape[self.axis] = -1
        wide = codes.astype(np.float64) - self.zero.astype(np.float64).reshape(shape)
        return np.asarray(wide * self.scale.reshape(shape), np.float32)

    @property
    def step(self) -> float:
        """The largest distance between neighbours."""
        return float(np.max(self.scale))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest real number; infinite where the type has no ends here."""
        info = _ENDS.get(self.zero.dtype)
        if info is None:
            return -np.inf, np.inf
        zero, scale = self.zero.astype(np.float64), self.scale.astype(np.float64)
        return float(((info.min - zero) * scale).min()), float(((info.max - zero) * scale).max())

    def same(self, other: Codes) -> bool:
        """Whether codes of the one are codes of the other."""
        if self.scale.size > 1 and self.axis != other.axis:
            return False
        pairs = ((self.scale, other.scale), (self.zero, other.zero))
        return all(np.array_equal(a.reshape(-1), b.reshape(-1)) for a, b in pairs)
