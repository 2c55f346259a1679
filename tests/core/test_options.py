"""How a user wants sources to be read."""

from __future__ import annotations

import pytest

from prelu_tools.core.options import Dim, example_sizes


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        (("batch", 3, 112, 112), (1, 3, 112, 112)),
        ((4, 3, "h", "w"), (4, 3, 48, 48)),
        (("batch", "t"), (1, 48)),
        (("batch", 1, "d", "h", "w"), (1, 1, 16, 16, 16)),  # a volume of 48 would be 27 times that
        ((), ()),
    ],
)
def test_free_sizes_are_those_that_most_nets_take(
    shape: tuple[Dim, ...], sizes: tuple[int, ...]
) -> None:
    assert example_sizes(shape) == sizes
