"""Slopes told by names and shapes: what is taken for one, and what is not."""

from __future__ import annotations

import pytest

from prelu_tools.backends.files.naming import (
    Tensor,
    find_slopes,
    natural,
    says_slope,
    strip_prefixes,
    strip_to,
)
from prelu_tools.backends.files.source import input_of, told_by_names


def _tensors(*named: tuple[str, tuple[int, ...]]) -> list[Tensor]:
    parts = [(name.rpartition("."), shape) for name, shape in named]
    return [Tensor(owner, own, shape, True) for (owner, _, own), shape in parts]


def _found(*named: tuple[str, tuple[int, ...]]) -> list[str]:
    return [named[slope.index][0] for slope in find_slopes(_tensors(*named), ordered=True)]


@pytest.mark.parametrize(
    "name",
    ["prelu", "prelu12", "p_re_lu_3", "PReLU", "alpha", "alpha1", "log_alpha", "LearnedSlope",
     "negative_slope", "ParametricReLU", "convPReLU2"],
)  # fmt: skip
def test_names_that_speak_of_slopes(name: str) -> None:
    assert says_slope(name)


@pytest.mark.parametrize(
    "name", ["relu", "alphas_cumprod", "alphabet", "conv1", "weight", "slopestyle", "p_relax", ""]
)
def test_names_that_do_not(name: str) -> None:
    assert not says_slope(name)


def test_a_vector_behind_a_layer_of_its_size_is_a_slope() -> None:
    conv = ("0.weight", (8, 3, 3, 3)), ("0.bias", (8,))
    assert _found(*conv, ("1.weight", (8,))) == ["1.weight"]
    assert _found(*conv, ("1.weight", (1,))) == ["1.weight"]
    assert _found(*conv, ("1.weight", (9,))) == []
    assert _found(*conv, ("1.weight", (8, 1))) == []


def test_behind_a_transposed_convolution_its_bias_says_the_size() -> None:
    assert _found(("0.weight", (3, 8, 2, 2)), ("0.bias", (8,)), ("1.weight", (8,))) == ["1.weight"]


def test_what_belongs_to_a_normalization_is_no_slope() -> None:
    fc = ("0.weight", (8, 3))
    statistics = [("1.bias", (8,)), ("1.running_mean", (8,)), ("1.running_var", (8,))]
    assert _found(fc, ("1.weight", (8,)), *statistics) == []
    for owner in ("norm", "input_layernorm", "ln_f", "block.rms"):
        assert _found(fc, (f"{owner}.weight", (8,))) == []


def test_a_name_is_enough_for_a_tensor_of_its_own_and_not_for_a_kernel() -> None:
    assert _found(("alpha", (8, 1, 1))) == ["alpha"]
    assert _found(("net.prelu.weight", (8,))) == ["net.prelu.weight"]
    assert _found(("prelu_block.weight", (8, 3, 3, 3))) == []
    assert _found(("prelu_block.weight", (8,)), ("prelu_block.bias", (8,))) == []
    assert _found(("lora_unet_down.alpha", ())) == []
    assert find_slopes([Tensor("act", "alpha", (3,), is_float=False)], ordered=True) == []
    assert find_slopes([Tensor("act", "alpha", (0,), is_float=True)], ordered=True) == []


def test_the_layer_before_is_counted_with_its_bias_and_without_statistics() -> None:
    tensors = _tensors(
        ("a.weight", (8, 3)), ("a.bias", (8,)), ("bn.weight", (8,)), ("bn.running_mean", (8,)),
        ("prelu1.weight", (8,)), ("prelu2.weight", (8,)),
        ("n.kernel", (4, 2)), ("n.bias", (2,)), ("n.alpha", (2,)),
        ("n.kernel", (2, 2)), ("n.alpha", (2,)),
    )  # fmt: skip
    found = find_slopes(tensors, ordered=True)
    assert [slope.preceding for slope in found] == [32, 32, 10, 4]
    assert [slope.alone for slope in found] == [True, True, False, False]


def test_without_an_order_only_numbers_tell_the_layer_before() -> None:
    names = ("f.0.weight", (8, 3)), ("f.1.weight", (8,)), ("g.weight", (8, 8)), ("h.alpha", (8,))
    assert [x.preceding for x in find_slopes(_tensors(*names), ordered=False)] == [24, None]
    assert [x.preceding for x in find_slopes(_tensors(*names), ordered=True)] == [24, 64]


def test_without_an_order_any_layer_may_be_the_one_before() -> None:
    tensors = _tensors(("act.weight", (8,)), ("conv.bias", (8,)), ("conv.weight", (8, 3, 1, 1)))
    assert [slope.index for slope in find_slopes(tensors, ordered=False)] == [0]
    assert find_slopes(tensors, ordered=True) == []


def test_prefixes_are_taken_off_all_names_or_nearly_all() -> None:
    assert strip_prefixes({"module.model.a": 1, "module.model.b": 2}) == (
        {"a": 1, "b": 2},
        ["module.", "model."],
    )
    assert strip_prefixes({"module.a": 1, "b": 2}) == ({"module.a": 1, "b": 2}, [])
    averaged = {"n_averaged": 0, "module.a": 1, "module.b": 2, "module.c": 3}
    assert strip_prefixes(averaged) == ({"n_averaged": 0, "a": 1, "b": 2, "c": 3}, ["module."])
    clashing = {"a": 0, "module.a": 1, "module.b": 2, "module.c": 3}
    assert strip_prefixes(clashing) == (clashing, [])


def test_the_names_of_a_model_are_found_behind_any_prefix() -> None:
    held = {"net.a.weight": 1, "net.b": 2, "loss.weight": 3, "loss.b": 4}
    found = strip_to(held, {"a.weight", "b"})
    assert found == ({"a.weight": 1, "b": 2}, ["net."], ["loss.weight", "loss.b"])
    assert strip_to(held, {"net.a.weight"}) == (held, [], [])
    assert strip_to(held, {"c"}) == (held, [], [])
    assert strip_to({"module.model.a": 1}, {"model.a"}) == ({"model.a": 1}, ["module."], [])


def test_of_several_copies_of_a_model_the_plainest_is_taken() -> None:
    held = {"ema_model.a": 1, "model.a": 2}
    assert strip_to(held, {"a"}) == ({"a": 2}, ["model."], ["ema_model.a"])


def test_numbers_in_names_are_sorted_by_value() -> None:
    names = ["f.10.weight", "f.2.weight", "e"]
    assert sorted(names, key=natural) == ["e", "f.2.weight", "f.10.weight"]


def test_what_a_slope_says_of_its_input() -> None:
    assert input_of((5, 6, 1)) == (None, 5, 6, None)
    assert input_of((1, 1, 8)) is None
    assert input_of((8,)) is None


def test_the_note_names_a_few_layers_and_counts_the_rest() -> None:
    assert told_by_names([], "why").endswith("(why): no tensor looks like slopes")
    assert told_by_names(list("abcdefg"), "why").endswith(": a, b, c, d, e and 2 more")
