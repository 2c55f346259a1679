"""How errors are written, in reasons and in tables alike."""

from __future__ import annotations

import math


def ulps(error: int) -> str:
    """An error in units in the last place: `3 ulp`."""
    return f"{error:,} ulp" if error < 100_000 else f"{error:.1e} ulp"


def times(multiple: float | None) -> str:
    """A multiple: `1.1x`; a dash if it is unknown."""
    if multiple is None or math.isnan(multiple):
        return "-"
    return f"{multiple:.1f}x" if multiple < 10_000 else f"{multiple:.1e}x"
