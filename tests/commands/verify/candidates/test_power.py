"""Planted faults, one by one: which, in which runs, who notices, and when it is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from text_nets import COLUMN, save

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.opening import open_source
from prelu_tools.commands.verify.candidates.outputs import OutputJudge
from prelu_tools.commands.verify.candidates.power import (
    Planted,
    PowerPlan,
    SlopeCopy,
    choose_faults,
    measure_power,
    plant,
)
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.faults import Fault
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.verification.candidate import Power, Tolerance
from prelu_tools.core.rounding.tolerance import Extent

NEGATIVE = -np.ones((2, 3, 4, 5), np.float32)
KINDS = ["moved", "exchanged", "negated", "averaged", "shifted", "rounded"]
TENTHS = np.array([0.1, -0.3, 0.7], np.float32).reshape(3, 1, 1)


def _plan(
    path: Path,
    *feeds: Array,
    reached: Array | None = NEGATIVE,
    room: float = 0.0,
    add: float = 0.0,
) -> PowerPlan:
    """A model against itself: what the inputs reach is what the caller says that they do."""
    source = open_source(str(path), SourceOptions())
    assert isinstance(source, OnnxSource)
    runs: list[Feeds] = [{"x": values} for values in feeds or (NEGATIVE,)]
    with source.runner() as runner:
        outputs = [runner.run(feed) for feed in runs]
    references = [{name: y + np.float32(add) for name, y in found.items()} for found in outputs]
    book = CoverageBook(source.layers())
    if reached is not None:
        for layer in source.layers():
            book.note(layer.name, reached)
    tolerance = Tolerance(0.0, room, scaled=False, origin="given")
    judge = OutputJudge(references, {"y": Extent()}, Layouts(), (), tolerance)
    return PowerPlan(source.layers(), source, "cpu", runs, judge, book, 0)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save(tmp_path / "net.onnx", "y = PRelu(x, a)", a=TENTHS)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    return save(
        tmp_path / "chain.onnx", "t = PRelu(x, a) y = PRelu(t, b)", a=TENTHS, b=TENTHS * 2 + 1
    )


# All of it


def test_everybody_notices(net: Path) -> None:
    assert measure_power(_plan(net)) == Power(6, 6, 6, 6, (), 0, sampled=False)


def test_layers_notice_what_outputs_let_pass(net: Path) -> None:
    assert measure_power(_plan(net, room=9.0)) == Power(6, 6, 6, 0, (), 0, sampled=False)


def test_nobody_notices_what_is_not_reached(net: Path) -> None:
    plan = _plan(net, -NEGATIVE, reached=None)
    assert measure_power(plan) == Power(0, 0, 0, 0, (), 6, sampled=False)


def test_what_is_noticed_was_reached(net: Path) -> None:
    assert measure_power(_plan(net, reached=None)) == Power(6, 6, 6, 6, (), 0, sampled=False)


def test_what_escapes_is_named(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(copy: SlopeCopy, target: Any, slopes: Any, run: int) -> tuple[bool, bool]:
        return False, False

    monkeypatch.setattr(SlopeCopy, "noticed", blind)
    found = measure_power(_plan(net))
    assert (found.planted, found.detected, found.unreached, found.hidden) == (6, 0, 0, 0)
    assert found.escaped[2:] == (
        "a: slopes negated", "a: slopes averaged", "a: slopes shifted by one",
        "a: slopes rounded to float16",
    )  # fmt: skip


def test_what_no_input_shows_is_counted_apart(net: Path) -> None:
    assert measure_power(_plan(net, -NEGATIVE)) == Power(0, 0, 0, 0, (), 0, False, hidden=6)


def test_any_of_the_runs_is_enough(net: Path) -> None:
    found = measure_power(_plan(net, -NEGATIVE, NEGATIVE, -NEGATIVE[:1]))
    assert found == Power(6, 6, 6, 6, (), 0, sampled=False)


def test_a_copy_that_computes_something_else_measures_nothing(net: Path) -> None:
    words = "^the candidate differs from the reference even without a planted fault$"
    with pytest.raises(PReLUToolsError, match=words):
        measure_power(_plan(net, add=1.0))


@pytest.mark.parametrize(
    ("effort", "most"), [(0.001, 200), (0.25, 200), (0.5, 120), (12.0, 5), (12.1, 4), (99.0, 0)]
)
def test_as_many_are_planted_as_the_effort_allows(
    effort: float, most: int, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def choose(_copy: object, _plan: object, most: int) -> tuple[list[Fault], bool]:
        asked.append(most)
        return [], True

    def effort_of(*of: float) -> float:
        asked.append(of)
        return effort

    monkeypatch.setattr("prelu_tools.commands.verify.candidates.power.effort_of", effort_of)
    monkeypatch.setattr("prelu_tools.commands.verify.candidates.power.choose_faults", choose)
    found = measure_power(_plan(net, NEGATIVE, NEGATIVE[:1]))
    assert found == Power(0, 0, 0, 0, (), 0, sampled=True)
    # The smallest run has a third of all values: of 180 inputs, and 120 that met a PReLU.
    assert asked == [(100.0, 1, 3), most]


def test_large_weights_are_read_where_the_model_is(tmp_path: Path) -> None:
    image = "float[batch,3,40,50]"
    path = save(
        tmp_path / "net.onnx", "t = PRelu(x, a) y = Mul(t, b)", f"{image} x", f"{image} y",
        a=TENTHS, b=np.ones((3, 40, 50), np.float32),
    )  # fmt: skip
    x = -np.ones((1, 3, 40, 50), np.float32)
    plan = _plan(path, x, reached=x)
    assert plan.source.located[0].calls[0][0].model.file == path
    assert measure_power(plan).detected == 6


def test_what_is_wrong_with_the_session_is_said_of_the_model(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PReLUToolsError, match="abacus"):
        SlopeCopy(replace(_plan(net), provider="abacus"))
    given: list[Any] = []
    monkeypatch.setattr(
        "prelu_tools.commands.verify.candidates.power.ValueSession",
        lambda *args: given.extend(args),
    )
    SlopeCopy(_plan(net))
    assert given[0].file == net
    assert given[2:] == ["cpu", str(net)]


@pytest.mark.parametrize(("most", "planted", "runs"), [(5, 5, 5), (6, 6, 12)])
def test_a_sample_need_not_be_noticed_twice(
    most: int, planted: int, runs: int, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed = SlopeCopy.noticed
    counted = []

    def count(copy: SlopeCopy, target: Any, slopes: Any, run: int) -> tuple[bool, bool]:
        if target is not None:
            counted.append(run)
        return noticed(copy, target, slopes, run)

    monkeypatch.setattr(SlopeCopy, "noticed", count)
    monkeypatch.setattr("prelu_tools.commands.verify.candidates.power._MOST", most)
    found = measure_power(_plan(net, NEGATIVE[:1], NEGATIVE, room=9.0))
    assert found == Power(planted, planted, planted, 0, (), 0, sampled=most == 5)
    assert len(counted) == runs


def test_a_model_without_slopes(tmp_path: Path) -> None:
    net = save(tmp_path / "net.onnx", "y = Relu(x)")
    with pytest.raises(PReLUToolsError, match=r"^none of its layers can be observed$"):
        SlopeCopy(_plan(net))


def test_layers_that_nothing_reads_or_no_path_leads_to_are_left_out(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(chain)
    asked: list[Any] = []

    def is_unread(_source: OnnxSource, layer: str, known: Any) -> bool:
        asked.append((layer, known))
        return layer == "a"

    monkeypatch.setattr(OnnxSource, "is_unread", is_unread)
    assert [target.layer.name for target in SlopeCopy(plan).targets] == ["b"]
    assert asked == [("a", {}), ("b", {})]
    monkeypatch.setattr("prelu_tools.commands.verify.candidates.power.path_of", lambda _view: None)
    with pytest.raises(PReLUToolsError, match=r"^none of its layers can be observed$"):
        SlopeCopy(plan)


def test_layers_are_watched_where_they_are(chain: Path) -> None:
    ends = [target.ends for target in SlopeCopy(_plan(chain)).targets]
    assert [[(one.path, one.name, other.path, other.name) for one, other in pairs]
            for pairs in ends] == [[((), "x", (), "t")], [((), "t", (), "y")]]  # fmt: skip


def test_a_layer_that_the_reference_does_not_have_is_left_out(chain: Path) -> None:
    plan = _plan(chain)
    copy = SlopeCopy(replace(plan, references=plan.references[1:]))
    assert [target.layer.name for target in copy.targets] == ["b"]
    assert list(copy.right) == list(copy.targets[0].inputs)


# Which


def _kinds(faults: Sequence[Fault]) -> list[tuple[int, str]]:
    return [(fault.layer, fault.kind) for fault in faults]


EVERY = [(i, kind) for i in (0, 1) for kind in [*KINDS[:5], "neighbour", "rounded"]]


@pytest.mark.parametrize("most", [14, 15, 200])
def test_all_are_planted_where_there_is_room(most: int, chain: Path) -> None:
    plan = _plan(chain)
    assert choose_faults(SlopeCopy(plan), plan)[1] is False
    faults, sampled = choose_faults(SlopeCopy(plan), plan, most)
    assert (_kinds(faults), sampled) == (EVERY, False)


@pytest.mark.parametrize(("most", "each"), [(13, 6), (12, 6), (5, 2), (1, 1), (0, 1)])
def test_else_as_many_of_each_layer(most: int, each: int, chain: Path) -> None:
    plan = _plan(chain)
    faults, sampled = choose_faults(SlopeCopy(plan), plan, most)
    assert sampled
    assert [fault.layer for fault in faults] == [0] * each + [1] * each
    assert [key for key in EVERY if key in _kinds(faults)] == _kinds(faults)
    again = choose_faults(SlopeCopy(plan), plan, most)[0]
    assert _kinds(again) == _kinds(faults)


def test_the_seed_chooses(chain: Path) -> None:
    plan = _plan(chain)
    chosen = {
        tuple(_kinds(choose_faults(SlopeCopy(plan), replace(plan, seed=seed), 4)[0]))
        for seed in range(8)
    }
    assert len(chosen) > 4
    moved = {
        choose_faults(SlopeCopy(plan), replace(plan, seed=seed))[0][0].description
        for seed in range(8)
    }
    assert len(moved) > 1


def test_faults_are_in_slopes_that_are_reached(net: Path) -> None:
    x = np.ones((1, 3, 4, 5), np.float32)
    x[:, 1] = -1
    plan = _plan(net, reached=x)
    (moved,) = (f for f in choose_faults(SlopeCopy(plan), plan)[0] if f.kind == "moved")
    assert moved.description == "slope 1 changed by 10%"


@pytest.mark.parametrize(
    ("shape", "misplaced"),
    [
        ("[batch,3,4,3]", True),
        ("[batch,3,4,5]", False),
        ("[batch,3,3,5]", False),
        ("[batch,3,4,w]", False),
    ],
)
def test_a_column_is_misplaced_where_a_row_would_fit(
    shape: str, misplaced: bool, tmp_path: Path
) -> None:
    path = save(
        tmp_path / "n.onnx", "y = PRelu(x, a)", f"float{shape} x", f"float{shape} y", a=COLUMN
    )
    width = 5 if "5" in shape else 3
    x = -np.ones((1, 3, 3 if "3,3" in shape else 4, width), np.float32)
    plan = _plan(path, x, reached=x)
    kinds = [fault.kind for fault in choose_faults(SlopeCopy(plan), plan)[0]]
    assert ("misplaced" in kinds) is misplaced


@pytest.mark.parametrize("shape", [None, ()])
def test_nothing_is_misplaced_where_the_input_is_unknown(shape: Any) -> None:
    slopes = np.array([[0.1], [0.2]], np.float32)
    layer = PReLULayer("a", ("n",), None, "prelu", slopes, shape, (2, 1), None, same_instance=True)
    book = CoverageBook([layer])
    target = SimpleNamespace(matches=[SimpleNamespace(slopes=slopes)], layer=layer)
    copy, plan = SimpleNamespace(targets=[target]), SimpleNamespace(reached=book, seed=0)
    faults, _ = choose_faults(cast(SlopeCopy, copy), cast(PowerPlan, plan))
    assert "negated" in [fault.kind for fault in faults]
    assert "misplaced" not in [fault.kind for fault in faults]


# Who notices, of a copy that only says what it is told to


class _Copy:
    """Notices as it is told, and remembers what it was asked."""

    def __init__(
        self, notices: Callable[[str, int], tuple[bool, bool]], rows: Sequence[int]
    ) -> None:
        slopes = np.ones((1, 3), np.float32)
        self.layer = PReLULayer(
            "theirs", ("n",), None, "prelu", slopes, None, (1, 3), None, same_instance=True
        )
        self.mine = replace(self.layer, name="mine")
        call = SimpleNamespace(slopes=self.mine.slopes, node=onnx.NodeProto())
        self.targets = [
            SimpleNamespace(
                layer=self.layer, reference=self.mine, inputs=("p", "q"), matches=(call, call)
            )
        ]
        self.right = {"p": slopes, "q": slopes, "r": slopes}
        book = CoverageBook([self.layer])
        book.note("theirs", np.array([[-1, 1, 1]]))
        feeds = [{"x": np.zeros((n, 3))} for n in rows]
        self.plan = SimpleNamespace(feeds=feeds, reached=book)
        self._notices = notices
        self.asked: list[tuple[str, int]] = []

    def noticed(self, target: Any, slopes: dict[str, Array], run: int) -> tuple[bool, bool]:
        assert (target is None) == (slopes is self.right)
        assert list(slopes) == ["p", "q", "r"]
        assert np.array_equal(slopes["p"], slopes["q"])
        kind = "right" if target is None else str(slopes["p"].flat[0])
        if target is not None:
            assert slopes["r"] is self.right["r"]
            self.asked.append((kind, run))
        return (False, False) if target is None else self._notices(kind, run)


def _fault(number: float, touched: Sequence[bool] = (True, False, False), kind: str = "moved"
) -> Fault:  # fmt: skip
    slopes = np.full((1, 3), number, np.float32)
    return Fault(0, kind, "words", slopes, np.array(touched))


def _plant(copy: _Copy, *faults: Fault, stop_at_first: bool = False) -> list[Planted]:
    return list(plant(cast(SlopeCopy, copy), faults, stop_at_first))


@pytest.mark.parametrize(
    ("notices", "stop_at_first", "runs", "found"),
    [
        pytest.param({}, False, [1, 0, 2], (False, False), id="nobody, in any run"),
        pytest.param({}, True, [1, 0, 2], (False, False), id="nobody, in haste"),
        pytest.param({1: (True, True)}, False, [1], (True, True), id="both at once"),
        pytest.param({0: (True, True)}, False, [1, 0], (True, True), id="both, later"),
        pytest.param({1: (True, False)}, False, [1, 0, 2], (True, False), id="the layer"),
        pytest.param({1: (False, True)}, False, [1, 0, 2], (False, True), id="an output"),
        pytest.param({1: (True, False), 0: (False, True)}, False, [1, 0], (True, True),
                     id="one after the other"),
        pytest.param({1: (False, True), 0: (True, False)}, False, [1, 0], (True, True),
                     id="the other way round"),
        pytest.param({1: (True, False)}, True, [1], (True, False), id="the layer, in haste"),
        pytest.param({0: (False, True)}, True, [1, 0], (False, True), id="an output, in haste"),
    ],
)  # fmt: skip
def test_runs_are_made_until_everybody_noticed(
    notices: dict[int, tuple[bool, bool]],
    stop_at_first: bool,
    runs: list[int],
    found: tuple[bool, bool],
) -> None:
    copy = _Copy(lambda _kind, run: notices.get(run, (False, False)), rows=[2, 1, 3])
    (planted,) = _plant(copy, _fault(5.0), stop_at_first=stop_at_first)
    assert [run for _, run in copy.asked] == runs
    assert (planted.by_layer, planted.by_output) == found
    assert planted.noticed is any(found)
    assert (planted.reference, planted.layer, planted.reached) == (copy.mine, copy.layer, True)


def test_a_fault_is_reached_where_a_slope_is_that_it_changes() -> None:
    copy = _Copy(lambda *_: (False, False), rows=[1])
    faults = [_fault(1.0, (True, True, True)), _fault(2.0, (False, True, True)),
              _fault(3.0, (True, False, False))]  # fmt: skip
    found = _plant(copy, *faults)
    assert [item.reached for item in found] == [True, False, True]
    assert [item.fault for item in found] == faults
    assert copy.asked == [("1.0", 0), ("2.0", 0), ("3.0", 0)]


def test_only_what_is_misplaced_may_fail_to_run() -> None:
    def refuse(kind: str, _run: int) -> tuple[bool, bool]:
        if kind == "7.0":
            raise PReLUToolsError("it does not run")
        return True, True

    copy = _Copy(refuse, rows=[1])
    faults = [_fault(7.0, kind="misplaced"), _fault(1.0)]
    assert [item.fault for item in _plant(copy, *faults)] == [faults[1]]
    with pytest.raises(PReLUToolsError, match="it does not run"):
        _plant(copy, _fault(7.0))


def test_without_haste_every_run_is_made() -> None:
    copy = _Copy(lambda *_: (True, False), rows=[1, 1])
    list(plant(cast(SlopeCopy, copy), [_fault(1.0)]))
    assert [run for _, run in copy.asked] == [0, 1]
