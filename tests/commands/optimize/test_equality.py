"""How equal two writings of a model are: bits of outputs, layers in ulps, and who takes it back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from text_nets import COLUMN, save

from prelu_tools.backends.onnxruntime.running.racing import Run, runtime_version
from prelu_tools.commands.optimize import equality as module
from prelu_tools.commands.optimize.equality import OriginalOutputs, equality_of, keep_bits
from prelu_tools.commands.optimize.rewritable import RewritableLayer
from prelu_tools.commands.optimize.tuning import Bench, Choices
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.special import special_values
from prelu_tools.core.process.timing import Ratio
from prelu_tools.core.results.verification.candidate import CandidateReport, Tolerance
from prelu_tools.core.results.verification.parity import SpecialValue
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.graph.io.reader import OnnxModel, read_model
from prelu_tools.graph.match.layers import LocatedLayer

FEEDS: list[Feeds] = [{"x": np.ones((2, 3), np.float32)}, {"x": np.zeros((1, 3), np.float32)}]


def _run(*bits: float) -> Run:
    """A model that gives the input plus each of these, one an output."""
    return cast(Run, lambda feed: [feed["x"] + np.float32(b) for b in bits])


# Bits


def test_a_witness_holds_every_output_of_every_input() -> None:
    originals = OriginalOutputs(_run(0, 1), FEEDS)
    assert originals.feeds is FEEDS
    assert originals.agrees(_run(0, 1))
    assert not originals.agrees(_run(0, 1.0000002))
    assert not originals.agrees(_run(1e-7, 1))
    only_zeros = cast(Run, lambda feed: [feed["x"] * 2, feed["x"] + 1])
    assert not originals.agrees(only_zeros)
    negated = cast(Run, lambda feed: [-feed["x"] if not feed["x"].any() else feed["x"],
                                      feed["x"] + 1])  # fmt: skip
    assert not originals.agrees(negated)


class _Bench:
    """A model in which some forms, alone or together, change a bit."""

    def __init__(self, *wrong: Mapping[str, str]) -> None:
        self.wrong = wrong
        self.opened: list[dict[str, str]] = []

    def open(self, forms: Mapping[str, str]) -> Run:
        self.opened.append(dict(forms))
        bad = any(all(forms.get(n) == f for n, f in one.items()) for one in self.wrong)
        return _run(1.0 if bad else 0.0)


def _kept(forms: Mapping[str, str], *wrong: Mapping[str, str]) -> tuple[Choices, _Bench]:
    layers = [RewritableLayer(name, None, 1, ("max", "linear", "prelu"), 1.0, ()) for name in forms]
    gain = (1e-6, Ratio(0.5, 0.4, 0.6, 9))
    choices = Choices(dict(forms), dict.fromkeys(forms, "timing"), {}, dict.fromkeys(forms, gain))
    bench = _Bench(*wrong)
    keep_bits(cast(Bench, bench), layers, choices, OriginalOutputs(_run(0.0), FEEDS))
    return choices, bench


EVERY = dict.fromkeys("abcd", "max")


def test_what_changes_no_bit_is_left() -> None:
    choices, bench = _kept(EVERY)
    assert choices.forms == EVERY
    assert set(choices.chosen.values()) == {"timing"}
    assert set(choices.gains) == set("abcd")
    assert bench.opened == [EVERY, EVERY]


@pytest.mark.parametrize("name", "abcd")
def test_who_changes_a_bit_takes_the_next_form(name: str) -> None:
    choices, bench = _kept(EVERY, {name: "max"})
    assert choices.forms == {**EVERY, name: "linear"}
    assert choices.chosen == {**dict.fromkeys("abcd", "timing"), name: "exactness"}
    assert set(choices.gains) == set("abcd") - {name}
    assert bench.opened[-1] == {**EVERY, name: "linear"}


def test_or_the_one_after_it_and_a_prelu_in_the_end() -> None:
    choices, _ = _kept(EVERY, {"b": "max"}, {"b": "linear"})
    assert choices.forms["b"] == "prelu"
    choices, _ = _kept(EVERY, {"b": "max"}, {"b": "linear"}, {"b": "prelu"})
    assert choices.forms["b"] == "prelu"
    assert choices.chosen["b"] == "exactness"


def test_several_that_change_bits_are_all_found() -> None:
    choices, _ = _kept(EVERY, {"a": "max"}, {"d": "max"})
    assert choices.forms == {"a": "linear", "b": "max", "c": "max", "d": "linear"}


def test_what_changes_a_bit_together_only_is_settled_one_by_one() -> None:
    choices, bench = _kept(EVERY, {"a": "max", "c": "max"})
    assert choices.forms == {"a": "max", "b": "max", "c": "linear", "d": "max"}
    assert choices.chosen["a"] == "timing"
    assert "a" in choices.gains
    assert {"a": "max"} in bench.opened


def test_forms_of_layers_that_were_chosen_otherwise_come_first() -> None:
    forms = {**EVERY, "b": "linear"}
    choices, _ = _kept(forms, {"b": "linear"})
    assert choices.forms == {**forms, "b": "max"}


def test_the_disturbing_ones_are_found_by_halves() -> None:
    for layer, opened in (("a", 8), ("d", 8)):
        choices, bench = _kept(EVERY, {layer: "max"})
        assert choices.forms == {**EVERY, layer: "linear"}
        assert len(bench.opened) == opened, bench.opened


def test_a_layer_that_disturbs_in_every_form_becomes_a_prelu_node() -> None:
    layer = RewritableLayer("a", None, 1, ("prelu", "linear", "max"), 1.0, ())
    choices = Choices({"a": "max"}, {"a": "timing"}, {}, {})
    bench = _Bench(*({"a": form} for form in layer.forms))
    keep_bits(cast(Bench, bench), [layer], choices, OriginalOutputs(_run(0.0), FEEDS))
    assert choices.forms == {"a": "prelu"}
    assert {"a": "linear"} not in bench.opened


# Layers


@pytest.mark.parametrize(
    ("expected", "found", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0),
        ([0.0], [-0.0], 0),
        ([math.nan], [math.nan], 0),
        ([math.inf], [math.inf], 0),
        ([1.0, 2.0], [1.0, 2.0 + 2.0**-22], 1),
        ([1.0], [1.0 - 2.0**-23], 1),
        ([4.0, 1.0], [4.0, 1.0 + 3 * 2.0**-23], 3),
        ([1.0], [math.nan], 2**62),
        ([math.nan], [1.0], 2**62),
        ([math.inf], [1.0], 2**62),
        ([math.inf], [-math.inf], 2**62),
    ],
)
def test_units_that_two_results_are_apart(
    expected: list[float], found: list[float], apart: int
) -> None:
    with np.errstate(all="raise"):
        assert module._apart(np.array(expected, np.float32), np.array(found, np.float32)) == apart


def test_whole_numbers_are_equal_or_not() -> None:
    assert module._apart(np.array([1, 2]), np.array([1, 2])) == 0
    assert module._apart(np.array([1, 2]), np.array([1, 3])) == 2**62


def test_inputs_without_rows_count_as_one() -> None:
    scalar, row = np.zeros((), np.float32), np.zeros((3, 2), np.float32)
    assert module._first_size({"x": scalar}) == 1
    assert module._first_size({"x": scalar, "y": row}) == 3


def test_an_error_names_the_model_that_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    known = module.SingleLayers

    def open_layers(items: Any, provider: str, name: str) -> Any:
        opened.append((provider, name))
        return known(items, provider, name)

    monkeypatch.setattr(module, "SingleLayers", open_layers)
    prelu = _model(tmp_path / "p.onnx")
    assert module._farthest(prelu, prelu) == 0
    assert opened == [("cpu", "the model with PRelu nodes"), ("cpu", "the optimized model")]


def _model(path: Path, body: str = "y = PRelu(x, a)", **constants: Any) -> OnnxModel:
    return read_model(save(path, body, **(constants or {"a": COLUMN})))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_values_meet_every_slope_with_every_size_and_sign(kind: type, tmp_path: Path) -> None:
    name = {np.float32: "float", np.float16: "float16"}[kind]
    path = save(
        tmp_path / "n.onnx", "y = PRelu(x, a)", f"{name}[batch,3,4,5] x", f"{name}[batch,3,4,5] y",
        a=COLUMN.astype(kind),
    )  # fmt: skip
    (item,) = module._located(read_model(path))
    values = module._values(item)
    assert (values.shape, values.dtype) == ((64, 3, 1, 1), kind)
    special = special_values(np.dtype(kind))
    finite = special[np.isfinite(special)]
    assert finite.size == 10
    for channel in range(3):
        assert values[:10, channel, 0, 0].tobytes() == finite.tobytes()
    usual, wide = values[10::2], values[11::2]
    assert 0.5 < usual.std() < 1.5
    assert np.abs(usual).max() < 6
    limits = np.finfo(kind)
    sizes = np.log2(np.abs(wide.astype(np.float64)) + 1e-300)
    assert np.isfinite(values).all()
    assert sizes.min() < limits.minexp * 0.6
    assert sizes.max() > limits.maxexp * 0.6
    assert 0.2 < (wide < 0).mean() < 0.8
    assert np.array_equal(values, module._values(item))


@pytest.mark.parametrize(
    ("shape", "slopes", "expected"),
    [
        ("[batch,3]", (3,), (64, 3)),
        ("[batch,3,4]", (3, 4), (64, 3, 4)),
        ("[batch,3,4]", (1,), (64, 1, 1)),
    ],
)
def test_values_have_the_axes_of_the_input(
    shape: str, slopes: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path
) -> None:
    path = save(
        tmp_path / "n.onnx", "y = PRelu(x, a)", f"float{shape} x", f"float{shape} y",
        a=np.full(slopes, 0.5, np.float32),
    )  # fmt: skip
    (item,) = module._located(read_model(path))
    assert module._values(item).shape == expected


def _item(slopes: Array, shape: tuple[int, ...] | None) -> LocatedLayer:
    layer = SimpleNamespace(input_shape=shape)
    return cast(Any, SimpleNamespace(calls=[(None, SimpleNamespace(slopes=slopes))], layer=layer))


def test_no_value_is_rounded_to_infinity() -> None:
    """Of float16 and a thousand slopes, about one would be: 0 times it is NaN."""
    values = module._values(_item(np.zeros(4096, np.float16), None))
    assert np.isfinite(values).all()
    assert np.abs(values).max() == np.finfo(np.float16).max


@pytest.mark.parametrize(
    ("slopes", "shape", "expected"),
    [
        (np.float32([0.5, 2]), None, (64, 2)),
        (np.float32(0.5), None, (64, 1)),
        (np.zeros((2, 3, 4, 5), np.float32), None, (2, 3, 4, 5)),
        (np.zeros((3, 4), np.float32), None, (3, 4)),
        (np.zeros((1, 4), np.float32), (7, 3, 4), (64, 1, 4)),
    ],
)
def test_values_have_the_axes_of_the_slopes_where_the_input_is_not_known(
    slopes: Array, shape: tuple[int, ...] | None, expected: tuple[int, ...]
) -> None:
    assert module._values(_item(np.asarray(slopes), shape)).shape == expected


def test_values_are_the_same_each_time() -> None:
    values = module._values(_item(np.float64([0.5]), None))
    drawn = np.random.default_rng(0)
    limits = np.finfo(np.float64)
    wide = np.exp2(drawn.uniform(limits.minexp, limits.maxexp, (64, 1)))
    wide *= drawn.choice([-1.0, 1.0], (64, 1))
    assert np.array_equal(values[10::2], drawn.normal(0.0, 1.0, (64, 1))[10::2])
    assert np.array_equal(values[11::2], wide[11::2])


@pytest.mark.parametrize(("kind", "least"), [(np.int32, -1000), (np.uint32, 0)])
def test_whole_values_have_both_signs_if_their_type_has(kind: type, least: int) -> None:
    values = module._values(_item(np.array([1, 2], kind), None))
    assert (values.dtype, values.shape) == (kind, (64, 2))
    assert np.array_equal(values, np.random.default_rng(0).integers(least, 1000, (64, 2)))


SAME = "p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)"
OFF = "c = Greater(x, zero) s = Mul(x, b) y = Where(c, x, s)"


def test_how_far_layers_are_apart(tmp_path: Path) -> None:
    prelu = _model(tmp_path / "p.onnx")
    same = _model(tmp_path / "s.onnx", SAME, a=COLUMN, zero=0.0)
    nearly = np.nextafter(COLUMN, np.float32(9))
    off = _model(tmp_path / "o.onnx", OFF, b=nearly, zero=0.0)
    assert module._farthest(prelu, prelu) == 0
    assert module._farthest(prelu, same) == 0
    assert 1 <= module._farthest(prelu, off) <= 2
    nothing = _model(tmp_path / "n.onnx", "y = Relu(x)", a=COLUMN)
    assert module._farthest(nothing, nothing) == 0
    chain = "t = PRelu(x, a) y = PRelu(t, b)"
    left = _model(tmp_path / "l.onnx", chain, a=COLUMN, b=COLUMN)
    right = _model(tmp_path / "r.onnx", chain, a=COLUMN, b=nearly)
    assert 1 <= module._farthest(left, right) <= 2
    assert 1 <= module._farthest(right, left) <= 2


# All of it


def _verified(*told: tuple[float, float]) -> VerifyResult:
    values = tuple(SpecialValue("a", "prelu", 0.5, 1.0, was, now, "") for was, now in told)
    nothing = Tolerance(0.0, 0.0, scaled=True, origin="given")
    reports = tuple(
        CandidateReport("m", "pass", None, nothing, (), (), None, (), special)
        for special in ((), values)
    )
    return VerifyResult("pass", "r", "float64", {}, 0, 1, None, reports, ())


@pytest.mark.parametrize(
    ("told", "special"),
    [
        ([], True),
        ([(0.0, -0.0)], True),
        ([(0.0, 1.0)], False),
        ([(1.0, 0.0)], False),
        ([(0.0, -0.0), (math.inf, math.nan)], False),
    ],
)
def test_special_values_but_for_the_sign_of_zeros(
    told: Sequence[tuple[float, float]], special: bool, tmp_path: Path
) -> None:
    model = _model(tmp_path / "p.onnx")
    found = equality_of(
        model, model, OriginalOutputs(_run(0.0), FEEDS), _run(0.0), _verified(*told)
    )
    assert found.special is special


def test_what_was_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "processor", lambda: "an abacus")
    model = _model(tmp_path / "p.onnx")
    nearly = _model(tmp_path / "o.onnx", a=np.nextafter(COLUMN, np.float32(9)))
    found = equality_of(model, model, OriginalOutputs(_run(0.0), FEEDS), _run(0.0), _verified())
    assert (found.layer, found.bitwise, found.max_ulps, found.n_inputs) == (True, True, 0, 3)
    assert (found.processor, found.runtime) == ("an abacus", runtime_version())
    found = equality_of(model, nearly, OriginalOutputs(_run(0.0), FEEDS), _run(1.0), _verified())
    assert (found.layer, found.bitwise) == (False, False)
    assert found.max_ulps > 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vendor_id : v\nmodel name\t: An Abacus: 9 \nmodel name : Other\n", "An Abacus: 9"),
        ("model name : Ab\xe9cus\n", "Ab\ufffdcus"),
        ("nothing\n", "what platform says"),
        (None, "what platform says"),
    ],
)
def test_what_the_machine_calls_its_processor(
    text: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if text is not None:
        cpuinfo.write_text(text, "latin-1")
    asked: list[Any] = []
    monkeypatch.setattr(module, "Path", lambda path: asked.append(path) or cpuinfo)
    platform = SimpleNamespace(processor=lambda: "what platform says")
    monkeypatch.setattr(module, "platform", platform)
    assert module.processor() == name
    assert asked == ["/proc/cpuinfo"]


def test_arrays_of_other_types_are_not_the_same_bits() -> None:
    wide: list[Array] = [FEEDS[0]["x"].astype(np.float64)]
    assert not OriginalOutputs(_run(0.0), FEEDS[:1]).agrees(cast(Run, lambda _feed: wide))
