"""What is said of weights that do not fit: short however many there are, and with what would."""

from __future__ import annotations

from prelu_tools.core.misfit import Shape, misfit


def _net(n: int, prefix: str = "") -> dict[str, Shape]:
    return {f"{prefix}block{i}.{part}": (8,) for i in range(n) for part in ("weight", "bias")}


def test_what_fits_says_nothing() -> None:
    assert misfit(_net(3), _net(3)) is None
    assert misfit({}, {}) is None


def test_names_of_another_net() -> None:
    found = misfit({f"layer{i}.kernel": (3,) for i in range(900)}, _net(500))
    assert found is not None
    assert not found.is_near
    assert found.text == (
        "0 of 1,000 names match; missing in the file: block0.weight and 999 more; "
        "not in the model: layer0.kernel and 899 more"
    )


def test_a_prefix_of_the_file_that_would_fit_is_applied_to_all_that_is_said() -> None:
    names = _net(8, "backbone.net.") | {"head.weight": (3,), "backbone.net.block0.bias": (9,)}
    found = misfit(names, _net(10) | {"last.weight": (3,)})
    assert found is not None
    assert found.is_near
    assert found.text == (
        "with 'backbone.net.' removed from its names, 16 of 21 names match; missing in the file: "
        "block8.weight and 4 more; not in the model: head.weight; block0.bias is [9] in the file "
        "and [8] in the model"
    )


def test_a_prefix_of_the_model_that_would_fit() -> None:
    found = misfit(_net(8), _net(8, "encoder.") | {"head.weight": (3,)})
    assert found is not None
    assert found.text == (
        "with 'encoder.' added to its names, 16 of 17 names match; missing in the file: head.weight"
    )
    whole = misfit(_net(8), _net(8, "encoder."))
    assert whole is not None
    assert whole.text == "with 'encoder.' added to its names, 16 of 16 names match"


def test_a_prefix_that_helps_less_than_none_is_not_named() -> None:
    found = misfit(_net(8) | {"x.extra": (1,)}, _net(8) | {"extra": (1,)})
    assert found is not None
    assert found.text.startswith(
        "16 of 17 names match; missing in the file: extra; not in the model"
    )


def test_a_module_that_only_one_side_has_is_named() -> None:
    """Not one that the other side has too: then it is not the module that is missing."""
    more, fewer = {f"{name}.x": (1,) for name in _net(3)}, {f"{name}.x": (1,) for name in _net(2)}
    assert str(misfit(fewer, more)).count("missing in the file: block2.* (2 names)") == 1
    assert str(misfit(more, fewer)).count("not in the model: block2.* (2 names)") == 1
    other = misfit({"net.0.a": (1,), "net.1.a": (1,)}, {"net.0.b": (1,), "net.1.b": (1,)})
    assert other is not None
    assert other.text.endswith(
        "missing in the file: net.0.b and 1 more; not in the model: net.0.a and 1 more"
    )


def test_shapes_that_differ() -> None:
    found = misfit({"a": (3,), "b": (2, 2)}, {"a": (4,), "b": (2, 2)})
    assert found is not None
    assert found.text == "2 of 2 names match; a is [3] in the file and [4] in the model"
    both = misfit({"a": (3,), "b": (2, 2)}, {"a": (4,), "b": (2,)})
    assert both is not None
    assert (
        both.text
        == "2 of 2 names match; 2 shapes differ: a is [3] in the file and [4] in the model"
    )
