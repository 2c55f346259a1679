"""What `verify` is asked for: inputs, ranges, layouts, gates and bundles, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_models import REQUEST, SLOPES, NumpyModel, the_one, verified
from text_nets import COLUMN, save

from prelu_tools.commands.verify import command as module
from prelu_tools.commands.verify.candidates import candidate
from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.results.verification.result import Coverage

HALF = {"a": SLOPES.astype(np.float16)}


# Inputs


def test_a_range_of_an_input_that_is_not_there() -> None:
    words = "--input-range z: r has no such input; it has x"
    with pytest.raises(UsageError) as raised:
        verified(NumpyModel(), NumpyModel(), ranges={"z": (0.0, 1.0)})
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("ranges", "low", "high"),
    [
        ({"x": (0.0, 1.0)}, 0.0, 1.0),
        ({"": (0.0, 1.0)}, 0.0, 1.0),
        ({"": (5.0, 9.0), "x": (0.0, 1.0)}, 0.0, 1.0),
    ],
)
def test_ranges_hold_for_what_is_drawn_and_sought(
    ranges: dict[str, tuple[float, float]], low: float, high: float
) -> None:
    model = NumpyModel()
    result = verified(model, NumpyModel(), ranges=ranges, search_seconds=50.0, seed=4)
    for feed in model.fed[1:]:  # the first is a trial
        assert low <= feed["x"].min() <= feed["x"].max() <= high
    assert result.coverage == Coverage(0, 3, ("a[0]", "a[1]", "a[2]"))
    (limits,) = model.limits
    assert (limits.ranges, limits.seed, limits.whole) == ({"x": (0.0, 1.0)}, 4, False)


def test_without_ranges_there_are_none() -> None:
    model = NumpyModel({"a": SLOPES, "b": np.full((1, 3), 0.5, np.float32)})
    x = np.array([[1, 1, 1]], np.float32)
    model.found = [{"x": x}]
    result = verified(model, NumpyModel(model.slopes), samples=1, search_seconds=50.0, seed=3)
    assert model.limits[0].ranges == {}
    assert result.n_searched == 0


@pytest.mark.parametrize(
    ("mine", "theirs", "whole"),
    [("batch", "n", False), (2, "n", True), ("batch", 2, True), (1, 1, True)],
)
def test_a_batch_that_a_model_fixes_is_kept_in_the_search(
    mine: str | int, theirs: str | int, whole: bool
) -> None:
    model = NumpyModel({"a": np.ones((1, 3), np.float32), "b": np.ones((1, 3), np.float32)})
    model.shape = (mine, 3)
    other = NumpyModel(model.slopes, shape=(theirs, 3))
    verified(model, other, search_seconds=50.0, ranges={"": (1.0, 2.0)})
    assert [limits.whole for limits in model.limits] == [whole]


def _npz(path: Path, *rows: list[float]) -> Path:
    np.savez(path, x=np.array(rows, np.float32))
    return path


def test_a_file_of_inputs_is_replayed_as_it_is(tmp_path: Path) -> None:
    path = _npz(tmp_path / "i.npz", [1, 2, 3], [4, 5, 6])
    model = NumpyModel()
    result = verified(model, NumpyModel(), inputs_file=path, search_seconds=50.0)
    assert (result.samples, result.coverage) == (2, Coverage(0, 3, ("a[0]", "a[1]", "a[2]")))
    assert {len(feed["x"]) for feed in model.fed} == {2}
    assert model.limits == []


def test_rows_are_drawn_beside_a_file_where_that_is_asked_for(tmp_path: Path) -> None:
    path = _npz(tmp_path / "i.npz", [1, 2, 3], [4, 5, 6])
    model = NumpyModel()
    result = verified(model, NumpyModel(), inputs_file=path, samples=5, search_seconds=50.0)
    assert result.samples == 7
    assert [len(feed["x"]) for feed in model.fed[2:5]] == [5, 1, 2]  # two were trials


def test_the_inputs_that_were_used_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    model = NumpyModel()
    verified(model, NumpyModel(), save_inputs=path, samples=3)
    with np.load(path) as kept:
        assert sorted(kept) == ["run0/x", "run1/x"]
        assert np.array_equal(kept["run0/x"], model.fed[0]["x"])


def test_a_narrower_candidate_is_given_what_both_can_hold() -> None:
    model, half = NumpyModel(), NumpyModel(HALF, dtype="float16")
    verified(model, half)
    for feed in model.fed[1:]:  # the first is a trial
        assert np.array_equal(feed["x"], feed["x"].astype(np.float16).astype(np.float32))


# Layouts

WISE = {"a": SLOPES.reshape(1, 3, 1, 1)}
LAST = {"a": SLOPES.reshape(1, 1, 1, 3)}
NCHW, NHWC = ("batch", 3, 3, 3), ("batch", 3, 3, 3)


@pytest.mark.parametrize(
    "layouts",
    [{"reference": "nchw", "candidate": "nhwc"}, {"r": "nchw", "c": "nhwc"},
     {"r": "nchw", "reference": "nhwc", "c": "nhwc", "candidate": "nchw"}],
)  # fmt: skip
def test_layouts_are_those_of_the_model_or_else_of_the_side(layouts: Any) -> None:
    reference, candidate = NumpyModel(WISE, shape=NCHW), NumpyModel(LAST, shape=NHWC)
    assert verified(reference, candidate, layouts=layouts).verdict == "pass"
    wrong = {name: "nhwc" if value == "nchw" else "nchw" for name, value in layouts.items()}
    assert verified(reference, candidate, layouts=wrong).verdict != "pass"
    assert verified(reference, candidate).verdict == "pass"


def test_layouts_of_inputs_alone() -> None:
    reference, candidate = NumpyModel(WISE, shape=NCHW), NumpyModel(LAST, shape=NHWC)
    asked: Any = {"reference": "nchw", "candidate": "nhwc"}
    found = verified(reference, candidate, input_layouts=asked)
    assert found.verdict == "pass"
    same: Any = {"reference": "nchw", "candidate": "nchw"}
    other = verified(reference, NumpyModel(WISE, shape=NCHW), layouts=asked, input_layouts=same)
    assert other.candidates[0].outputs[0].verdict == "pass"


# Gates


def test_gates_are_part_of_the_verdict() -> None:
    x = {"": (0.5, 1.0)}
    result = verified(NumpyModel(), NumpyModel(), ranges=x, min_coverage=0.5)
    words = "the inputs reached 0 of 3 slopes; --min-coverage 0.5 requires more"
    assert (result.verdict, result.reasons) == ("fail", (words,))
    result = verified(NumpyModel(), NumpyModel(), NumpyModel(), min_power=0.5)
    words = "power is unknown, and --min-power requires it"
    assert (result.verdict, result.reasons) == (
        "inconclusive", (f"c: {words}", f"d: {words}")
    )  # fmt: skip


def test_nothing_is_known_of_slopes_without_layers() -> None:
    result = verified(NumpyModel(), NumpyModel(), layers=False)
    assert (result.verdict, result.coverage) == ("pass", None)
    (layer,) = the_one(result).layers
    assert (layer.slopes_equal, layer.max_abs_diff, layer.max_ulp_diff) == (True, None, None)


def test_what_a_search_finds_is_counted_apart() -> None:
    model = NumpyModel()
    model.found = [{"x": -np.ones((4, 3), np.float32)}]
    result = verified(model, NumpyModel(), ranges={"": (1.0, 2.0)}, search_seconds=50.0)
    assert (result.samples, result.n_searched) == (16, 4)
    assert result.coverage == Coverage(3, 3, ())


# Bundles, and what runs it


def test_the_first_failure_is_bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundles: list[Any] = []
    monkeypatch.setattr(module, "write_bundle", lambda *args: bundles.append(args))
    wrong = NumpyModel(change=lambda _layer, y: y + 1)
    reference = NumpyModel()
    verified(reference, NumpyModel(), wrong, wrong, bundle=tmp_path)
    ((path, told, where, bundled),) = bundles
    assert (path, where.label, bundled.report.model) == (tmp_path, "d", "d")
    assert told.source is reference
    assert len(bundled.results) == len(told.feeds)
    assert (where.source, bundled.report.verdict) == (wrong, "fail")
    verified(NumpyModel(), wrong)
    verified(NumpyModel(), NumpyModel(), bundle=tmp_path)
    verified(NumpyModel(), NumpyModel(shape=("batch", 4)), bundle=tmp_path)
    assert len(bundles) == 1


@pytest.mark.parametrize(("version", "runtime"), [("1.2.3", "1.2.3"), (None, "")])
def test_special_values_are_judged_by_the_version_of_any_onnxruntime(
    version: str | None, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    judged_by: list[Any] = []

    def installed(*names: str) -> str | None:
        asked.append(names)
        return version

    def note(*arguments: Any) -> Any:
        judged_by.append(arguments[3])
        return ()

    monkeypatch.setattr(candidate, "installed_version", installed)
    monkeypatch.setattr(candidate, "compare_special_values", note)
    net = str(save(tmp_path / "net.onnx", "y = PRelu(x, a)", a=COLUMN))
    module.verify(replace(REQUEST, reference=net, candidates=(net,), power=False))
    assert asked == [("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")]
    verified(NumpyModel(), NumpyModel())  # onnxruntime does not run it
    assert judged_by == [runtime, ""]


def test_a_file_is_loaded_and_told_of(tmp_path: Path) -> None:
    net = save(tmp_path / "net.onnx", "y = PRelu(x, a)", a=COLUMN)
    told: list[str] = []
    wanted = replace(REQUEST, reference=str(net), candidates=(str(net),), power=False)
    assert module.verify(wanted, told.append).verdict == "pass"
    assert told == [f"loading {net}", f"running {net}", f"checking {net} on cpu"]
    assert module.verify(wanted).verdict == "pass"


def test_float64_is_asked_for_where_the_tolerance_rests_on_it() -> None:
    given = Tolerance(1e-3, 1e-4, scaled=False, origin="given")
    assert verified(NumpyModel(), NumpyModel()).reference_precision == "float64"
    assert verified(NumpyModel(), NumpyModel(), tolerance=given).reference_precision == "float32"


def test_each_input_has_its_range_and_its_name() -> None:
    class Two(NumpyModel):
        def inputs(self) -> Any:
            return [*super().inputs(), replace(super().inputs()[0], name="z")]

    words = "--input-range w: r has no such input; it has x, z"
    with pytest.raises(UsageError) as raised:
        verified(Two(), Two(), ranges={"w": (0.0, 1.0)})
    assert str(raised.value) == words
    model = Two()
    verified(model, Two(), ranges={"z": (5.0, 6.0)})
    assert model.fed[0]["z"].min() >= 5.0
    assert model.fed[0]["x"].min() < 0.0
