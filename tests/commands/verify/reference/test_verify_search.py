"""Inputs that reach what no draw reached: found, counted, kept, and the same for a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Outcome
from text_nets import npz, save, verify
from tiny_models import save_dense

_BIAS = 40.0  # of a net whose draws stay above
_SEED = ("--seed", 3)
_NETS = """
import torch


class Net(torch.nn.Module):
    def __init__(self, bias):
        super().__init__()
        torch.manual_seed(0)
        self.fc = torch.nn.Linear(4, 6)
        torch.nn.init.constant_(self.fc.bias, bias)
        self.act = torch.nn.PReLU(6)
        self.out = torch.nn.Linear(6, 2)
        torch.nn.init.normal_(self.act.weight)

    def forward(self, x):
        return self.out(self.act(self.fc(x)))

    def example_inputs(self):
        return (torch.zeros(1, 4),)


class Squared(Net):
    def forward(self, x):
        return self.out(self.act(self.fc(x) ** 2))
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "search_nets.py"
    path.write_text(_NETS)
    return path


def _coverage(found: Outcome) -> tuple[int, int]:
    coverage = found.json["coverage"]
    return coverage["exercised"], coverage["total"]


def _saved(path: Path) -> list[Any]:
    with np.load(path) as archive:
        return [archive[name] for name in archive.files]


# Torch, by its gradients


@pytest.mark.torch
def test_the_search_in_torch_reaches_what_no_draw_does(nets: Path) -> None:
    net = f"{nets}:Net(60.0)"
    without = verify(net, net, "--min-coverage", 1, "--search-seconds", 0)
    assert (without.code, without.json["n_searched"]) == (1, 0)
    assert _coverage(without)[0] < 6
    assert any("--min-coverage 1 requires more" in reason for reason in without.json["reasons"])
    found = verify(net, net, "--min-coverage", 1)
    assert (found.code, _coverage(found)) == (0, (6, 6))
    assert found.json["n_searched"] > 0
    assert found.json["samples"] == without.json["samples"] == 16  # of these none was searched


@pytest.mark.torch
def test_the_search_is_the_same_for_a_seed(nets: Path, tmp_path: Path) -> None:
    net, files = f"{nets}:Net(60.0)", [tmp_path / f"{i}.npz" for i in range(3)]
    for seed, path in zip((3, 3, 4), files, strict=True):
        assert verify(net, net, "--seed", seed, "--save-inputs", path).code == 0
    first, again, other = (_saved(path) for path in files)
    assert [a.tobytes() for a in first] == [a.tobytes() for a in again]
    assert [a.tobytes() for a in first] != [a.tobytes() for a in other]


@pytest.mark.torch
def test_what_cannot_be_reached_is_named_and_gives_up(nets: Path) -> None:
    net = f"{nets}:Squared(0.0)"
    found = verify(net, net, "--search-seconds", 1, "--min-coverage", 0)
    assert found.code == 0, found.json["reasons"]
    assert _coverage(found) == (0, 6)
    assert found.json["coverage"]["unreached"] == [f"act[{i}]" for i in range(6)]
    assert found.json["n_searched"] == 0


@pytest.mark.torch
def test_slopes_that_no_search_reaches_fail_and_a_clock_alone_fails_nothing(nets: Path) -> None:
    net = f"{nets}:Squared(0.0)"
    ended = verify(net, net, "--min-coverage", 1)
    assert (ended.code, ended.json["verdict"]) == (1, "fail")
    assert ended.json["reasons"] == [
        "the inputs reached 0 of 6 slopes; --min-coverage 1 requires more"
    ]
    late = verify(net, net, "--min-coverage", 1, "--search-seconds", 1e-9)
    assert (late.code, late.json["verdict"]) == (3, "inconclusive")
    assert late.json["reasons"] == [
        "the inputs reached 0 of 6 slopes; --min-coverage 1 requires more, but the search ran out "
        "of time: --search-seconds 60 lets it go on"
    ]
    assert late.json["reason_codes"] == ["search_out_of_time"]
    assert "search_out_of_time" not in late.json["note_codes"]  # it is said once
    told = verify(net, net, "--search-seconds", 1e-9)
    assert (told.code, "search_out_of_time" in told.json["note_codes"]) == (0, True)


