"""The values that an input may take, and where that is known from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.results.comparable import comparable

Origin = Literal["asked", "table", "example", "type", "tried", "usual"]
"""`asked` by the user; the `table` that it indexes; within its `example`; all of its `type`;
`tried` until the reference ran; or as `usual` where nothing is known."""

_WHY: Mapping[Origin, str] = {
    "asked": "as asked for",
    "table": "the rows of the table that it indexes",
    "example": "within its example_inputs()",
    "type": "all of its type",
    "tried": "found by trying",
    "usual": "as usual",
}


@dataclass(frozen=True)
class Values:
    """The values that an input may take."""

    low: float = 0.0
    """The smallest; of no meaning where `is_any`."""
    high: float = 0.0
    """The largest, above the size of `up_to` if that is given."""
    is_any: bool = False
    """Whether all values that its type usually has may be drawn."""
    is_whole: bool = False
    """Whether a floating input takes whole numbers only."""
    tops: tuple[int, ...] = ()
    """The largest value at each place of the last axis, where these differ."""
    up_to: str = ""
    """The name of a dynamic size that the largest value goes with."""
    is_falling: bool = False
    """Whether the values do not grow from row to row: lengths are often sorted so."""
    origin: Origin = "usual"
    """How that is known."""

    def limits(self, sizes: Mapping[str, int]) -> tuple[float, float] | None:
        """The smallest and the largest at these sizes; None for any."""
        if self.is_any:
            return None
        top = self.high + (sizes[self.up_to] if self.up_to else 0)
        return (self.low, max(top, self.low))

    def __str__(self) -> str:
        """As in `0 to 999, the rows of the table that it indexes`."""
        if self.is_any:
            return _WHY[self.origin]
        if self.tops:
            top = f"({', '.join(map(str, self.tops))}) along its last axis"
        elif self.up_to:
            sign = "-" if self.high < 0 else "+"
            top = self.up_to + (f" {sign} {abs(self.high):g}" if self.high else "")
        else:
            top = f"{self.high:g}"
        kind = "whole numbers, " if self.is_whole else ""
        return f"{kind}{self.low:g} to {top}, {_WHY[self.origin]}"


ANY = Values(is_any=True)


@dataclass(frozen=True)
class InputDomain:
    """The domain that one input was drawn from."""

    name: str
    """The input."""
    dtype: str
    """The numpy name of its type."""
    domain: str
    """The values that it may take, in words."""
    source: Origin
    """How that is known."""
    low: float | None = None
    """The smallest value; None for no limit."""
    high: float | None = None
    """The largest value, at the sizes of the example; None for no limit."""


@comparable
@dataclass(frozen=True, eq=False)
class SizesTried:
    """The sizes of dynamic axes, by their names, that a check was run at."""

    tried: tuple[Mapping[str, int], ...] = ()
    """Those that the reference takes, the example's first."""
    refused: tuple[Mapping[str, int], ...] = ()
    """Those that it does not."""
