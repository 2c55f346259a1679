"""What keeps `verify` from passing: providers, coverage, tolerance, other candidates, no PReLU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from running import cli
from sample_list import sample
from tiny_models import save_dense, save_graph, save_prelu, save_relu


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_dense(tmp_path / "net.onnx")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same with one other slope."""
    return save_dense(tmp_path / "other.onnx", slopes=(0.25, -0.5, 1.25))


# Providers


def test_the_cpu_runs_every_node(net: Path) -> None:
    found = cli("verify", net, net, "--format", "json")
    assert found.code == 0
    expected = {
        "requested": "cpu",
        "actual": ["CPUExecutionProvider"],
        "nodes_elsewhere": [],
        "options": {},
        "is_runtime": False,
    }
    assert found.json["candidates"][0]["provider"] == expected


@pytest.mark.parametrize("name", ["cuda", "tensorrt", "openvino", "CUDAExecutionProvider"])
def test_a_provider_that_is_not_in_this_build_never_passes(net: Path, name: str) -> None:
    full = {"cuda": "CUDA", "tensorrt": "Tensorrt", "openvino": "OpenVINO"}.get(name, name[:4])
    if f"{full}ExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip(f"this build of onnxruntime has {name}")
    found = cli("verify", net, net, "--provider", name)
    assert found.code == 3
    assert f"execution provider {name} is not in this build" in found.words
    if name == "cuda":
        assert "pip install onnxruntime-gpu" in found.words


def test_a_provider_that_nobody_knows_never_passes(net: Path) -> None:
    found = cli("verify", net, net, "--provider", "abacus", "--format", "json")
    assert found.code == 3
    (candidate,) = found.json["candidates"]
    nothing = {
        "requested": "abacus",
        "actual": [],
        "nodes_elsewhere": [],
        "options": {},
        "is_runtime": False,
    }
    assert candidate["provider"] == nothing
    assert "abacus" in found.json["reasons"][0]


def test_a_provider_that_runs_nothing_never_passes(net: Path) -> None:
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of onnxruntime has no provider that runs nothing")
    found = cli("verify", net, net, "--provider", "AzureExecutionProvider", "--format", "json")
    assert found.code == 3
    (candidate,) = found.json["candidates"]
    assert candidate["verdict"] == "inconclusive"
    assert candidate["provider"]["actual"] == ["CPUExecutionProvider"]
    assert len(candidate["provider"]["nodes_elsewhere"]) == 2
    assert {output["verdict"] for output in candidate["outputs"]} == {"pass"}


def test_each_provider_is_judged_by_itself(net: Path) -> None:
    found = cli("verify", net, net, "--provider=cpu", "--provider=abacus", "--format=json")
    assert found.code == 3
    verdicts = [candidate["verdict"] for candidate in found.json["candidates"]]
    assert verdicts == ["pass", "inconclusive"]


# Several candidates: 1 beats 3 beats 0


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("net",), 0),
        (("net", "net"), 0),
        (("net", "missing"), 3),
        (("other", "net"), 1),
        (("missing", "other"), 1),
        (("net", "other", "missing"), 1),
    ],
)
def test_a_failure_beats_a_doubt_beats_a_pass(
    names: tuple[str, ...], code: int, net: Path, other: Path
) -> None:
    paths = {"net": net, "other": other, "missing": net.with_name("missing.onnx")}
    found = cli("verify", net, *(paths[name] for name in names), "--format", "json")
    assert found.code == code
    models = [candidate["model"] for candidate in found.json["candidates"]]
    assert models == [str(paths[name]) for name in names]


def test_a_reference_that_is_missing_is_no_verdict(net: Path) -> None:
    found = cli("verify", net.with_name("missing.onnx"), net)
    assert (found.code, found.out) == (3, "")
    assert "missing.onnx cannot be read: no such file" in found.err


