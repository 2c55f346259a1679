"""Names in too little room: both ends stay, and no two become the same."""

from __future__ import annotations

import itertools

import pytest
from rich.cells import cell_len

from prelu_tools.reports.shortening import breakable, distinct, shortened


def test_the_middle_of_a_name_is_left_out() -> None:
    assert shortened("backbone.stage3.block2.act1", 15) == "backbon…k2.act1"
    assert shortened("act1", 15) == "act1"
    assert shortened("exactly.fifteen", 15) == "exactly.fifteen"
    assert cell_len(shortened("層" * 20, 15)) <= 15


@pytest.mark.parametrize("width", [8, 12, 20])
@pytest.mark.parametrize(
    "template",
    ["backbone.layer{}_residual_function.act", "{}.residual_function.activation",
     "層層層層層層{}層層層層層層",
     "module.encoder.layers.{}.mlp.activation_fn.module.encoder.layers.mlp"],
)  # fmt: skip
def test_no_two_names_become_the_same(template: str, width: int) -> None:
    names = [template.format(number) for number in range(120)]
    short = distinct(names, width)
    assert len(set(short.values())) == len(names)
    assert max(map(cell_len, short.values())) <= width


def test_the_part_in_which_names_differ_is_shown_from_its_beginning() -> None:
    names = [f"features.residual_stage_{n}.bottleneck_block.activation" for n in range(3)]
    assert distinct(names, 28)[names[0]] == "features.residual_stage_0…on"
    assert distinct(names, 24)[names[0]] == "…residual_stage_0…vation"
    assert distinct(names, 12)[names[0]] == "…0.bo…vation"


def test_names_that_fit_stay_as_they_are() -> None:
    names = ["".join(letters) for letters in itertools.product("ab", repeat=4)]
    assert distinct(names, 4) == {name: name for name in names}


def test_on_a_page_a_long_name_is_broken_behind_its_separators() -> None:
    assert breakable("act<1>.weight") == "act&lt;1&gt;.weight"
    long = "backbone.stages.3:act_after/the&sum"
    assert breakable(long) == ("backbone.<wbr>stages.<wbr>3:<wbr>act_<wbr>after/<wbr>the&amp;sum")
    assert (
        breakable("/home/somebody/nets.py:Net") == "/home/<wbr>somebody/<wbr>nets.<wbr>py:<wbr>Net"
    )
