"""What is said of a framework that fails."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.backends.protocol.failures import (
    FailedRunError,
    RefusedSizesError,
    failed_on,
    from_user,
    sizes_from,
)
from prelu_tools.core.options import InputOption

FEEDS = {"x": np.zeros((2, 3), np.float32)}


def test_a_framework_says_what_is_wrong_and_nothing_else() -> None:
    wrong = ValueError(
        "Exception encountered when calling Net.call().\n\n\x1b[1mexpected min_ndim=4, found "
        "ndim=2.\x1b[0m\n\nArguments received by Net.call():\n  • x=tf.Tensor(shape=(2, 3))"
    )
    assert str(failed_on("net", FEEDS, wrong)) == (
        "net fails on inputs (x of shape 2x3) with ValueError: Net: expected min_ndim=4, found "
        "ndim=2"
    )


def test_the_origin_of_the_sizes_is_said_once() -> None:
    error = failed_on("net", FEEDS, ValueError("no"))
    with pytest.raises(FailedRunError, match=r"ValueError: no$"), sizes_from(""):
        raise error
    fixed = from_user([InputOption("x", ("batch", 3))])
    words = "The sizes are those of --input x:batch,3: check their number and order"
    assert fixed == words
    assert from_user([InputOption("x", (1, "h"))]).endswith(" and order, or give numbers for names")
    with pytest.raises(RefusedSizesError) as said, sizes_from(fixed):
        raise error
    assert str(said.value) == f"{error}. {words}"
