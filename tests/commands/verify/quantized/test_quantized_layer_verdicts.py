"""What becomes of a layer of a quantized candidate, by what was seen of it."""

from __future__ import annotations

import numpy as np
import pytest
from quantized_layer_rig import BEHIND, SLOPES, Rig, X, Y, codes_of, reference_layer

from prelu_tools.core.results.reasons import code_of

pytestmark = pytest.mark.filterwarnings("error")


def test_an_honest_layer_passes_with_what_was_proven() -> None:
    rig = Rig(BEHIND, activation=np.asarray(Y))
    rig.book.note("act", X)
    rig.observe(X, Y + np.float32(0.125))
    found = rig.parity(act="CUDAExecutionProvider")
    assert (found.name, found.node, found.parameter) == ("act", "act", "act.weight")
    assert (found.verdict, found.slopes_equal, found.difference) == ("pass", True, None)
    assert (found.n_slopes, found.n_by_value, found.n_by_behaviour) == (3, 3, 3)
    assert (found.coverage, found.least_positions) == (1.0, 1)
    assert (found.max_abs_diff, found.max_ulp_diff) == (0.125, None)
    assert found.deviation.max_abs == 0.125
    assert (found.slope_step, found.slope_error) == (None, None)
    assert found.provider == "CUDAExecutionProvider"


def test_slopes_that_were_not_reached_are_proven_by_value_only() -> None:
    rig = Rig(step=0.01)
    rig.book.note("act", X[:1])
    rig.observe(X, Y)
    found = rig.parity()
    assert (found.n_by_value, found.n_by_behaviour, found.least_positions) == (3, 2, 0)
    assert found.coverage == pytest.approx(2 / 3)
    assert (found.slope_step, found.slope_error, found.provider) == (0.01, 0.0625, None)


def test_a_layer_that_never_ran_is_proven_by_value_only() -> None:
    found = Rig().parity()
    assert (found.verdict, found.n_by_value, found.n_by_behaviour) == ("pass", 3, 0)
    assert (found.deviation, found.max_abs_diff) == (None, None)
    rig = Rig()
    rig.book.note("act", X)
    assert rig.parity().n_by_behaviour == 0


def test_no_slopes_have_no_coverage() -> None:
    found = Rig(slopes=np.zeros((1, 0), np.float32)).parity()
    assert (found.coverage, found.least_positions, found.n_slopes) == (None, None, 0)


@pytest.mark.parametrize(("off", "verdict"), [(0.27, "pass"), (0.55, "fail")])
def test_a_layer_that_is_off_fails(off: float, verdict: str) -> None:
    rig = Rig(BEHIND)
    rig.book.note("act", X)
    rig.observe(X, Y + np.float32(off))
    found = rig.parity()
    assert (found.verdict, found.slopes_equal) == (verdict, True)
    assert found.n_by_behaviour == (3 if verdict == "pass" else 0)
    if verdict == "fail":
        assert str(found.difference) == (
            "act: in isolation its error is 2 times what rounding to integer codes can explain"
        )
        assert code_of(found.difference) == "layer_differs"


def test_other_slopes_fail_and_say_how_they_differ() -> None:
    rig = Rig(found=SLOPES[:, ::-1].copy())
    found = rig.parity()
    assert (found.verdict, found.slopes_equal, found.n_by_value) == ("fail", False, 0)
    assert code_of(found.difference) == "slopes_differ"
    assert str(found.difference).startswith("act: ")
    rig.observe(X, Y + 9)
    found = rig.parity()
    assert code_of(found.difference) == "slopes_differ"
    assert "; in isolation its error is " in str(found.difference)


def test_whose_slopes_a_layer_has_is_said() -> None:
    rig = Rig(found=SLOPES + 1)
    rig.layers._reference.layers.append(reference_layer(SLOPES + 1, "other"))  # type: ignore[attr-defined]
    found = rig.layers._parity(*rig.layers._pairs.pairs[0], {})
    assert (found.verdict, str(found.difference)) == ("fail", "act: has other's slopes")
    assert not found.slopes_equal
    rig.layers._reference.layers[1] = reference_layer(SLOPES, "other")  # type: ignore[attr-defined]
    found = rig.layers._parity(*rig.layers._pairs.pairs[0], {})
    assert "None" not in str(found.difference)
    assert "has " not in str(found.difference)


