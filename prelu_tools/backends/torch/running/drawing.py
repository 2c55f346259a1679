"""Random numbers that a torch module draws as it runs, and whether they change its outputs.

A module may draw numbers without using them, or use them once in a hundred runs, so it is run with
several seeds, and with the smallest and the largest numbers that it could have drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from prelu_tools.backends.probing.reading import place_of_user
from prelu_tools.core.arrays import Array, same_bits

_SEEDS: Final = 8
_FAR: Final = 8.0  # standard deviations
_BELOW_ONE: Final = 1.0 - 2.0**-24
_FRACTIONS: Final = ("rand", "uniform", "bernoulli")


class Drawing(NamedTuple):
    """Where a module draws random numbers."""

    text: str
    """The function, and the line of the user's code."""
    drops: bool = False
    """See `RandomPart.drops`: it is code, and no operator."""
    is_certain: bool = True
    """See `RandomPart.is_certain`."""


def states() -> tuple[object, ...]:
    """The states of all generators that a module may draw from."""
    drawn: Any = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        np.asarray(drawn[1]).tobytes(),
        *drawn[2:],  # its position, and a drawn normal number not yet returned
    )


def drawings(run: Callable[[], dict[str, Array]]) -> tuple[Drawing, ...]:
    """Where a module draws, if any output depends on that; the generators are left as they were.

    Args:
        run: runs the module.
    """
    with _kept():
        seen = _Drawing(None)
        plain = _seeded(run, 0)
        with seen:
            run()
        others = [lambda seed=seed: _seeded(run, seed) for seed in range(1, _SEEDS)]
        others += [lambda end=end: _at_end(run, end) for end in (False, True)]
        moves = any(
            not all(same_bits(other[name], values) for name, values in plain.items())
            for other in (make() for make in others)  # type: ignore[no-untyped-call]
        )
    found = [Drawing(text) for text in seen.places] or [Drawing("the module's own code")]
    return tuple(found) if moves else ()


@contextmanager
def _kept() -> Iterator[None]:
    """After the block, all generators are where they were."""
    plain, drawn = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(drawn)


def _seeded(run: Callable[[], dict[str, Array]], seed: int) -> dict[str, Array]:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    return run()


def _at_end(run: Callable[[], dict[str, Array]], is_high: bool) -> dict[str, Array]:
    number = _BELOW_ONE if is_high else 0.0
    with _Drawing(is_high), patch.object(random, "random", lambda: number):
        return run()


class _Drawing(TorchFunctionMode):
    """Sees which functions draw, and may replace what they draw with one end of its range."""

    def __init__(self, is_high: bool | None) -> None:
        super().__init__()
        self.places: dict[str, None] = {}
        self._is_high = is_high

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = torch.get_rng_state()
        result = func(*args, **(kwargs or {}))
        if torch.equal(before, torch.get_rng_state()) or not isinstance(result, torch.Tensor):
            return result
        name = str(getattr(func, "__name__", func))
        place = place_of_user()
        where = f" at {Path(place.file).name}:{place.line}" if place else ""
        self.places[f"{name}{where}"] = None
        return result if self._is_high is None else self._end_of(name, result, args)

    def _end_of(self, name: str, result: torch.Tensor, args: Any) -> torch.Tensor:
        with torch._C.DisableTorchFunction():
            if "dropout" in name:
                return args[0] * 2 if self._is_high else torch.zeros_like(result)
            if not result.is_floating_point():
                return result.fill_(result.max() if self._is_high else result.min())
            if any(part in name for part in _FRACTIONS) and "randn" not in name:
                return result.fill_(_BELOW_ONE if self._is_high else 0.0)
            return result.fill_(_FAR if self._is_high else -_FAR)