@pytest.mark.torch
def test_a_record_whose_search_ran_out_of_time_gives_no_verdict_on_coverage(
    nets: Path, tmp_path: Path
) -> None:
    from running import cli

    net, recorded, target = f"{nets}:Net(60.0)", tmp_path / "net.npz", tmp_path / "net.onnx"
    assert cli("export", net, "-o", target, "-q", "--no-verify").code == 0
    for seconds, code in ((("--search-seconds", 1e-9), 3), ((), 0)):
        assert cli("record", net, "-o", recorded, "-q", "--force", *seconds).code == 0
        found = verify(recorded, target, "--min-coverage", 1)
        assert found.code == code
        assert verify(recorded, target).code == 0
        if code:
            (reason,) = found.json["reasons"]
            assert reason.endswith("out of time: record it again with --search-seconds 600")


@pytest.mark.torch
def test_slopes_that_the_search_reached_catch_their_faults(nets: Path, tmp_path: Path) -> None:
    from running import cli

    net, target = f"{nets}:Net(60.0)", tmp_path / "net.onnx"
    assert cli("export", net, "-o", target, "-q", "--no-verify").code == 0
    found, without = verify(net, target), verify(net, target, "--search-seconds", 0)
    assert found.code == 0, found.json["reasons"]
    power = found.json["power"]
    assert power["planted"] == power["detected"] > 0
    assert power["unreached"] == 0
    (layer,) = found.json["candidates"][0]["layers"]
    assert (layer["n_by_behaviour"], layer["coverage"]) == (6, 1.0)
    (fewer,) = without.json["candidates"][0]["layers"]
    assert fewer["n_by_behaviour"] < fewer["n_by_value"] == 6


@pytest.mark.torch
def test_the_range_of_an_input_holds_in_the_search(nets: Path, tmp_path: Path) -> None:
    net, saved = f"{nets}:Net(60.0)", tmp_path / "i.npz"
    found = verify(net, net, "--input-range", "x=-1,1", "--search-seconds", 1,
                   "--save-inputs", saved)  # fmt: skip
    assert found.code == 0, found.words
    assert max(abs(rows).max() for rows in _saved(saved)) <= 1
    assert _coverage(found)[0] == 0


@pytest.mark.torch
def test_the_range_of_all_inputs_holds_in_the_search(nets: Path, tmp_path: Path) -> None:
    net, saved = f"{nets}:Net(60.0)", tmp_path / "inputs.npz"
    assert (
        verify(
            net, net, "--input-range", "-1,1", "--search-seconds", 1, "--save-inputs", saved
        ).code
        == 0
    )
    assert max(abs(rows).max() for rows in _saved(saved)) <= 1


# ONNX files, by more draws