def test_slopes_whose_order_is_not_known_prove_nothing() -> None:
    slopes = np.float32([[[0.1, 0.2], [0.3, 0.4]]])
    found = Rig(slopes=slopes, found=slopes.transpose(0, 2, 1).copy()).parity()
    assert (found.verdict, found.slopes_equal) == ("inconclusive", False)
    assert code_of(found.difference) == "slopes_differ"
    rig = Rig(slopes=slopes, found=slopes.transpose(0, 2, 1).copy())
    rig.layers._reference.layers.append(  # type: ignore[attr-defined]
        reference_layer(slopes.transpose(0, 2, 1).copy(), "other")
    )
    assert "other" not in str(rig.layers._parity(*rig.layers._pairs.pairs[0], {}).difference)


@pytest.mark.parametrize(("n_cut", "verdict"), [(1, "pass"), (2, "inconclusive")])
def test_slopes_that_hardly_count_prove_nothing(n_cut: int, verdict: str) -> None:
    codes = {"a": codes_of(0.5, 2)}  # from -1
    x = np.float32([[-4 if place < n_cut else -0.25 for place in range(3)]])
    rig = Rig(codes)
    seen = rig.observe(x, np.where(x > 0, x, SLOPES * x))
    assert (seen.n_cut, seen.n_negative) == (n_cut, 3)
    found = rig.parity()
    assert found.verdict == verdict
    if n_cut == 2:
        assert code_of(found.difference) == "slopes_cut_off"
        assert str(found.difference) == (
            "act: 67% of its negative values are cut off at the end of a range, so its slopes "
            "hardly count: the ranges do not fit these inputs"
        )


def test_half_of_them_are_enough() -> None:
    rig = Rig({"a": codes_of(0.5, 2)})
    x = np.float32([[-4, -0.25, 3]])
    rig.observe(x, np.where(x > 0, x, SLOPES * x))
    assert rig.parity().verdict == "pass"


def test_a_step_that_is_too_wide_proves_nothing() -> None:
    rig = Rig(step=0.126)
    found = rig.parity()
    assert (found.verdict, code_of(found.difference)) == ("inconclusive", "slopes_too_coarse")
    assert str(found.difference) == (
        "act: its quantization step, 0.126, is too wide to show its slopes"
    )
    assert Rig(step=0.125).parity().verdict == "pass"


@pytest.mark.parametrize(("agreed", "verdict"), [(True, "inconclusive"), (False, "fail")])
def test_layers_of_one_side_only(agreed: bool, verdict: str) -> None:
    rig = Rig()
    pairs = rig.layers._pairs
    lost, extra = reference_layer(SLOPES + 1, "lost"), reference_layer(SLOPES + 2, "extra")
    rig.layers._pairs = type(pairs)(pairs.pairs, (lost,), (extra,))
    rig.layers._reference.layers.insert(0, lost)  # type: ignore[attr-defined]
    first, second, third = rig.layers.parities({}, agreed)
    assert [each.name for each in (first, second, third)] == ["lost", "act", "extra"]
    assert [each.verdict for each in (first, second, third)] == [verdict, "pass", verdict]
    assert [each.found for each in (first, second, third)] == ["nowhere", "pattern", "additional"]
    assert (first.slopes_equal, third.slopes_equal) == (False, False)
    assert str(first.difference) == ("lost: not found in the candidate, whose layers are quantized")
    assert str(third.difference) == "extra: a PReLU that the reference does not have"
    assert [code_of(each.difference) for each in (first, third)] == [
        "layer_not_found", "layer_additional"
    ]  # fmt: skip
    for each in (first, third):
        assert (each.max_abs_diff, each.max_ulp_diff, each.coverage) == (None, None, None)
