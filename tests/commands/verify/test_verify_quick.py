"""--quick makes the checks that cost little, says so, and still sees what they see."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import cli
from tiny_models import save_dense

from prelu_tools import export, verify
from prelu_tools.core.errors import UsageError


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_dense(tmp_path / "net.onnx")


def test_a_quick_check_passes_and_says_that_it_was_quick(net: Path) -> None:
    found = cli("verify", net, net, "--quick")
    assert found.code == 0
    assert (
        "PASS quick check without searching for inputs or planting faults: 4 samples, seed 0"
        in found.words
    )
    assert "power" not in found.words
    document = cli("verify", net, net, "--quick", "--format", "json").json
    assert (document["quick"], document["samples"], document["n_searched"]) == (True, 4, 0)
    assert document["power"] is None
    whole = cli("verify", net, net, "--format", "json").json
    assert (whole["quick"], whole["samples"]) == (False, 16)


def test_it_sees_a_wrong_slope_all_the_same(net: Path, tmp_path: Path) -> None:
    other = save_dense(tmp_path / "other.onnx", slopes=(0.25, -0.5, 1.25))
    found = verify(net, other, quick=True)
    assert found.verdict == "fail"
    assert found.quick


def test_inputs_that_are_asked_for_are_kept(net: Path, tmp_path: Path) -> None:
    assert verify(net, net, quick=True, samples=7).samples == 7
    file = tmp_path / "inputs.npz"
    verify(net, net, samples=3, save_inputs=file)
    replayed = verify(net, net, inputs=file).samples
    assert verify(net, net, quick=True, inputs=file).samples == replayed


@pytest.mark.parametrize("option", ["--search-seconds=3", "--min-power=1", "--power"])
def test_what_it_leaves_out_cannot_be_asked_for(option: str, net: Path) -> None:
    found = cli("verify", net, net, "--quick", option)
    assert found.code == 2
    assert "would be ignored: --quick searches nothing" in found.err


def test_in_python_neither(net: Path) -> None:
    with pytest.raises(UsageError, match=r"min_power would be ignored: quick=True searches"):
        verify(net, net, quick=True, min_power=1.0)


def test_an_export_is_verified_quickly(net: Path, tmp_path: Path) -> None:
    made = export(net, tmp_path / "clean.onnx", quick=True)
    assert made.verification is not None
    assert (made.verification.verdict, made.verification.samples) == ("pass", 4)
    assert made.verification.quick
    found = cli("export", net, "-o", tmp_path / "b.onnx", "--quick")
    assert "quick check without searching for inputs or planting faults: 4 samples" in found.words
    refused = cli("export", net, "-o", tmp_path / "c.onnx", "--quick", "--no-verify")
    assert refused.code == 2
    assert "--quick would be ignored: --no-verify runs nothing" in refused.err
