"""Live models as sources, observers for their runners, and what these were told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from prelu_tools.backends.opening import open_object
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import InputOption, SourceOptions
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer

Call = tuple[str, int, Array, Array]


class Told:
    """An observer that keeps all it is told."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self.given: list[Call] = []
        self.calls: list[Call] = []

    def __call__(self, layer: str, number: int, x: Array, y: Array) -> None:
        """One call: the arrays as they are, and copies, since theirs may be gone later."""
        self.given.append((layer, number, x, y))
        self.calls.append((layer, number, np.array(x), np.array(y)))

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """The layer and the number of each call."""
        return [(layer, number) for layer, number, _, _ in self.calls]

    def check(self, layers: Iterable[PReLULayer], rtol: float = 0.0) -> None:
        """Every output is the PReLU of its input, with the slopes of its layer."""
        slopes = {layer.name: layer.slopes for layer in layers}
        assert {name for name, _ in self.numbers} == set(slopes)
        for name, _, x, y in self.calls:
            assert x.shape == y.shape
            assert x.dtype == y.dtype
            wanted = np.where(x > 0, x, slopes[name].astype(x.dtype) * x)
            np.testing.assert_allclose(y, wanted, rtol=rtol, atol=0)


def source_of(model: Any, *inputs: InputOption) -> Any:
    """A live model as a source, with the shapes of inputs that it does not define."""
    return open_object(model, "net", SourceOptions(inputs=inputs))


def observed(source: Any, feeds: Mapping[str, Array]) -> Told:
    """What one run of a source tells."""
    told = Told()
    with source.runner(told) as runner:
        runner.run(feeds)
    return told


def coverage(source: Any, *runs: Mapping[str, Array]) -> CoverageBook:
    """What runs of a source reach."""
    book = CoverageBook(source.layers())
    with source.runner(lambda layer, _number, x, _y: book.note(layer, x)) as runner:
        for feeds in runs:
            runner.run(feeds)
    return book
