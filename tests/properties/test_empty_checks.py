"""A check that compared nothing never passes: exit code 3, whatever else was asked for.

Each `Emptiness` is a way in which there is nothing to compare. Drawn together, with models and
options that pass by themselves, they never give 0; nor do verdicts that are put together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from running import Outcome, cli
from tiny_models import Dims, save_graph, save_prelu, save_relu

from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.rounding.parity import Comparison, worst
from prelu_tools.core.rounding.tolerance import Limit

Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[Path, Sequence[Path], Sequence[object]]
"""A reference, candidates, and options."""
CALM = settings(deadline=None, database=None, derandomize=True)
SLOPES = np.array([0.25, -0.5, 1.5], np.float32)


def _net(folder: Path) -> Path:
    return save_prelu(folder / "net.onnx", SLOPES)


def _inputs(folder: Path, values: Array) -> tuple[str, Path]:
    path = folder / "inputs.npz"
    np.savez(path, x=values)
    return "--inputs", path


def _of(folder: Path, outputs: Mapping[str, Dims], more: Sequence[Any] = ()) -> Path:
    """A PRelu node, more nodes, and these outputs."""
    node = helper.make_node("PRelu", ["x", "act.weight"], ["y"], name="act")
    tensors = {"act.weight": SLOPES, "zero": np.array([0])}
    return save_graph(
        folder / "odd.onnx", [node, *more], {"x": ("batch", 3)}, dict(outputs), tensors
    )


def _no_prelu(folder: Path) -> Case:
    net = save_relu(folder / "relu.onnx")
    return net, [net], []


def _no_outputs(folder: Path) -> Case:
    net = _of(folder, {})
    return net, [net], []


def _no_outputs_of_a_candidate(folder: Path) -> Case:
    return _net(folder), [_of(folder, {})], []


def _an_output_without_values(folder: Path) -> Case:
    slice_ = helper.make_node("Slice", ["x", "zero", "zero"], ["none"])
    net = _of(folder, {"y": ("batch", 3), "none": (0, 3)}, [slice_])
    return net, [net], []


def _no_nodes(folder: Path) -> Case:
    net = save_graph(folder / "nothing.onnx", [], {"x": ("batch", 3)}, {}, {})
    return net, [net], ["--allow-no-prelu"]


def _no_slopes(folder: Path) -> Case:
    net = save_prelu(folder / "none.onnx", np.zeros(0, np.float32), ("batch", 0))
    return net, [net], []


def _no_features(folder: Path) -> Case:
    net = save_prelu(folder / "one.onnx", SLOPES[:1], ("batch", 0))
    return net, [net], []


def _no_batch(folder: Path) -> Case:
    net = save_prelu(folder / "batch.onnx", SLOPES, (0, 3))
    return net, [net], []


def _no_rows(folder: Path) -> Case:
    net = _net(folder)
    return net, [net], _inputs(folder, np.zeros((0, 3), np.float32))


def _nan_everywhere(folder: Path) -> Case:
    net = _net(folder)
    return net, [net], _inputs(folder, np.full((2, 3), np.nan, np.float32))


def _nan_somewhere(folder: Path) -> Case:
    values = np.ones((4, 3), np.float32)
    values[2, 1] = np.nan
    net = _net(folder)
    return net, [net], _inputs(folder, values)


def _no_provider(folder: Path) -> Case:
    net = _net(folder)
    return net, [net], ["--provider", "abacus"]


def _one_provider_of_two(folder: Path) -> Case:
    net = _net(folder)
    return net, [net], ["--provider", "cpu", "--provider", "abacus"]


def _no_file(folder: Path) -> Case:
    return _net(folder), [folder / "missing.onnx"], []


def _half_a_file(folder: Path) -> Case:
    net = _net(folder)
    half = folder / "half.onnx"
    half.write_bytes(net.read_bytes()[:60])
    return net, [half], []


def _one_file_of_two(folder: Path) -> Case:
    net = _net(folder)
    return net, [net, folder / "missing.onnx"], []


EMPTY: tuple[Callable[[Path], Case], ...] = (
    _no_prelu, _no_outputs, _no_outputs_of_a_candidate, _an_output_without_values, _no_nodes,
    _no_slopes, _no_features, _no_batch, _no_rows, _nan_everywhere, _nan_somewhere, _no_provider,
    _one_provider_of_two, _no_file, _half_a_file, _one_file_of_two,
)  # fmt: skip
OPTIONS = ("--no-power", "--no-layers", "--samples=3", "--seed=7", "--search-seconds=0",
           "--tolerance=1,1", "--allow-fallback")  # fmt: skip


def _checked(case: Case, options: Sequence[str]) -> Outcome:
    reference, candidates, own = case
    return cli("verify", reference, *candidates, *own, *options)


@pytest.mark.parametrize("empty", EMPTY, ids=lambda empty: empty.__name__.strip("_"))
def test_a_check_of_nothing_is_no_verdict(
    empty: Callable[[Path], Case], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    found = _checked(empty(tmp_path), ())
    assert found.code == 3, found.words
    assert "a bug in prelu-tools" not in found.words
    assert "INCONCLUSIVE" in found.out or found.err.startswith("Error: ")
    assert [str(warning.message) for warning in recwarn] == []


@settings(CALM, max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    empty=st.sampled_from(EMPTY),
    others=st.lists(st.sampled_from(("net", "same")), max_size=2),
    options=st.lists(st.sampled_from(OPTIONS), unique=True, max_size=3),
)
def test_nothing_that_is_asked_beside_it_makes_it_pass(
    empty: Callable[[Path], Case], others: Sequence[str], options: Sequence[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference, candidates, own = empty(folder)
        good = [reference if other == "same" else _net(folder) for other in others]
        found = _checked((reference, [*good, *candidates], own), options)
        if "would be ignored" in found.words:
            assert found.code == 2, found.words
        elif "net" in others and reference.name != "net.onnx":
            assert found.code != 0, found.words  # the net is another model, and may fail
        else:
            assert found.code == 3, found.words
        assert "a bug in prelu-tools" not in found.words


def test_the_same_with_something_to_compare_passes(tmp_path: Path) -> None:
    net = _net(tmp_path)
    assert _checked((net, [net, net], []), ()).code == 0


# Verdicts that are put together

VERDICTS = st.sampled_from(("pass", "fail", "inconclusive"))


@CALM
@given(verdicts=st.lists(VERDICTS))
def test_only_passes_make_a_pass(verdicts: list[Verdict]) -> None:
    found = worst(verdicts)
    assert (found == "fail") == ("fail" in verdicts)
    assert (found == "pass") == (bool(verdicts) and set(verdicts) == {"pass"})


@CALM
@given(kinds=st.lists(st.one_of(VERDICTS, st.just("error"))))
def test_only_checks_that_ran_and_passed_make_a_pass(kinds: list[Any]) -> None:
    entries = [BatchEntry(str(i), "r", kind) for i, kind in enumerate(kinds)]
    found = BatchResult("verify", tuple(entries), "checks.toml")
    assert (found.status == "fail") == ("fail" in kinds)
    assert (found.status == "pass") == (bool(kinds) and set(kinds) == {"pass"})
    assert sum(found.summary.values()) == len(kinds)


@CALM
@given(
    runs=st.lists(
        st.lists(st.sampled_from((0.0, -1.5, np.inf, -np.inf, np.nan)), max_size=4), max_size=3
    ),
    dtype=st.sampled_from(("float16", "float32", "float64")),
)
def test_values_that_are_the_same_pass_only_where_each_is_a_number(
    runs: list[list[float]], dtype: str
) -> None:
    comparison = Comparison(Limit(1.0, 1.0))
    for values in runs:
        comparison.add(np.array(values, dtype), np.array(values, dtype))
    flat = [value for values in runs for value in values]
    proven = bool(flat) and not np.isnan(flat).any()
    assert comparison.verdict == ("pass" if proven else "inconclusive")
    assert (comparison.doubt is None) == proven


@CALM
@given(
    values=st.lists(st.sampled_from((0.0, 2.0, np.inf, np.nan)), min_size=1, max_size=5),
    place=st.integers(0, 4),
    other=st.sampled_from((-np.inf, np.nan, np.inf, 100.0)),
)
def test_one_value_that_is_another_fails_whatever_else_is_nan(
    values: list[float], place: int, other: float
) -> None:
    right, wrong = np.array(values, np.float32), np.array(values, np.float32)
    place %= len(values)
    if other == right[place] or (np.isnan(other) and np.isnan(right[place])):
        return
    wrong[place] = other
    comparison = Comparison(Limit(0.5, 0.5))
    comparison.add(right, wrong)
    assert comparison.verdict == "fail"