def test_a_candidate_that_is_no_model_is_no_verdict(net: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    found = cli("verify", net, text)
    assert found.code == 3
    assert "is not an ONNX model" in found.words


def test_a_candidate_that_onnxruntime_refuses_is_no_verdict(net: Path, tmp_path: Path) -> None:
    node = helper.make_node("NoSuchOperator", ["x"], ["y"])
    dims = {"x": ("batch", 4)}, {"y": ("batch", 3)}
    refused = save_graph(tmp_path / "refused.onnx", [node], *dims, {})
    found = cli("verify", net, refused)
    assert found.code == 3
    assert "cannot load" in found.words


# Coverage


@pytest.mark.torch
def test_min_coverage_in_torch_says_yes_and_no() -> None:
    mlp = sample("torch_layers.py:Mlp").source
    full = cli("verify", mlp, mlp, "--min-coverage", "1", "--format", "json")
    assert full.json["coverage"] == {"exercised": 512, "total": 512, "unreached": []}
    assert full.code == 0
    few = ("--samples=1", "--search-seconds=0")
    one = cli("verify", mlp, mlp, "--min-coverage=0.9", *few, "--format=json")
    coverage = one.json["coverage"]
    assert one.code == 1
    assert one.json["verdict"] == "fail"
    assert coverage["exercised"] + len(coverage["unreached"]) == coverage["total"] == 512
    assert coverage["exercised"] < 0.9 * 512
    assert coverage["unreached"][0].startswith("prelu1[")
    assert any("--min-coverage 0.9 requires more" in reason for reason in one.json["reasons"])
    share = coverage["exercised"] / 512
    enough = cli("verify", mlp, mlp, "--min-coverage", share, "--samples", 1, "--search-seconds", 0)
    assert enough.code == 0


@pytest.mark.parametrize("share", ["-0.1", "1.5", "most"])
@pytest.mark.parametrize("option", ["--min-coverage", "--min-power"])
def test_a_share_that_is_none_is_a_usage_error(net: Path, option: str, share: str) -> None:
    assert cli("verify", net, net, option, share).code == 2


# Tolerance


@pytest.mark.parametrize(
    ("tolerance", "code"),
    [("0,1e-3", 0), ("1e-1,1e-3", 0), ("0,1e-6", 1), ("1e-9,0", 1), ("0,0", 1)],
)
def test_the_tolerance_given_is_the_tolerance_used(
    net: Path, tmp_path: Path, tolerance: str, code: int
) -> None:
    moved = save_dense(tmp_path / "moved.onnx", bias=1e-4)
    found = cli("verify", net, moved, "--tolerance", tolerance, "--format", "json")
    assert found.code == code
    used = found.json["candidates"][0]["tolerance"]
    assert [used["rtol"], used["atol"]] == [float(part) for part in tolerance.split(",")]
    assert (used["scaled"], used["origin"]) == (False, "given")


@pytest.mark.parametrize("text", ["1e-4", "a,b", "1,2,3", "-1,0", "nan,0", "inf,0", ""])
def test_a_tolerance_that_is_none_is_a_usage_error(net: Path, text: str) -> None:
    assert cli("verify", net, net, "--tolerance", text).code == 2


def test_a_tolerance_does_not_excuse_a_slope(net: Path, other: Path) -> None:
    assert cli("verify", net, other, "--tolerance", "10,10").code == 1


# No PReLU


def test_nothing_to_prove_is_no_verdict(tmp_path: Path) -> None:
    relu = save_relu(tmp_path / "relu.onnx")
    found = cli("verify", relu, relu)
    assert found.code == 3
    assert "--allow-no-prelu" in found.words
    allowed = cli("verify", relu, relu, "--allow-no-prelu")
    assert allowed.code == 0
    assert "bit for bit" not in allowed.out


def test_allow_no_prelu_excuses_no_lost_layer(tmp_path: Path) -> None:
    relu = save_relu(tmp_path / "relu.onnx")
    other = save_prelu(tmp_path / "prelu.onnx", slopes=(0.0, 0.1, 0.0))
    for reference, candidate in ((other, relu), (relu, other)):
        assert cli("verify", reference, candidate, "--allow-no-prelu").code == 1


def test_slopes_of_0_are_a_relu(tmp_path: Path) -> None:
    relu = save_relu(tmp_path / "relu.onnx")
    zero = save_prelu(tmp_path / "prelu.onnx", slopes=(0.0, 0.0, 0.0))
    assert cli("verify", zero, relu).code == 0
    assert cli("verify", relu, zero).code == 3
    assert cli("verify", relu, zero, "--allow-no-prelu").code == 0


# Seeds


def test_the_seed_and_the_samples_are_stated_and_used(net: Path) -> None:
    first, second, again = (
        cli("verify", net, net, "--seed", seed, "--samples", 5, "--format", "json").json
        for seed in (1, 2, 1)
    )
    assert (first["seed"], first["samples"], second["seed"]) == (1, 5, 2)
    assert first == again


@pytest.mark.parametrize("option", [("--samples", "0"), ("--seed", "-1"), ("--samples", "x")])
def test_a_number_that_makes_no_sense_is_a_usage_error(net: Path, option: tuple[str, str]) -> None:
    assert cli("verify", net, net, *option).code == 2


def test_gates_on_nothing_are_no_verdict(tmp_path: Path) -> None:
    relu = save_graph(
        tmp_path / "relu.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        {"x": ("batch", 3)},
        {"y": ("batch", 3)},
        {},
    )
    assert cli("verify", relu, relu, "--allow-no-prelu").code == 0
    found = cli("verify", relu, relu, "--allow-no-prelu", "--min-coverage", 1)
    assert found.code == 3
    assert (
        "there is no slope, and --min-coverage (in a list: min_coverage) requires one"
        in found.words
    )
    found = cli("verify", relu, relu, "--allow-no-prelu", "--min-power", 1)
    assert found.code == 3
    assert "power is unknown, and --min-power requires it" in found.words
    net = save_prelu(tmp_path / "net.onnx", dims=("batch", 3))
    np.savez(tmp_path / "ones.npz", x=np.ones((2, 3), np.float32))
    ones = ("--inputs", tmp_path / "ones.npz")
    assert cli("verify", net, net, *ones).code == 0
    found = cli("verify", net, net, *ones, "--min-power", 0.5)
    assert found.code == 3
    assert "no fault could be planted in slopes that the inputs reach" in found.words
