"""Special values through layers by themselves, of models that are nothing but their layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from text_nets import COLUMN, save

from prelu_tools.backends.onnxruntime.running import single
from prelu_tools.backends.onnxruntime.running.single import SingleLayers
from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.opening import open_source
from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.layers.special import compare_special_values
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.special import special_values
from prelu_tools.core.results.verification.parity import SpecialValue

Activation = Callable[[Array], Array]
SLOPES = np.array([0.25, -0.5, 0.125], np.float32)
UNSAID = Layouts()
FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def _layer(name: str, slopes: Array, form: str = "prelu", **other: Any) -> PReLULayer:
    return PReLULayer(name, (name,), None, form, slopes, None, slopes.shape, None, True, **other)


def _prelu(slopes: Array) -> Activation:
    def activation(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.where(x > 0, x, slopes * x).astype(x.dtype)

    return activation


class _Model(SourceDefaults):
    """A source that has layers and what they compute, and nothing else."""

    def __init__(self, *layers: PReLULayer, **activations: Activation) -> None:
        self._layers = layers
        self._activations = activations
        self.given: dict[str, Array] = {}

    def layers(self) -> tuple[PReLULayer, ...]:
        return self._layers

    def activation(self, layer: str) -> Activation:
        own = next(x for x in self._layers if x.name == layer)
        compute = self._activations.get(layer, _prelu(own.slopes))

        def note(x: Array) -> Array:
            self.given[layer] = x
            return compute(x)

        return note


def _compare(
    reference: _Model, candidate: _Model, layouts: Layouts = UNSAID, strict: bool = False
) -> tuple[SpecialValue, ...]:
    with np.errstate(all="raise"):
        return compare_special_values(
            cast(Source, reference), cast(Source, candidate), "", "", layouts, strict
        )


def _flat(name: str = "a", **other: Any) -> PReLULayer:
    return _layer(name, SLOPES.reshape(1, -1), **other)


def test_every_value_meets_every_slope_on_both_sides() -> None:
    left, right = _Model(_flat()), _Model(_flat())
    assert _compare(left, right) == ()
    expected = np.repeat(special_values(np.dtype(np.float32))[:, None], 3, axis=1)
    for given in (left.given["a"], right.given["a"]):
        assert given.dtype == np.float32
        assert given.tobytes() == expected.tobytes()


def _with(place: tuple[int, int], value: float) -> Activation:
    """PReLU, but for one place of its output."""

    def activation(x: Array) -> Array:
        found = _prelu(SLOPES.reshape(1, -1))(x)
        found[place] = value
        return found

    return activation


VALUES = special_values(np.dtype(np.float32)).tolist()
ONE, MINUS_ONE = VALUES.index(1.0), VALUES.index(-1.0)


def test_a_difference_is_told_with_where_it_is() -> None:
    found = _compare(_Model(_flat()), _Model(_flat("b"), b=_with((MINUS_ONE, 1), 7.0)))
    assert found == (SpecialValue("a", "prelu", -0.5, -1.0, 0.5, 7.0, None),)


def test_each_value_is_told_once_a_layer() -> None:
    """Next to 0 all of one sign are one: what becomes of 0 becomes of them."""

    def wrong(x: Array) -> Array:
        return np.where(abs(x) <= 1, x + 1, _prelu(SLOPES.reshape(1, -1))(x)).astype(x.dtype)

    found = _compare(_Model(_flat()), _Model(_flat("b", form="where"), b=wrong))
    told = [(math.copysign(1, v.value), v.value) for v in found if v.documented is None]
    assert sorted(told) == [(-1, -1.0), (-1, -0.0), (1, 0.0), (1, 1.0)]
    assert {v.slope for v in found} == {0.25}  # the first that it met


def test_both_signs_are_told_and_nan_too() -> None:
    def nan(x: Array) -> Array:
        return np.full_like(x, np.nan)

    def seven(x: Array) -> Array:
        return np.full_like(x, 7.0)

    found = _compare(_Model(_flat()), _Model(_flat(form="where"), a=nan), strict=True)
    undocumented = [value.value for value in found if value.documented is None]
    assert len(undocumented) == 8  # of 0, 1, the largest and infinity, but not of NaN
    assert [math.copysign(1, v) for v in undocumented].count(-1.0) == 4
    for strict in (False, True):
        found = _compare(_Model(_flat()), _Model(_flat(form="where"), a=seven), strict=strict)
        assert [math.isnan(value.value) for value in found].count(True) == 1


def test_a_difference_that_is_known_does_not_hide_one_that_is_not() -> None:
    zero, minus_zero = 0, 1

    def activation(x: Array) -> Array:
        found = _prelu(SLOPES.reshape(1, -1))(x)
        found[minus_zero, 0], found[minus_zero, 1] = 0.0, 7.0
        found[zero, 0] = 3.0
        return found

    found = _compare(_Model(_flat()), _Model(_flat(), a=activation))
    assert [(v.value, v.found, v.documented) for v in found] == [
        (0.0, 3.0, None),
        (-0.0, 0.0, "only the sign of a zero differs"),
        (-0.0, 7.0, None),
    ]


def test_every_layer_is_compared_with_its_own() -> None:
    left = _Model(_flat("a"), _flat("b"))
    right = _Model(_flat("a"), _flat("b"), b=_with((ONE, 0), 7.0))
    assert [(v.layer, v.found) for v in _compare(left, right)] == [("b", 7.0)]
    right = _Model(_flat("a"), _flat("b"), a=_with((ONE, 0), 7.0), b=_with((ONE, 2), 9.0))
    assert [(v.layer, v.found) for v in _compare(left, right)] == [("a", 7.0), ("b", 9.0)]


def test_a_layer_of_other_slopes_has_failed_already() -> None:
    other = _layer("a", SLOPES.reshape(1, -1) * 2)
    right = _Model(other, _flat("b"), b=_with((ONE, 0), 7.0))
    assert [v.layer for v in _compare(_Model(_flat("a"), _flat("b")), right)] == ["b"]
    assert list(right.given) == ["b"]


def test_equal_slopes_of_which_one_was_kept_are_compared() -> None:
    many = _layer("a", np.full((1, 3), 0.25, np.float32))
    one = _layer("b", np.full((1, 1), 0.25, np.float32))

    def wrong(x: Array) -> Array:
        found = _prelu(np.float32(0.25))(x)
        found[MINUS_ONE, 2] = 7.0
        return found

    assert _compare(_Model(many), _Model(one)) == ()
    (found,) = _compare(_Model(many), _Model(one, b=wrong))
    assert found == SpecialValue("a", "prelu", 0.25, -1.0, -0.25, 7.0, None)
    alone = _Model(one)
    assert _compare(_Model(one), alone) == ()
    assert alone.given["b"].shape == (len(VALUES), 1)


def test_slopes_that_are_repeated_are_passed_over() -> None:
    left = SLOPES.reshape(1, 3, 1, 1)
    model = _Model(_layer("b", np.repeat(left, 2, axis=2)))
    assert _compare(_Model(_layer("a", left)), model) == ()
    assert model.given == {}


def test_whole_slopes_have_no_special_values() -> None:
    whole = _layer("a", np.array([[1, 2, 3]], np.int32))
    left, right = _Model(whole, _flat("b")), _Model(whole, _flat("b"))
    assert _compare(left, right) == ()
    assert list(right.given) == ["b"]


def test_a_layer_on_a_scalar_has_no_rows() -> None:
    scalar = _layer("a", np.array(0.5, np.float32))
    right = _Model(scalar, _flat("b"), b=_with((ONE, 0), 7.0))
    assert [v.layer for v in _compare(_Model(scalar, _flat("b")), right)] == ["b"]


def test_a_layer_that_gives_another_shape() -> None:
    right = _Model(_flat("b"), b=lambda x: x[:2])
    with pytest.raises(PReLUToolsError, match=r"^a gives \[2, 3\] in isolation$"):
        _compare(_Model(_flat()), right)


# Axes

WISE = SLOPES.reshape(1, 3, 1, 1)
CUBE = np.arange(1, 28, dtype=np.float32).reshape(1, 3, 3, 3)


def test_rows_are_moved_to_the_candidate_s_axes_and_back() -> None:
    left = _Model(_layer("a", WISE))
    right = _Model(_layer("a", WISE.transpose(LAST)))
    assert _compare(left, right) == ()
    assert (left.given["a"].shape, right.given["a"].shape) == ((13, 3, 1, 1), (13, 1, 1, 3))


@pytest.mark.parametrize(
    ("axes", "layouts"), [(LAST, UNSAID), (None, Layouts("nchw", "nhwc")),
                          (LAST, Layouts("nhwc", "nchw"))],
)  # fmt: skip
def test_what_the_node_says_or_else_the_user_decides(
    axes: tuple[int, ...] | None, layouts: Layouts
) -> None:
    left = _Model(_layer("a", CUBE))
    right = _Model(_layer("a", CUBE.transpose(LAST), axes=axes))
    assert _compare(left, right, layouts) == ()
    assert right.given["a"].shape == (13, 3, 3, 3)


def test_both_nodes_may_say_what_became_of_the_axes_of_one_source() -> None:
    left = _Model(_layer("a", CUBE, axes=FIRST))
    right = _Model(_layer("a", CUBE.transpose(LAST), axes=(0, 1, 2, 3)))
    assert _compare(left, right) == ()
    assert right.given["a"].shape == (13, 3, 3, 3)


def test_axes_that_do_not_fit_the_slopes_are_not_used() -> None:
    left = _Model(_layer("a", WISE))
    right = _Model(_layer("a", WISE, axes=LAST))
    assert _compare(left, right) == ()
    assert right.given["a"].shape == (13, 3, 1, 1)


def test_slopes_that_cannot_be_laid_alike_are_passed_over() -> None:
    left, right = _Model(_layer("a", SLOPES)), _Model(_layer("a", WISE), a=lambda x: x * 9)
    assert _compare(left, right) == ()
    assert right.given == {}


def test_slopes_that_differ_along_the_batch_fix_its_size() -> None:
    rows = np.full((4, 1), 0.5, np.float32)
    left = _Model(_layer("a", rows))
    assert _compare(left, _Model(_layer("a", rows))) == ()
    assert left.given["a"].reshape(-1).tolist() == VALUES[:4]


# Types


def test_a_narrower_candidate_is_given_its_own_numbers() -> None:
    left = _Model(_layer("a", np.array([[0.1]], np.float32)))
    half = np.array([[0.1]], np.float16)
    right = _Model(_layer("a", half), a=_prelu(half))
    assert [v for v in _compare(left, right) if v.documented is None] == []
    assert right.given["a"].dtype == np.float16
    assert right.given["a"].tobytes() == special_values(np.dtype(np.float16))[:, None].tobytes()
    assert left.given["a"].dtype == np.float32
    assert np.float32(65504) in left.given["a"]


def _half(slope: float, found: float) -> SpecialValue:
    slopes = np.array([[slope]], np.float16)

    def wrong(x: Array) -> Array:
        y = _prelu(slopes)(x)
        y[ONE_BELOW] = found
        return y

    (value,) = _compare(_Model(_layer("a", slopes)), _Model(_layer("a", slopes), a=wrong))
    return value


ONE_BELOW = MINUS_ONE
TINY_HALF = float(np.finfo(np.float16).tiny)


def test_a_slope_that_float16_holds_badly_excuses_a_difference() -> None:
    words = "the slope is too small for float16, which stores it imprecisely or as 0"
    assert _half(TINY_HALF / 2, 0.5).documented == words
    assert _half(-TINY_HALF / 2, 0.5).documented == words
    assert _half(TINY_HALF, 0.5).documented is None
    assert _half(0.25, 0.5).documented is None


def test_no_slope_is_too_small_for_float32() -> None:
    slopes = np.array([[TINY_HALF / 2]], np.float32)
    left, right = _Model(_layer("a", slopes)), _Model(_layer("a", slopes), a=lambda x: x + 7)
    assert {v.documented for v in _compare(left, right) if v.value == -1.0} == {None}


# What PReLU is


def _departs(at: float, form: str, expected: float, found: float | None) -> Sequence[SpecialValue]:
    """The reference gives this at an input, and the candidate that, or what PReLU is."""
    place = (len(VALUES) - 1 if math.isnan(at) else VALUES.index(at), 1 if at == 0 else 0)
    other = {} if found is None else {"a": _with(place, found)}
    reference = _Model(_flat(form="clip"), a=_with(place, expected))
    return _compare(reference, _Model(_flat(form=form), **other))


@pytest.mark.parametrize(
    ("at", "form", "expected", "found", "known"),
    [
        pytest.param(-math.inf, "prelu", -1e30, None, True, id="cut off by the reference"),
        pytest.param(-math.inf, "where", -1e30, None, True, id="and the result is infinite"),
        pytest.param(math.inf, "where", math.nan, None, True, id="NaN in the reference"),
        pytest.param(-math.inf, "where", -1e30, -1e20, False, id="cut off by both"),
        pytest.param(-math.inf, "prelu", -1e30, -1e20, False, id="the same of the node"),
        pytest.param(-1.0, "prelu", 5.0, None, False, id="finite"),
        pytest.param(-1.0, "where", math.nan, None, True, id="finite, and NaN in the reference"),
        pytest.param(1.0, "where", math.nan, None, True, id="1, and NaN in the reference"),
        pytest.param(0.0, "where", math.nan, None, True, id="0 turned by a slope below it"),
        pytest.param(math.nan, "prelu", 5.0, None, True, id="NaN that the reference lost"),
        pytest.param(math.nan, "where", 5.0, None, False, id="and no node made it"),
        pytest.param(math.nan, "where", math.inf, None, False, id="NaN that became infinite"),
    ],
)
def test_what_is_right_where_the_reference_is_not(
    at: float, form: str, expected: float, found: float | None, known: bool
) -> None:
    (value,) = _departs(at, form, expected, found)
    words = "it computes PReLU correctly; the reference's own form does not"
    passed = None if math.isfinite(at) else f"{form} differs for infinite or NaN inputs only"
    assert value.documented == (words if known else passed)
    assert (value.value, value.form) == (pytest.approx(at, nan_ok=True), form)


def test_the_largest_number_is_excused_as_infinity_is() -> None:
    (value,) = _departs(float(np.finfo(np.float32).max), "where", 5.0, 6.0)
    assert value.documented == "where differs for infinite or NaN inputs only"


def test_what_float16_cannot_hold_is_infinite_on_both_sides() -> None:
    half = np.array([[2.0]], np.float16)
    left = _Model(_layer("a", half.astype(np.float32)))
    assert _compare(left, _Model(_layer("a", half))) == ()

    def cut(x: Array) -> Array:
        return _prelu(half)(x).clip(-65504, None)

    found = _compare(_Model(_layer("a", half), a=cut), _Model(_layer("a", half)))
    assert {value.value for value in found} == {-math.inf, -65504.0}
    assert all("it computes PReLU correctly" in (value.documented or "") for value in found)


def test_a_slope_of_0_on_infinity_raises_nothing() -> None:
    zero = _layer("a", np.zeros((1, 1), np.float32))
    assert _compare(_Model(zero), _Model(zero)) == ()


# What runs the candidate


def test_what_is_known_of_a_provider_and_a_runtime_is_used() -> None:
    tiny = float(np.finfo(np.float32).tiny)

    def old(x: Array) -> Array:
        found = _prelu(SLOPES.reshape(1, -1))(x)
        return np.where(np.isinf(x), np.nan, np.where(x == tiny, 0.0, found)).astype(x.dtype)

    def told(form: str, provider: str, runtime: str) -> dict[float, str | None]:
        left, right = _Model(_flat()), _Model(_flat(form=form), a=old)
        found = compare_special_values(
            cast(Source, left), cast(Source, right), provider, runtime, UNSAID
        )
        return {value.value: value.documented for value in found if value.expected != 0}

    nan = "onnxruntime before 1.27 computes PRelu of infinities as NaN on the CPU"
    flushed = "{} treats subnormal numbers as 0, as TensorFlow does"
    assert told("prelu", "cuda", "1.26.3") == {
        tiny: flushed.format("cuda"), math.inf: nan, -math.inf: nan
    }  # fmt: skip
    for form, runtime in (("prelu", "1.27.0"), ("where", "1.26.3")):
        only = f"{form} differs for infinite or NaN inputs only"
        unknown = {tiny: flushed.format("the candidate"), math.inf: only, -math.inf: only}
        assert told(form, "", runtime) == unknown


def test_what_could_not_be_run_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _Model.isolated

    def only_b(candidate: Any, inputs: Any, provider: str) -> dict[str, Array]:
        return {"b": run(candidate, inputs, provider)["b"]}

    monkeypatch.setattr(_Model, "isolated", only_b)
    left = _Model(_flat("a"), _flat("b"))
    right = _Model(_flat("a"), _flat("b"), a=_with((ONE, 0), 7.0), b=_with((ONE, 2), 9.0))
    assert [(v.layer, v.found) for v in _compare(left, right)] == [("b", 9.0)]


def _onnx(path: Path, second: Array = COLUMN) -> OnnxSource:
    source = open_source(
        str(save(path, "t = PRelu(x, a) y = PRelu(t, b)", a=COLUMN, b=second)), SourceOptions()
    )
    assert isinstance(source, OnnxSource)
    return source


def test_layers_of_a_file_are_run_on_its_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, other = _onnx(tmp_path / "n.onnx"), _onnx(tmp_path / "o.onnx", COLUMN * 2)
    assert compare_special_values(source, source, "cpu", "1.27", UNSAID) == ()
    assert compare_special_values(source, other, "cpu", "1.27", UNSAID) == ()
    with pytest.raises(PReLUToolsError, match="abacus"):
        compare_special_values(source, source, "abacus", "1.27", UNSAID)
    asked: list[Any] = []

    class Single(SingleLayers):
        def __init__(self, located: Any, provider: str, label: str) -> None:
            asked.append(([item.layer.name for item in located], provider, label))
            super().__init__(located, provider, label)

    monkeypatch.setattr(single, "SingleLayers", Single)
    compare_special_values(source, other, "cpu", "1.27", UNSAID)
    assert asked[0] == (["a"], "cpu", str(tmp_path / "o.onnx"))  # then the reference
    monkeypatch.setattr(OnnxSource, "located", ())
    assert compare_special_values(source, source, "cpu", "1.27", UNSAID) == ()
