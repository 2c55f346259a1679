"""What `--exact` may say."""

from __future__ import annotations

import pytest

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.optimization import Exactness


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layer", Exactness("layer", 0)),
        ("bitwise", Exactness("bitwise", 0)),
        ("special", Exactness("special", 0)),
        ("approximate=1", Exactness("approximate", 1)),
        ("approximate=16", Exactness("approximate", 16)),
    ],
)
def test_every_kind(text: str, expected: Exactness) -> None:
    assert Exactness.parse(text) == expected
    assert expected.text == text


@pytest.mark.parametrize(
    "text",
    ["", "near", "approximate", "approximate=", "approximate=0", "approximate=-1",
     "approximate=1.5", "approximate=1=2", "bitwise=", "bitwise=4", "layer=1", "other=4",
     "=4", "Layer"],
)  # fmt: skip
def test_anything_else_is_a_usage_error(text: str) -> None:
    words = "expected layer, bitwise, special or approximate=ULPS, as in approximate=4"
    with pytest.raises(UsageError) as raised:
        Exactness.parse(text)
    assert str(raised.value) == f"{text!r}: {words}"
