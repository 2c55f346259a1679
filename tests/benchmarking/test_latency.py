"""The latency benchmark: its figures, its tables, and its comparison of outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from benchmarks.latency import bound, measure, peers, results, table
from benchmarks.latency.figures import best_peer, extra_cost_left, ratio
from benchmarks.latency.kernels import Event, profile
from benchmarks.latency.plan import BOUND, OURS, PEERS, SHORT, Cell, cells
from benchmarks.nets.inputs import natural

ONE_NODE = """<ir_version: 10, opset_import: ["": 18]>
g (float[1,2,4,4] x) => (float[1,2,4,4] y) <float[1] a = {{{slope}}}> {{ y = PRelu(x, a) }}"""


def _cell(
    ours: float = 450.0, bound: float = 400.0, difference: float = -1.0, threads: int = 1
) -> results.Measured:
    """Twenty rounds whose times all drift alike: a run takes so many microseconds in the first."""
    start = {peer: 1000.0 + 10 * place for place, peer in enumerate(PEERS)}
    start |= {OURS: ours, BOUND: bound}
    drift = 1 + 0.5 * np.sin(np.arange(20))
    times: Mapping[str, tuple[float, ...]] = {
        variant: tuple(time * drift) for variant, time in start.items()
    }
    differences = {**dict.fromkeys(PEERS, -1.0), OURS: difference}
    return results.Measured("onet", 1, threads, 50, times, differences, {})


def _run(*measured: results.Measured, version: str = "1.31.1") -> results.Results:
    packages = ("onnxsim", "onnxslim", "prelu-tools")
    versions = {"onnxruntime": version, **dict.fromkeys(packages, "1")}
    return results.Results(versions, "a processor", 2, "optimize", quick=False, cells=measured)


def test_a_drift_that_all_share_leaves_ratios_alone():
    figure = ratio(_cell(), OURS, "raw")
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.45, 0.45, 0.45))


def test_rounds_that_disagree_widen_the_interval():
    cell = _cell()
    noisy = np.array(cell.microseconds[OURS]) * np.where(np.arange(20) % 2, 0.8, 1.2)
    figure = ratio(
        results.Measured(**{**vars(cell), "microseconds": {**cell.microseconds, OURS: noisy}}),
        OURS,
        "raw",
    )
    assert figure.low < 0.40
    assert figure.high > 0.50


def test_extra_cost_is_counted_from_the_bound():
    left = extra_cost_left(_cell(ours=460.0, bound=400.0))
    assert left is not None
    assert left.value == pytest.approx(0.1)


def test_without_extra_cost_there_is_no_share_of_it():
    assert extra_cost_left(_cell(bound=1000.0)) is None


def test_the_best_peer_is_the_fastest():
    assert best_peer(_cell()) == "raw"


def test_the_table_says_what_is_slower_and_what_differs():
    fine = table.document([_run(_cell(), _cell(threads=2))])
    assert "0.45 [0.45, 0.45] | 0.40 | 8% [8%, 8%] | yes" in fine
    assert "slower" not in fine
    bad = table.document([_run(_cell(), _cell(ours=1050.0, difference=1e-7, threads=2))])
    assert "**1.05 [1.05, 1.05] slower** (not equal)" in bad


def test_versions_stand_side_by_side():
    both = table.document([_run(_cell()), _run(_cell(ours=1000, bound=900), version="1.26.0")])
    assert "raw export, 1.31.1 | prelu-tools, 1.31.1 | raw export, 1.26.0" in both
    assert "| ONet | 2.50 | 1.12 | 1.11 | 1.11 |" in both


def test_results_are_read_as_they_were_written(tmp_path: Path):
    run = _run(_cell(), _cell(threads=2))
    run.write(tmp_path / "run.json")
    assert results.read(tmp_path / "run.json") == run


def test_a_setting_that_is_measured_again_takes_the_place_of_the_old_one():
    earlier = _run(_cell(), _cell(threads=2))
    again = _cell(ours=460.0)
    assert _run(again).beside(earlier).cells == (again, earlier.cells[1])
    with pytest.raises(ValueError, match="of other versions"):
        _run(again, version="1.26.0").beside(earlier)


def test_results_of_another_schema_are_refused(tmp_path: Path):
    path = tmp_path / "run.json"
    _run(_cell()).write(path)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 0'))
    with pytest.raises(ValueError, match="not of schema 1"):
        results.read(path)


def test_a_plan_keeps_to_what_was_asked():
    assert cells(SHORT, nets=["digits"], threads=[2]) == [Cell("digits", 1, 2, SHORT[1, 2])]


def test_outputs_that_differ_on_negative_inputs_only_are_seen(tmp_path: Path):
    runners = {}
    for variant, slope in (("raw", "0.25"), ("onnxsim", "0.25"), (OURS, "0.2500001")):
        text = ONE_NODE.format(slope=slope)
        path = tmp_path / f"{variant}.onnx"
        onnx.save(onnx.parser.parse_model(text), path)
        runners[variant] = measure.open_runner(path, threads=1)
    found = measure.compare(runners, [1, 2, 4, 4])
    assert found["onnxsim"] == -1
    assert 0 < found[OURS] < 1e-5


@pytest.mark.parametrize("shape", [(2, 3, 40, 60), (2, 40, 60, 3)])
def test_pictures_are_smoother_than_noise(shape: tuple[int, ...]):
    picture = natural(shape, seed=0)
    columns = 3 if shape[1] == 3 else 2
    flips = np.mean(np.diff(np.signbit(picture), axis=columns))
    assert picture.shape == shape
    assert 0.02 < flips < 0.3
    assert np.array_equal(picture, natural(shape, seed=0))


def test_a_file_is_made_once_and_again_when_its_command_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "bin" / "prelu-tools"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n'
        'echo made >> "$2.log"; [ "$3" = --force ] && touch "$2"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.parent / "python"))
    nets = tmp_path / "batch-1"
    nets.mkdir()
    for name in ("onet.onnx", "onet.relu.onnx"):
        onnx.save(onnx.parser.parse_model(ONE_NODE.format(slope="0.25")), nets / name)
    for options, times in (((), 1), ((), 1), (("--no-tune",), 2)):
        files = peers.Files(tmp_path, tmp_path / "work", peers.Ours(options=options))
        paths, missing = files.of(Cell("onet", 1, 1, 1.0))
        assert Path(f"{paths[OURS]}.log").read_text().count("made") == times
        assert set(missing) == {"onnxsim", "onnxslim"}


def test_the_bound_comes_from_the_maps_of_slopes_that_differ() -> None:
    events = [
        Event("conv#0", "Conv", 3.0, 40, 8, 16),
        Event("act#1", "PRelu", 2.0, 40, 8, 16),
        Event("act#1", "PRelu", 1.5, 40, 8, 16),
        Event("shared#2", "PRelu", 1.0, 20, 4, 8),
    ]
    found = bound.summed(events)
    assert found == bound.Profile(3, 1e-4, (16,))
    assert bound.bound(()) == 0.0 < bound.bound((1 << 20,))
    profiles = [bound.Profile(2, 1.0, ()), bound.Profile(4, 2.0, ()), found]
    line = bound.row("Net", profiles, (3.0, 3.5, 5.5), 0.25)
    assert line == "| Net | 2 / 4 / 3 | 1.0 / 2.0 / 0.0 | 3.00 / 3.50 / 5.50 | 20% | 10% |"
    assert bound.row("Net", profiles, (3.0, 3.5, 3.0), 0.25).endswith("3.00 / 3.50 / 3.00 |")


def test_a_profile_names_every_kernel(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(onnx.parser.parse_model(ONE_NODE.format(slope=0.25)), path)
    first = profile(path, 1, 0.0)[0]
    assert (first.operator, first.n_weights, first.n_output) == ("PRelu", 4, 128)
    assert first.n_bytes == 128 + 4 + 128
    assert len(profile(path, 1, 0.0)) == 5
