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
    assert found == (
        "0 of 1,000 names match; missing in the file: block0.weight and 999 more; "
        "not in the model: layer0.kernel and 899 more"
    )


def test_a_prefix_of_the_file_that_would_fit() -> None:
    names = _net(8, "backbone.net.") | {"head.weight": (3,)}
    assert "with 'backbone.net.' removed from its names, 16 would; missing" in str(
        misfit(names, _net(8) | {"last.weight": (3,)})
    )


def test_a_prefix_of_the_model_that_would_fit() -> None:
    text = str(misfit(_net(8), _net(8, "encoder.") | {"head.weight": (3,)}))
    assert text.startswith("0 of 17 names match; with 'encoder.' added to its names, 16 would; ")
    assert text.endswith("not in the model: block0.weight and 15 more")


def test_a_prefix_that_helps_less_than_none_is_not_named() -> None:
    found = misfit(_net(8) | {"x.extra": (1,)}, _net(8) | {"extra": (1,)})
    assert found is not None
    assert found.startswith("16 of 17 names match; missing in the file: extra; not in the model")


def test_shapes_that_differ() -> None:
    found = misfit({"a": (3,), "b": (2, 2)}, {"a": (4,), "b": (2, 2)})
    assert found == "2 of 2 names match; a is [3] in the file and [4] in the model"
    both = misfit({"a": (3,), "b": (2, 2)}, {"a": (4,), "b": (2,)})
    assert both == "2 of 2 names match; 2 shapes differ: a is [3] in the file and [4] in the model"
