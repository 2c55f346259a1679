"""What becomes of a record: each part of it is where a check looks for it, or it is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy_models import REQUEST, SLOPES, NumpyModel

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.recording import (
    OutputFacts,
    RecordedCall,
    RecordedFile,
    RecordedLayer,
    RecordedOutput,
    RecordedRun,
    RecordedSpread,
    Recording,
    Sentence,
)
from prelu_tools.backends.recorded.source import RecordedSource
from prelu_tools.commands.verify.inputs.branch_search import BranchSearch
from prelu_tools.commands.verify.inputs.linking import Layouts, link_inputs
from prelu_tools.commands.verify.inputs.planning import InputPlan
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.inputs.trials import Domain
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference import replay as module
from prelu_tools.commands.verify.reference.perturbed import SPREAD
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.replay import (
    refuse_fixed_options,
    refuse_records,
    replaying,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.domains import InputDomain, SizesTried
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.files.documents import Stored
from prelu_tools.core.options import InputOption
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import Extent

FOUR = np.array([[1, -2, 3], [-4, 5, -6], [7, 8, -9], [-1, -1, 2]], np.float32)
ONE, FOUND = FOUR[:1], np.array([[-5, -5, -5], [-7, 1, 1]], np.float32)
BATCH, SPEC = frozenset({"batch"}), TensorSpec("x", "float32", ("batch", 3), (1, 3))
GIVEN = Tolerance(1e-3, 1e-4, scaled=False, origin="given")


def _stored(values: Any, dtype: Any = None) -> Stored:
    return Stored(lambda: np.asarray(values, dtype))


def _prelu(x: Array) -> Array:
    return np.where(x > 0, x, SLOPES * x)


def _spread(shape: tuple[int, ...], scale: float) -> RecordedSpread:
    return RecordedSpread(_stored(np.full(shape, scale, np.float32)))


def _run(x: Array) -> RecordedRun:
    y = _prelu(x)
    output = RecordedOutput(
        _stored(y), _stored(1.5 * y, np.float64), _spread(y.shape, 1.0),
        {"float16": _spread(y.shape, 2.0), "bfloat16": _spread(y.shape, 4.0)},
    )  # fmt: skip
    call = RecordedCall(
        "a", 0, _stored(2.5 * y, np.float64), _stored(np.full(y.shape, 8.0, np.float32)),
        _stored(x), _stored(y), 0,
    )  # fmt: skip
    counts = _stored((x < 0).sum(0))
    return RecordedRun({"x": _stored(x)}, {"y": output}, {"a": counts}, (call,))


def _recording(*runs: RecordedRun, **changes: Any) -> Recording:
    """Of the chain of `numpy_models`: two runs that were drawn, and one that was found."""
    (layer,) = NumpyModel().layers()
    made = Recording(
        "net.onnx", "onnx", "onnx 1.0", {"prelu-tools": "0.1"}, 3, None, (SPEC,),
        {"y": OutputFacts("float32", 9.0, 1e-7, None, 0)},
        (RecordedLayer(layer, 19.0, 2e-7, False),), runs or (_run(FOUR), _run(ONE), _run(FOUND)),
        2, 2, {"x": 0}, BATCH, "float64", 6, 0, 0, None, {},
    )  # fmt: skip
    return replace(made, **changes)


def _changed(recording: Recording, number: int, **changes: Any) -> Recording:
    """With another run in the place of one."""
    runs = list(recording.runs)
    runs[number] = replace(runs[number], **changes)
    return replace(recording, runs=tuple(runs))


def _with_output(recording: Recording, number: int, **changes: Any) -> Recording:
    output = replace(recording.runs[number].outputs["y"], **changes)
    return _changed(recording, number, outputs={"y": output})


def _linked(model: NumpyModel) -> Linked:
    source, layouts = cast(Any, model), Layouts()
    return Linked("c", source, link_inputs((SPEC,), model.inputs(), layouts), layouts)


@contextmanager
def _replayed(
    recording: Recording | None = None, *models: NumpyModel, **changes: Any
) -> Iterator[tuple[Reference, InputPlan]]:
    source = cast(Any, RecordedSource("net.npz", recording or _recording()))
    opened = [_linked(model) for model in models]
    with replaying(source, opened, replace(REQUEST, **changes)) as found:
        yield found


def _refused(recording: Recording, *models: NumpyModel) -> str:
    with pytest.raises(PReLUToolsError) as raised, _replayed(recording, *models):
        pass
    return str(raised.value)


def _same(found: Any, expected: Any) -> bool:
    return found.dtype == expected.dtype and np.array_equal(found, expected)


# Options


@pytest.mark.parametrize(
    ("flag", "asked"),
    [
        ("--inputs", {"inputs_file": Path("i.npz")}),
        ("--samples", {"samples": 5}),
        ("--seed", {"seed": 5}),
        ("--input-range", {"ranges": {"x": (0.0, 2.0)}}),
        ("--input-range", {"ranges": {"": (0.0, 1.0)}}),
        ("--search-seconds", {"search_seconds": 1.0}),
        ("--input", {"options": (InputOption("x", ("batch", 4)),)}),
        ("", {"samples": 7, "seed": 3, "ranges": {"x": (0.0, 1.0)}}),
        ("", {"options": (InputOption("x", ("batch", 3)), InputOption("z", (9,)))}),
        ("", {}),
    ],
)
def test_an_option_that_asks_for_other_inputs_is_refused(flag: str, asked: dict[str, Any]) -> None:
    recording = _recording(samples=7, seed=3, ranges={"x": (0.0, 1.0)})
    plain = replace(REQUEST, search_seconds=type(REQUEST)("", ()).search_seconds)
    asked = {**asked, "options": replace(plain.options, inputs=asked.get("options", ()))}
    request = replace(plain, **asked)
    if not flag:
        refuse_fixed_options(recording, request)
        return
    with pytest.raises(UsageError) as raised:
        refuse_fixed_options(recording, request)
    assert str(raised.value) == (
        f"{flag} would be ignored: r is a record, whose inputs are fixed; to change them, give "
        f"{flag} to prelu-tools record net.onnx"
    )
    shared = replace(request, options=replace(request.options, is_shared=True))
    if flag == "--input":
        refuse_fixed_options(recording, shared)


def test_a_record_is_no_candidate() -> None:
    kept = Linked("c.npz", cast(Any, RecordedSource("c.npz", _recording())), (), Layouts())
    refuse_records([_linked(NumpyModel())])
    with pytest.raises(UsageError) as raised:
        refuse_records([_linked(NumpyModel()), kept])
    assert str(raised.value) == (
        "c.npz is a record, which cannot be run: give it first, as the REFERENCE"
    )
    live = cast(Any, NumpyModel())
    with pytest.raises(AssertionError, match=r"^not a record$"), replaying(live, [], REQUEST):
        pass


# The whole


def test_everything_of_a_record_is_where_a_check_looks_for_it() -> None:
    sentences = (Sentence("it is old", "a_code"), Sentence("one value", "input_one_value"),
                 Sentence("none", "no_negative_input"))  # fmt: skip
    doubts = (Sentence("it is random", "random_node"),)
    with _replayed(_recording(notes=sentences, doubts=doubts)) as (found, _):
        assert [feeds["x"].tolist() for feeds in found.feeds] == [
            FOUR.tolist(), ONE.tolist(), FOUND.tolist()
        ]  # fmt: skip
        assert [layer.name for layer in found.layers] == ["a"]
        assert (found.precision, found.rows) == ("float64", Rows({"x": 0}, BATCH))
        for outputs, x in zip(found.outputs, (FOUR, ONE, FOUND), strict=True):
            assert _same(outputs["y"], 1.5 * _prelu(x).astype(np.float64))
        assert found.kinds == {"y": "float32"}
        assert found.extents == {"y": Extent(9.0, 1e-7)}
        assert found.layer_extents == {"a": Extent(19.0, 2e-7)}
        assert (found.n_given, found.n_searched, found.looked_at) == (2, 2, 0)
        assert found.n_samples == 4
        assert found.coverage.counts("a").tolist() == [4, 4, 3]
        assert (found.notes[1:], found.doubts) == (["it is old"], ["it is random"])
        assert list(map(code_of, [*found.notes, *found.doubts])) == [
            "recorded_reference", "a_code", "random_node"
        ]  # fmt: skip
        assert (found.unmoved, found.untaken) == ({}, {"": []} if "" in found.untaken else {})
        (call,) = found.calls(["a"])
        assert (call.layer, call.number) == ("a", 0)
        assert _same(call.x, FOUR)
        assert _same(call.y, _prelu(FOUR))


@pytest.mark.parametrize(
    ("asked", "factor", "dtype"), [({}, 1.5, "float64"), ({"tolerance": GIVEN}, 1.0, "float32")]
)
def test_a_given_tolerance_is_for_the_outputs_as_the_model_gave_them(
    asked: dict[str, Any], factor: float, dtype: str
) -> None:
    with _replayed(**asked) as (found, _):
        assert found.precision == dtype
        assert _same(found.outputs[0]["y"], factor * _prelu(FOUR).astype(dtype))
        assert found.kinds == {"y": "float32"}
        assert (found.perturbed is None) is (dtype == "float32")
        assert _same(found.activation(0, "a", 0), 2.5 * _prelu(FOUR).astype(np.float64))
        assert (found.spread(0, "a", 0) is None) is (dtype == "float32")


def test_what_was_not_computed_in_float64_is_expected_as_it_was_given() -> None:
    with _replayed(_with_output(_recording(), 1, expected=None)) as (found, _):
        assert _same(found.outputs[1]["y"], _prelu(ONE))
        assert _same(found.outputs[0]["y"], 1.5 * _prelu(FOUR).astype(np.float64))


def test_constant_outputs_and_inputs_are_seen_in_what_the_model_gave() -> None:
    flat = [_with_output(_recording(_run(x)), 0, given=_stored(np.ones_like(x))).runs[0]
            for x in (FOUR, ONE)]  # fmt: skip
    with _replayed(_recording(*flat)) as (found, _):
        assert found.unmoved == {"y": True}
    positive = np.ones((4, 3), np.float32)
    for layers, codes in ((True, ["input_one_value", "no_negative_input"]),
                          (False, ["input_one_value"])):  # fmt: skip
        with _replayed(_recording(_run(positive)), layers=layers) as (found, _):
            assert list(map(code_of, found.notes))[1:] == codes


def test_layers_are_left_out_where_nobody_asks() -> None:
    with _replayed(layers=False) as (found, _):
        assert found.activation(0, "a", 0) is None
        assert found.coverage.counts("a").tolist() == [4, 4, 3]
        with pytest.raises(PReLUToolsError, match="does not keep the inputs of these layers"):
            found.calls(["a"])


def test_what_was_drawn_is_said_as_of_a_live_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    turned = BranchSearch([], {"c": [Reason("never taken")]}, [Reason("a note")])

    def answer(name: str, value: Any) -> None:
        def part(*given: Any, **more: Any) -> Any:
            asked.append((name, *given, *([more] if more else [])))
            return value

        monkeypatch.setattr(module, name, part)

    answer("turn_plan", "plan")
    answer("search_branches", turned)
    answer("stale_notes", ["it is stale"])
    domains = (InputDomain("x", "float32", "any", "declared"),)
    sizes, ranges = SizesTried(({"batch": 4},)), {"x": (0.0, 1.0)}
    made_of = RecordedFile("net.onnx", "net.onnx", "00")
    recording = _recording(sizes=sizes, domains=domains, ranges=ranges, source_file=made_of)
    source, opened = cast(Any, RecordedSource("net.npz", recording)), [_linked(NumpyModel())]
    rows = Rows({"x": 0}, BATCH)
    with replaying(source, opened, REQUEST) as (found, settled):
        assert settled == InputPlan(found.feeds, rows, sizes, domains, ranges)
        assert settled.feeds is found.feeds
        assert (found.untaken, found.notes[1:]) == (turned.doubts, ["a note", "it is stale"])
    assert asked == [
        ("turn_plan", source, opened, Domain((SPEC,), {}, whole=True, rows=rows),
         {"is_searched": False}),
        ("search_branches", source, found.feeds, "plan"),
        ("stale_notes", "net.npz", made_of, {}),
    ]  # fmt: skip
    asked.clear()
    with _replayed(_recording()):
        assert [call[0] for call in asked] == ["turn_plan", "search_branches"]


# Runs, and rows of runs


def test_a_candidate_of_a_fixed_batch_is_given_rows() -> None:
    with _replayed(_recording(), NumpyModel(shape=(2, 3))) as (found, settled):
        assert [feeds["x"].tolist() for feeds in found.feeds] == [
            FOUR[:2].tolist(), FOUR[2:].tolist(), FOUND.tolist()
        ]  # fmt: skip
        assert found.rows == settled.rows == Rows({"x": 0}, frozenset())
        assert (found.n_given, found.n_searched) == (2, 2)
        assert found.coverage.counts("a").tolist() == [4, 3, 3]  # of whole runs, once each
        assert _same(found.outputs[1]["y"], 1.5 * _prelu(FOUR[2:]).astype(np.float64))
        for run, x in enumerate((FOUR[:2], FOUR[2:], FOUND)):
            assert _same(found.activation(run, "a", 0), 2.5 * _prelu(x).astype(np.float64))
            assert _same(found.spread(run, "a", 0), np.full(x.shape, 8.0, np.float32))
        assert found.perturbed is not None
        assert [s["y"].scale.shape for s in found.perturbed.outputs] == [(2, 3)] * 3
        (call,) = found.calls(["a"])
        assert _same(call.x, FOUR[:2])
        assert _same(call.y, _prelu(FOUR[:2]))


def test_a_run_that_is_looked_at_is_found_where_it_is_now() -> None:
    recording = replace(_recording(), looked_at=2)
    with _replayed(recording) as (found, _):
        assert found.looked_at == 2
        assert _same(found.calls(["a"])[0].x, FOUND)
    with _replayed(recording, NumpyModel(shape=(1, 3))) as (found, _):
        assert (len(found.feeds), found.looked_at) == (6, 4)
        assert _same(found.calls(["a"])[0].x, FOUND[:1])


def test_calls_whose_rows_or_values_are_not_known_are_left_out() -> None:
    call = _recording().runs[0].calls[0]
    unknown = replace(call, call=1, row_axis=None)
    no_input, no_output = replace(call, call=2, x=None), replace(call, call=3, y=None)
    odd = replace(call, call=4, x=_stored(FOUR[:3])), replace(call, call=5, y=_stored(FOUR[:3]))
    calls = (unknown, no_input, no_output, *odd, replace(call, call=6, scale=None))
    recording = _changed(_recording(), 0, calls=calls)
    with _replayed(recording, NumpyModel(shape=(2, 3))) as (found, _):
        seen = [number for number in range(7) if found.activation(0, "a", number) is not None]
        assert seen == [2, 3, 4, 5, 6]
        assert [call.number for call in found.calls(["a"])] == [6]
        assert found.spread(0, "a", 6) is None


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (replace(_recording(), runs=()), "net.npz is damaged: it has no run"),
        (replace(_recording(), outputs={}), "net.npz is damaged: it has no run"),
        (
            replace(
                _recording(*(_run(FOUR[:n]) for n in (4, 3, 4, 1))), row_names=frozenset(),
            ),
            "net.npz has no run at the sizes that a candidate fixes (it has x of shape 4x3; x of "
            "shape 3x3): "
            "record net.onnx with --input x:2,3",
        ),
    ],
)  # fmt: skip
def test_what_has_no_run_at_the_sizes_of_a_candidate(recording: Recording, words: str) -> None:
    assert _refused(recording, NumpyModel(shape=(2, 3))) == words


def test_each_input_is_named_with_its_sizes() -> None:
    other = replace(SPEC, name="z")
    run = replace(_run(FOUR), inputs={"x": _stored(FOUR), "z": _stored(FOUR)})
    recording = _recording(run, inputs=(SPEC, other), row_names=frozenset())
    source = cast(Any, RecordedSource("net.npz", recording))
    live = cast(Any, SimpleNamespace(inputs=lambda: [replace(s, shape=(2, 3)) for s in
                                                     recording.inputs]))  # fmt: skip
    item = Linked("c", live, link_inputs(recording.inputs, live.inputs(), Layouts()), Layouts())
    with pytest.raises(PReLUToolsError) as raised, replaying(source, [item], REQUEST):
        pass
    assert "(it has x of shape 4x3, z of shape 4x3): record" in str(raised.value)
    assert str(raised.value).endswith("with --input x:2,3 --input z:2,3")


# Damage

DEEP = np.zeros((1,) * 9, np.float32)
_OUTPUT, _CALL = _recording().runs[0].outputs["y"], _recording().runs[0].calls[0]


def _limit(values: Any, **changes: Any) -> Recording:
    spread = RecordedSpread(_stored(np.ones((4, 3), np.float32)))
    changes = changes or {"scale": _stored(values)}
    return _with_output(_recording(), 0, spread=replace(spread, **changes))


def _calls(**changes: Any) -> Recording:
    return _changed(_recording(), 0, calls=(replace(_CALL, **changes),))


_DAMAGE = {
    "no input": (_changed(_recording(), 1, inputs={}), "a run has no input 'x'"),
    "another type": (
        _changed(_recording(), 1, inputs={"x": _stored(ONE, np.float64)}),
        "input 'x' is float64 [1, 3]",
    ),
    "another rank": (
        _changed(_recording(), 0, inputs={"x": _stored(DEEP)}),
        "input 'x' is float32 [1, 1, 1, 1, 1, 1, 1, 1]",
    ),
    "another size": (
        _changed(_recording(), 0, inputs={"x": _stored(FOUR[:, :2])}),
        "input 'x' is float32 [4, 2]",
    ),
    "no such axis": (replace(_recording(), row_axes={"x": 2}), "input 'x' is float32 [4, 3]"),
    "no axis": (replace(_recording(), row_axes={"x": -1}), "input 'x' is float32 [4, 3]"),
    "no output": (_changed(_recording(), 2, outputs={}), "a run has no output 'y'"),
    "expected": (
        _with_output(_recording(), 0, expected=_stored(DEEP)),
        "a tensor is of shape [1, 1, 1, 1, 1, 1, 1, 1]; expected [4, 3]",
    ),
    "given": (
        _with_output(_recording(), 0, given=_stored(DEEP)),
        "a tensor is of shape [4, 3]; expected [1, 1, 1, 1, 1, 1, 1, 1]",
    ),
    "limit NaN": (_limit(np.full((4, 3), np.nan, np.float32)), None),
    "limit below 0": (_limit(np.full((4, 3), -1.0, np.float32)), None),
    "limit type": (_limit(np.ones((4, 3))), None),
    "limit rank": (_limit(DEEP), "a limit is of shape [1, 1, 1, 1, 1, 1, 1, 1]"),
    "limit size": (_limit(np.ones((4, 2), np.float32)), "a limit is of shape [4, 2]"),
    "limit of all rows": (_limit(np.ones((1, 7), np.float32)), "a limit is of shape [1, 7]"),
    "reach": (_limit(None, reach=_stored(np.ones((2, 1)))), "a limit is of shape [2, 1]"),
    "no counts": (_changed(_recording(), 0, counts={}), "-"),
    "too many counts": (_changed(_recording(), 0, counts={"a": _stored([1, 2, 3, 4])}), "-"),
    "no numbers": (_changed(_recording(), 0, counts={"a": _stored([1.0, 2.0, 3.0])}), "-"),
    "limit of a call": (_calls(scale=_stored(np.ones((2, 3), np.float32))),
                        "a tensor is of shape [2, 3]; expected [4, 3]"),
    "limit of a call below 0": (_calls(scale=_stored(np.full((4, 3), -1.0, np.float32))), None),
}  # fmt: skip


@pytest.mark.parametrize("kind", _DAMAGE)
def test_what_is_damaged_is_said(kind: str) -> None:
    recording, words = _DAMAGE[kind]
    if words == "-":
        words = "a run does not say which slopes of a were reached"
    words = words or "a limit is not a number of 0 or more"
    assert _refused(recording) == f"net.npz is damaged: {words}"


def test_rows_that_cannot_be_taken_apart_are_damage() -> None:
    deep = np.zeros((3,) * 9, np.float32)
    recording = _with_output(_recording(), 0, given=_stored(deep), expected=None)
    assert _refused(recording, NumpyModel(shape=(2, 3))) == (
        "net.npz is damaged: a tensor of [3, 3, 3, 3, 3, 3, 3, 3] has no batch of 4"
    )


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_counts_of_any_whole_numbers_are_taken(dtype: Any) -> None:
    counts = {"a": _stored([[200, 0, 200]], dtype)}
    with _replayed(_changed(_recording(), 0, counts=counts)) as (found, _):
        assert found.coverage.counts("a").tolist() == [202, 2, 201]


def test_an_input_may_have_no_rows_or_have_them_anywhere() -> None:
    for axes in ({}, {"x": 1}):
        with _replayed(replace(_recording(), row_axes=axes)) as (found, _):
            assert found.rows == Rows(axes, BATCH)


# Limits


def test_each_value_has_its_limits() -> None:
    border, lost = np.eye(4, 3, dtype=bool), np.eye(4, 3, 1, dtype=bool)
    rough, reach = np.eye(4, 3, 2, dtype=bool), np.full((4, 1), 5.0, np.float32)
    spread = RecordedSpread(
        _stored(np.float32(2.0) * FOUR**2), 3, _stored(border), _stored(reach), _stored(lost),
        _stored(rough),
    )  # fmt: skip
    recording = _with_output(_recording(), 0, spread=spread)
    expected = Spread(np.float32(2.0) * FOUR**2, border, 3, reach, lost, rough)
    for model, rows in ((NumpyModel(), slice(None)), (NumpyModel(shape=(2, 3)), slice(2))):
        with _replayed(recording, model) as (found, _):
            assert found.perturbed is not None
            assert found.perturbed.runs == 6
            one = found.perturbed.outputs[0]["y"]
            assert one.n_flips == 3
            for name in ("scale", "border", "reach", "lost", "rough"):
                assert _same(getattr(one, name), getattr(expected, name)[rows])


@pytest.mark.parametrize("shape", [(), (1, 3), (1, 3, 1)])
def test_a_limit_for_all_rows_is_one_for_each(shape: tuple[int, ...]) -> None:
    limit = RecordedSpread(_stored(np.full(shape, 7.0, np.float32)))
    given = _stored(_prelu(FOUR).reshape(4, 3, *shape[2:]))
    changes = {"spread": limit, "given": given, "expected": None, "coarser": {}}
    recording = _with_output(_recording(), 0, **changes)
    with _replayed(recording, NumpyModel(shape=(2, 3))) as (found, _):
        assert found.perturbed is not None
        assert [spread["y"].scale.shape for spread in found.perturbed.outputs] == [
            shape, shape, (2, 3)
        ]  # fmt: skip


def test_a_limit_of_an_output_without_rows_may_be_for_several_values() -> None:
    facts = {"y": OutputFacts("float32", 9.0, 1e-7)}
    limit = np.ones((1, 3), np.float32)
    with _replayed(replace(_limit(limit), outputs=facts)) as (found, _):
        assert found.perturbed is not None
        assert found.perturbed.outputs[0]["y"].scale.shape == (1, 3)


def test_limits_count_where_every_run_has_them() -> None:
    with _replayed() as (found, _):
        assert found.perturbed is not None
        assert [spreads["y"].scale[0, 0] for spreads in found.perturbed.outputs] == [1.0] * 3
        coarser = {unit: (runs.runs, [s["y"].scale[0, 0] for s in runs.outputs])
                   for unit, runs in found.coarser.items()}  # fmt: skip
        assert coarser == {2.0**-10: (6, [2.0] * 3), 2.0**-7: (6, [4.0] * 3)}
    with _replayed(_recording(moved_runs=0)) as (found, _):
        assert (found.perturbed, found.coarser) == (None, {})
    with _replayed(_with_output(_recording(), 1, spread=None)) as (found, _):
        assert found.perturbed is None
        assert found.spread(0, "a", 0) is None
        assert len(found.coarser) == 2
    only = {"bfloat16": _spread((1, 3), 4.0)}
    with _replayed(_with_output(_recording(), 1, coarser=only)) as (found, _):
        assert list(found.coarser) == [2.0**-7]
        assert (SPREAD, 0, "a", 0) in found.stash