def test_more_draws_reach_what_the_first_did_not(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx", bias=_BIAS)
    without = verify(net, net, *_SEED, "--min-coverage", 1, "--search-seconds", 0)
    assert (without.code, without.json["n_searched"]) == (1, 0)
    found = verify(net, net, *_SEED, "--min-coverage", 1)
    assert (found.code, _coverage(found)) == (0, (3, 3))
    assert found.json["n_searched"] > 0


def test_more_draws_are_of_larger_scale_whatever_the_first_row_is(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx", bias=_BIAS)
    found = verify(net, net, "--seed", 0)
    assert found.json["n_searched"] > 0


def test_what_was_kept_reaches_the_same_again(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx", bias=_BIAS)
    saved = tmp_path / "inputs.npz"
    first = verify(net, net, *_SEED, "--save-inputs", saved)
    assert first.json["n_searched"] > 0
    again = verify(net, net, "--inputs", saved, "--min-coverage", 1)
    assert again.code == 0
    assert again.json["coverage"] == first.json["coverage"]
    assert again.json["n_searched"] == 0
    layers = [found.json["candidates"][0]["layers"][0] for found in (first, again)]
    assert layers[0]["least_positions"] == layers[1]["least_positions"] > 0
    outputs = [found.json["candidates"][0]["outputs"][0]["limit"] for found in (first, again)]
    assert outputs[0] == pytest.approx(outputs[1], rel=0.2)  # moved at random


def test_a_file_of_inputs_is_not_searched_beside_unless_samples_are_asked_for(
    tmp_path: Path,
) -> None:
    net = save_dense(tmp_path / "net.onnx", bias=_BIAS)
    rows = npz(tmp_path / "rows.npz", x=np.zeros((2, 4), np.float32))
    alone = verify(net, net, "--inputs", rows)
    assert (_coverage(alone), alone.json["samples"], alone.json["n_searched"]) == ((0, 3), 2, 0)
    beside = verify(net, net, *_SEED, "--inputs", rows, "--samples", 5)
    assert _coverage(beside) == (3, 3)
    assert beside.json["samples"] == 7
    assert beside.json["n_searched"] > 0


def test_the_search_of_a_file_is_the_same_for_a_seed(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx", bias=_BIAS)
    files = [tmp_path / f"{i}.npz" for i in range(3)]
    for seed, path in zip((3, 3, 4), files, strict=True):
        verify(net, net, "--seed", seed, "--save-inputs", path)
    first, again, other = ([a.tobytes() for a in _saved(path)] for path in files)
    assert first == again
    assert first[-1] != other[-1]


@pytest.mark.parametrize("fixed", ["reference", "candidate", "both"])
def test_a_fixed_batch_stays_fixed_in_the_search(fixed: str, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)

    def net(path: Path, batch: str) -> Path:
        return save(
            path, "h = Gemm(x, w, c) y = PRelu(h, a)", f"float[{batch},4] x", f"float[{batch},3] y",
            w=weights, c=np.full(3, _BIAS, np.float32), a=np.array([0.5, 0.25, -1], np.float32),
        )  # fmt: skip

    left = net(tmp_path / "l.onnx", "batch" if fixed == "candidate" else "5")
    right = net(tmp_path / "r.onnx", "batch" if fixed == "reference" else "5")
    saved = tmp_path / "inputs.npz"
    found = verify(left, right, *_SEED, "--save-inputs", saved, "--min-coverage", 1)
    assert found.code == 0, found.json["reasons"]
    assert found.json["n_searched"] > 0
    assert {rows.shape for rows in _saved(saved)} == {(5, 4)}


@pytest.mark.torch
def test_a_batch_that_the_candidate_fixes_stays_fixed_in_torch(nets: Path, tmp_path: Path) -> None:
    import torch

    from prelu_tools.backends.source_spec import build_object, parse_source_spec

    net = f"{nets}:Net(60.0)"
    module: Any = build_object(parse_source_spec(net))
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    assert isinstance(module, torch.nn.Module)
    fixed = save(
        tmp_path / "fixed.onnx",
        "h = Gemm<transB = 1>(input, w, c) t = PRelu(h, act) y = Gemm<transB = 1>(t, v, d)",
        "float[5,4] input", "float[5,2] y", w=tensors["fc.weight"], c=tensors["fc.bias"],
        act=tensors["act.weight"], v=tensors["out.weight"], d=tensors["out.bias"],
    )  # fmt: skip
    saved = tmp_path / "inputs.npz"
    found = verify(net, fixed, "--save-inputs", saved, "--min-coverage", 1)
    assert found.code == 0, found.json["reasons"]
    assert found.json["n_searched"] > 0
    assert {rows.shape for rows in _saved(saved)} == {(5, 4)}


def test_a_fixed_batch_of_one_is_not_taken_for_batch_statistics(tmp_path: Path) -> None:
    slopes = np.array([0.5, 0.25, -1], np.float32)
    net = save(tmp_path / "n.onnx", "y = PRelu(x, a)", "float[1,3] x", "float[1,3] y", a=slopes)
    found = verify(net, net)
    assert found.code == 0
    assert not any("other rows of its batch" in note for note in found.json["notes"])


@pytest.mark.parametrize("seconds", ["-1", "soon"])
def test_seconds_that_are_none_are_a_usage_error(seconds: str, tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    assert verify(net, net, "--search-seconds", seconds).code == 2


@pytest.mark.parametrize("text", ["1", "1,1", "2,1", "a,b", "x=0,inf", "nan,1"])
def test_a_range_that_is_none_is_a_usage_error(text: str, tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    assert verify(net, net, "--input-range", text).code == 2


def test_inputs_are_drawn_within_their_range(tmp_path: Path) -> None:
    net, saved = save_dense(tmp_path / "net.onnx"), tmp_path / "inputs.npz"
    verify(net, net, "--input-range", "x=2,3", "--search-seconds", 0, "--save-inputs", saved)
    assert all(((rows >= 2) & (rows <= 3)).all() for rows in _saved(saved))
    verify(net, net, "--input-range", "2,3", "--search-seconds", 0, "--save-inputs", saved)
    assert all(((rows >= 2) & (rows <= 3)).all() for rows in _saved(saved))


def test_inputs_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    found = verify(net, net, "--save-inputs", tmp_path / "missing" / "inputs.npz")
    assert found.code == 2
    assert "cannot be written" in found.err
