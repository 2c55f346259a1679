"""One candidate, or several, against a reference: everything that `verify` says in the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy_models import REQUEST, SLOPES, NumpyModel, the_one, verified

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.candidates import candidate as module
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.core.arrays import Array
from prelu_tools.core.domains import InputDomain
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import SpecialValue
from prelu_tools.core.results.verification.result import Coverage, VerifyResult
from prelu_tools.core.rounding.tolerance import SENSITIVITY, default_tolerance

TWO = {"a": np.abs(SLOPES), "b": SLOPES * 2}


# As it should be


def test_a_model_is_like_itself() -> None:
    told: list[str] = []
    result = verified(NumpyModel(TWO), NumpyModel(TWO), told=told)
    report = the_one(result)
    assert report == CandidateReport(
        model="c",
        verdict="pass",
        provider=None,
        tolerance=SENSITIVITY,
        outputs=report.outputs,
        layers=report.layers,
        first_divergence=None,
        reasons=(),
        special=(),
        power=None,
    )
    assert [(x.name, x.verdict, x.n_by_behaviour) for x in report.layers] == [
        ("a", "pass", 3), ("b", "pass", 3)
    ]  # fmt: skip
    assert [(x.name, x.verdict, x.shape) for x in report.outputs] == [("y", "pass", (16, 3))]
    assert result == VerifyResult(
        verdict="pass",
        reference="r",
        reference_precision="float64",
        versions=installed_versions(),
        seed=0,
        samples=16,
        coverage=Coverage(6, 6, ()),
        candidates=(report,),
        reasons=(),
        agreements=(),
        n_searched=0,
        n_runs=result.n_runs,
        notes=(),
        inputs=(InputDomain("x", "float32", "as usual", "usual"),),
    )
    assert told == ["running r", "checking c"]


def test_the_seed_and_the_samples_are_those_asked_for() -> None:
    first = NumpyModel()
    result = verified(first, NumpyModel(), seed=7, samples=5)
    assert (result.seed, result.samples) == (7, 5)
    second, third = NumpyModel(), NumpyModel()
    verified(second, NumpyModel(), seed=7, samples=5)
    verified(third, NumpyModel(), seed=8, samples=5)
    assert np.array_equal(first.fed[0]["x"], second.fed[0]["x"])
    assert not np.array_equal(first.fed[0]["x"], third.fed[0]["x"])
    assert verified(NumpyModel(), NumpyModel(), samples=1).samples == 1


def test_several_candidates_are_judged_one_by_one() -> None:
    wrong = NumpyModel(TWO, change=lambda layer, y: y + 1 if layer == "b" else y)
    told: list[str] = []
    result = verified(NumpyModel(TWO), NumpyModel(TWO), wrong, NumpyModel(TWO), told=told)
    assert [(x.model, x.verdict) for x in result.candidates] == [
        ("c", "pass"), ("d", "fail"), ("e", "pass")
    ]  # fmt: skip
    assert result.verdict == "fail"
    assert all(reason.startswith("d: ") for reason in result.reasons)
    assert result.reasons == tuple(f"d: {reason}" for reason in result.candidates[1].reasons)
    assert told == ["running r", "checking c", "checking d", "checking e"]


# What is wrong


def test_what_is_wrong_is_said_in_order() -> None:
    wrong = NumpyModel(TWO, change=lambda layer, y: y + 1 if layer == "b" else y)
    report = the_one(verified(NumpyModel(TWO), wrong))
    first, second, *special = report.reasons
    assert first.startswith("b: isolated error ")
    assert first.endswith(
        "; the first layer that differs (slopes 'b.weight' in the reference, node 'b_node' in the "
        "candidate)"
    )
    assert second.startswith("output 'y': ")
    assert "b: 1 with slope 0.5 gives 2, but 1 in the reference (prelu)" in special
    assert (report.verdict, report.first_divergence) == ("fail", "b")
    assert [x.verdict for x in report.layers] == ["pass", "fail"]


def test_a_reference_may_not_know_its_parameters() -> None:
    report = the_one(verified(NumpyModel(parameters=False), NumpyModel({"a": SLOPES * 2})))
    assert report.reasons[0].endswith(
        "; the first layer that differs (node 'a_node' in the candidate)"
    )


def test_a_layer_that_is_missing_is_no_node() -> None:
    reference = NumpyModel({"a": SLOPES, "b": np.ones((1, 3), np.float32)})
    report = the_one(verified(reference, NumpyModel()))
    assert report.reasons == (
        "b: not found in the candidate, although the compared outputs agree (the tensors of this "
        "kind of candidate cannot be searched)",
    )
    assert (report.verdict, report.first_divergence) == ("inconclusive", None)
    assert the_one(verified(NumpyModel(), reference)).verdict == "pass"


def test_a_candidate_that_differs_when_nobody_observes_it_proves_nothing() -> None:
    other = NumpyModel(change=lambda _layer, y: y + np.float32(1))

    class Odd(NumpyModel):
        def runner(self, observe: Any = None) -> Any:
            return super().runner(observe) if observe else other.runner()

    report = the_one(verified(NumpyModel(), Odd()))
    assert report.verdict == "inconclusive"
    assert [code_of(reason) for reason in report.reasons] == ["observed_differs"]


def test_a_candidate_that_rounds_otherwise_when_nobody_observes_it_passes() -> None:
    other = NumpyModel(change=lambda _layer, y: y * np.float32(1.001))

    class Fast(NumpyModel):
        def runner(self, observe: Any = None) -> Any:
            return super().runner(observe) if observe else other.runner()

    assert verified(NumpyModel(), Fast()).verdict == "pass"
    assert verified(Fast(), NumpyModel()).verdict == "pass"


def _special(form: str, value: float = math.nan, strict: bool = False) -> CandidateReport:
    def change(_layer: str, y: Array) -> Array:
        return np.where(np.isinf(y), value, y).astype(y.dtype)

    other = NumpyModel(change=change, form=form)
    return the_one(verified(NumpyModel(), other, strict_special=strict))


def test_a_special_value_that_nothing_excuses_fails_where_that_is_asked_for() -> None:
    report = _special("where")
    assert (report.verdict, report.reasons, len(report.special)) == ("pass", (), 2)
    report = _special("where", strict=True)
    assert report.verdict == "fail"
    assert {x.verdict for x in [*report.outputs, *report.layers]} == {"pass"}
    assert report.special[0] == SpecialValue("a", "where", 0.25, math.inf, math.inf,
                                             report.special[0].found, None)  # fmt: skip
    assert report.reasons[0] == "a: inf with slope 0.25 gives nan, but inf in the reference (where)"
    assert len(report.reasons) == len(report.special) == 2


def test_special_values_are_not_tried_where_layers_are_not_looked_at() -> None:
    def change(_layer: str, y: Array) -> Array:
        return np.where(np.isinf(y), np.nan, y).astype(y.dtype)

    report = the_one(verified(NumpyModel(), NumpyModel(change=change, form="where"), layers=False))
    assert (report.verdict, report.special) == ("pass", ())


def test_special_values_that_are_excused_pass() -> None:
    def change(_layer: str, y: Array) -> Array:
        return np.where(y == 0, np.abs(y), y).astype(y.dtype)

    report = the_one(verified(NumpyModel(), NumpyModel(change=change)))
    assert (report.verdict, report.reasons) == ("pass", ())
    assert [x.documented for x in report.special] == ["only the sign of a zero differs"] * len(
        report.special
    )
    assert report.special


def test_special_values_that_cannot_be_tried_leave_a_doubt() -> None:
    class Alone(NumpyModel):
        def activation(self, layer: str) -> Any:
            compute = super().activation(layer)

            def only_small(x: Array) -> Array:
                if np.isinf(x).any():
                    raise PReLUToolsError("it is too much")
                return compute(x)

            return only_small

    report = the_one(verified(NumpyModel(), Alone()))
    words = "special values could not be tested (it is too much)"
    assert (report.verdict, report.reasons, report.special) == ("inconclusive", (words,), ())


RANDOM = (
    "it gives different outputs when it is run again on the same inputs: something in it is random "
    "(a Dropout that is still active?), so nothing can be proven"
)


def _shaky() -> NumpyModel:
    calls = iter(np.float32(1e-4) * i for i in range(999))
    return NumpyModel(change=lambda _layer, y: y + next(calls))


def test_a_candidate_that_is_random_proves_nothing() -> None:
    loose = Tolerance(0.0, 1.0, scaled=False, origin="given")
    result = verified(NumpyModel(), _shaky(), layers=False, tolerance=loose)
    assert (the_one(result).verdict, the_one(result).reasons) == ("inconclusive", (RANDOM,))
    assert result.reasons == (f"c: {RANDOM}",)


def test_a_reference_that_is_random_proves_nothing() -> None:
    loose = Tolerance(0.0, 1.0, scaled=False, origin="given")
    result = verified(_shaky(), NumpyModel(), layers=False, tolerance=loose)
    assert (result.verdict, the_one(result).verdict) == ("inconclusive", "pass")
    assert result.reasons == (f"the reference {RANDOM[3:]}",)


def test_what_differs_from_a_random_reference_is_no_failure() -> None:
    draws = iter(np.float32(i) for i in range(999))
    noisy = NumpyModel(change=lambda _layer, y: y + next(draws))
    result = verified(noisy, NumpyModel(), layers=False)
    assert [output.verdict for output in the_one(result).outputs] == ["fail"]
    assert (result.verdict, the_one(result).verdict) == ("inconclusive", "inconclusive")
    other = NumpyModel({"a": np.array([[0.25, -0.5, 0.5]], np.float32)})
    assert verified(noisy, other, layers=False).verdict == "fail"


def test_models_without_any_prelu() -> None:
    nothing = NumpyModel({})
    words = "there is no PReLU on either side; use --allow-no-prelu if equal outputs are enough"
    report = the_one(verified(nothing, nothing))
    assert (report.verdict, report.reasons, report.layers) == ("inconclusive", (words,), ())
    assert verified(nothing, nothing, allow_no_prelu=True).verdict == "pass"


def test_a_prelu_of_the_candidate_alone_proves_no_slope() -> None:
    nothing, linear = NumpyModel({}), NumpyModel({"a": np.ones((1, 3), np.float32)})
    result = verified(nothing, linear)
    assert result.verdict == "inconclusive"
    assert any("the candidate has 1: no slope was compared" in why for why in result.reasons)
    assert verified(nothing, linear, allow_no_prelu=True).verdict == "pass"


# Notes and tolerances


def test_notes_of_both_sides_are_kept_once() -> None:
    reference = NumpyModel(notes=("it is old", "it is old"))
    result = verified(reference, NumpyModel(notes=("so am I",)), NumpyModel(notes=("me too",)))
    assert result.notes == ("it is old", "c: so am I", "d: me too")


HALF = {"a": SLOPES.astype(np.float16)}
ROUNDED = (
    "c is float16: its slopes are compared with the reference's slopes rounded to float16, and its "
    "inputs are rounded too"
)


@pytest.mark.parametrize(
    ("mine", "theirs", "notes"),
    [(TWO, HALF, (ROUNDED,)), (HALF, HALF, ()), (TWO, TWO, ()), ({}, HALF, ())],
)
def test_a_narrower_candidate_is_told_of(
    mine: Mapping[str, Array], theirs: Mapping[str, Array], notes: tuple[str, ...]
) -> None:
    half = NumpyModel(theirs, dtype=next(iter(theirs.values())).dtype.name)
    reference = NumpyModel(mine, dtype=next((x.dtype.name for x in mine.values()), "float32"))
    assert verified(reference, half).notes == notes


def test_the_tolerance_that_was_used_is_told() -> None:
    given = Tolerance(1e-3, 1e-4, scaled=False, origin="given")
    result = verified(NumpyModel(), NumpyModel(), tolerance=given)
    assert (the_one(result).tolerance, result.reference_precision) == (given, "float32")
    moved = verified(NumpyModel(is_wide=False), NumpyModel())
    assert (the_one(moved).tolerance, moved.notes) == (SENSITIVITY, ())
    wide = verified(NumpyModel(can_perturb=False), NumpyModel())
    assert (the_one(wide).tolerance, wide.reference_precision) == (REQUEST.tolerance, "float64")
    still = NumpyModel(is_wide=False, can_perturb=False)
    narrow = verified(still, NumpyModel())
    assert the_one(narrow).tolerance == default_tolerance(np.dtype(np.float32))
    assert narrow.notes == (
        "the operators of the reference cannot be perturbed (it has no operators): each "
        "output has one limit for all its values",
        "float64 is not available for the reference (it stays narrow): the default tolerance of "
        "each type is used",
    )
    one = verified(still, NumpyModel(), samples=1)
    assert the_one(one).tolerance == default_tolerance(np.dtype(np.float32))
    none = [NumpyModel(is_wide=False, can_perturb=False, outputs=()) for _ in range(2)]
    assert the_one(verified(*none, samples=1)).tolerance == REQUEST.tolerance
    half = verified(still, NumpyModel(HALF, dtype="float16"))
    assert the_one(half).tolerance == default_tolerance(np.dtype(np.float16))


# What cannot be judged


def _unjudged(model: str, reason: str, provider: ProviderReport | None = None) -> CandidateReport:
    nothing = Tolerance(0.0, 0.0, scaled=True, origin="nothing was compared")
    return CandidateReport(
        model, "inconclusive", provider, nothing, (), (), None, (reason,), (), None
    )


def test_a_candidate_that_cannot_be_opened_is_not_judged() -> None:
    result = verified(NumpyModel(), NumpyModel(), NumpyModel(shape=("batch", 3, 4)))
    words = "its input 'x' has shape [batch, 3, 4], but the reference's 'x' has shape [batch, 3]"
    assert result.candidates[1] == _unjudged("d", words)
    assert (result.verdict, result.reasons) == ("inconclusive", (f"d: {words}",))
    missing = verify_source(cast(Source, NumpyModel()), replace(REQUEST, candidates=("no.onnx",)))
    (report,) = missing.candidates
    assert report == _unjudged("no.onnx", report.reasons[0])
    assert "no.onnx cannot be read" in report.reasons[0]


def test_an_output_that_only_one_side_has_fails() -> None:
    two = NumpyModel(outputs=("y", "z"))
    for left, right, code in ((NumpyModel(), two, "output_additional"),
                              (two, NumpyModel(), "output_missing")):  # fmt: skip
        report = the_one(verified(left, right))
        assert (report.verdict, [code_of(reason) for reason in report.reasons]) == ("fail", [code])
        assert [output.verdict for output in report.outputs] == ["pass"]
        assert [(one.code, one.name, one.fails) for one in report.interface] == [(code, "z", True)]


def test_without_a_common_output_nothing_agrees() -> None:
    """A layer that is not found then fails: no output says that its like is there."""
    report = the_one(verified(NumpyModel(TWO), NumpyModel({"a": TWO["a"]}, outputs=("z", "w"))))
    assert (report.verdict, report.outputs) == ("fail", ())
    assert [(layer.name, layer.verdict) for layer in report.layers] == [
        ("a", "pass"),
        ("b", "fail"),
    ]
    assert report.reasons[0] == "b: missing in the candidate"


def test_a_provider_that_nobody_knows_is_a_usage_error_or_none() -> None:
    with pytest.raises(PReLUToolsError):
        verified(NumpyModel(), NumpyModel(), providers=("a:b:c=",))


# Layers where every output agrees


class _Shifted(NumpyModel):
    """Its layer is given something else, which no output shows."""

    def runner(self, observe: Any = None) -> Any:
        def shifted(layer: str, call: int, x: Array, _y: Array) -> None:
            observe(layer, call, x + 1, self.activation(layer)(x + 1))

        return super().runner(shifted if observe else None)


def test_what_only_a_layer_inside_shows_is_said_and_fails_nothing() -> None:
    result = verified(NumpyModel(), _Shifted())
    note = "end-to-end error larger than rounding error; the outputs and the isolated layer agree"
    assert (result.verdict, the_one(result).layers[0].note) == ("pass", note)
    assert result.notes == (f"c: a: {note}",)


# Sizes


def test_the_sizes_at_which_it_differs_are_named() -> None:
    wrong = NumpyModel(change=lambda _layer, y: y + np.float32(len(y) > 1))
    report = the_one(verified(NumpyModel(), wrong, layers=False))
    assert [code_of(reason) for reason in report.reasons] == [None, "differs_at_sizes"]
    assert report.reasons[1] == "it differs for x of shape 16x3, but not for x of shape 1x3"


@pytest.mark.parametrize(("sign", "named"), [(1, True), (-1, False)])
def test_sizes_are_named_where_no_slopes_are_wrong(sign: int, named: bool) -> None:
    class Stated(NumpyModel):
        """Computes with the reference's slopes, whatever it says of them."""

        def layers(self) -> Any:
            return tuple(replace(x, slopes=sign * x.slopes) for x in super().layers())

    wrong = Stated(change=lambda _layer, y: y + np.float32(len(y) > 1))
    report = the_one(verified(NumpyModel(), wrong))
    (layer,) = report.layers
    assert (layer.verdict, layer.slopes_equal) == ("fail", named)
    assert ("differs_at_sizes" in [code_of(reason) for reason in report.reasons]) is named


def test_sizes_are_looked_at_only_where_an_output_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "sizes_that_differ", lambda *of: asked.append(of))
    assert verified(NumpyModel(), NumpyModel()).verdict == "pass"
    assert asked == []


# Axes that a runtime adds


def test_axes_that_a_runtime_adds_are_a_note_of_the_candidate() -> None:
    class Tall(NumpyModel):
        adds_axes = "it knows four axes only"

        def runner(self, observe: Any = None) -> Any:
            inner = super().runner(observe)

            class Runner:
                def __enter__(self) -> Any:
                    self.inner = inner.__enter__()
                    return self

                def __exit__(self, *why: Any) -> None:
                    inner.__exit__(*why)

                def run(self, feeds: Any) -> dict[str, Array]:
                    return {n: y[..., None] for n, y in self.inner.run(feeds).items()}

            return Runner()

    result = verified(NumpyModel(notes=("it is old",)), Tall(notes=("so am I",)))
    words = (
        "c: output 'y' has 3 axes, the reference 2, because it knows four axes only: trailing "
        "axes of size 1 are ignored"
    )
    assert (result.verdict, result.notes) == ("pass", ("it is old", words, "c: so am I"))
